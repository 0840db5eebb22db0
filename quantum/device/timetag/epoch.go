package timetag

import (
	"fmt"
	"strconv"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Epoch numbers a stretch of 2³² units of 125 ps, 0.537 s, and names its file.
// Counted from the beginning of 1970 (a universal epoch) it comes round in 2043;
// counted by the card alone (a local one) it has 17 bits.
type Epoch uint32

// EpochTime is how long an epoch is.
const EpochTime = 1 << 29 * time.Nanosecond

// localBits are the bits of an epoch that an event's own time holds.
const localBits = timeBits - epochBits

// String is the name of the epoch's file: eight hexadecimal digits.
func (e Epoch) String() string { return fmt.Sprintf("%08x", uint32(e)) }

// ParseEpoch reads a file's name. Error: Invalid for a name that String never gives.
func ParseEpoch(name string) (Epoch, error) {
	n, err := strconv.ParseUint(name, 16, 32)
	if err != nil || Epoch(n).String() != name {
		return 0, qsc.E("timetag.ParseEpoch", qsc.Invalid, "", "%q is not eight hexadecimal digits", name)
	}
	return Epoch(n), nil
}

// moment is a time in units of 125 ps since 1970, modulo 2⁶⁴: an epoch and a place
// within it. Moments are compared by difference, so that coming round is no harm.
type moment uint64

func momentOf(t time.Time) moment { return moment(uint64(t.UnixNano()) * perNanosecond) }

func (m moment) epoch() Epoch { return Epoch(m >> epochBits) }

// since is m minus o.
func (m moment) since(o moment) int64 { return int64(m - o) }

// time is the time of a moment that lies within 36 years of a known one.
func (m moment) time(near time.Time) time.Time {
	return near.Add(time.Duration(m.since(momentOf(near)) / perNanosecond))
}

// start is the epoch's first moment.
func (e Epoch) start() moment { return moment(e) << epochBits }

// EpochAt is the universal epoch of a time.
func EpochAt(t time.Time) Epoch { return momentOf(t).epoch() }

// Extend is the universal epoch of an event whose card was set by the computer's
// clock, when that clock is at now: the one that agrees with the event's 17 bits and
// lies from 14.7 h before now to 4.9 h after, as the format's description has it.
func Extend(e Event, now time.Time) Epoch {
	const mask = 1<<localBits - 1
	base := EpochAt(now)
	ahead := (uint32(e.Time>>epochBits) - uint32(base)) & mask
	if ahead > 1<<(localBits-2) {
		ahead -= 1 << localBits
	}
	return base + Epoch(ahead)
}
