package timetag

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// The messages: for each epoch Alice tells when and in which basis she detected, and
// Bob which of these he detected too.
const (
	typeTimes   = distill.TypeSift + 0x10 // Alice to Bob
	typeMatches = distill.TypeSift + 0x11 // Bob to Alice, one for each but the last
)

// verdict says whether an epoch is the round's last, and why.
type verdict uint8

const (
	goOn verdict = iota
	full
	scarce
	stopped // a tagger writes nothing any more
	noisy
	verdicts
)

// told is Alice's message: verdict u8, coincidences, tests and errors so far (u64
// each), epoch u32, and a packet of type 2 (length u32) unless the verdict ends the
// round.
type told struct {
	verdict verdict
	counts  bbm92.Counts
	epoch   Epoch
	packet  []byte
}

func (t *told) marshal() []byte {
	w := wire.Writer{B: make([]byte, 0, 40+len(t.packet))}
	w.U8(uint8(t.verdict)).U64(uint64(t.counts.Coincidences)).U64(uint64(t.counts.Tests)).U64(uint64(t.counts.Errors))
	return w.U32(uint32(t.epoch)).Bytes(t.packet).B
}

// parseTold reads Alice's message. It keeps a view of b. Error: Corrupt.
func parseTold(b []byte) (*told, error) {
	r := wire.NewReader(b)
	t := &told{verdict: verdict(r.U8())}
	t.counts = bbm92.Counts{Coincidences: int64(r.U64()), Tests: int64(r.U64()), Errors: int64(r.U64())}
	t.epoch = Epoch(r.U32())
	t.packet = r.Bytes(distill.MaxMessage)
	if err := r.Done(); err != nil {
		return nil, err
	}
	c := t.counts
	if t.verdict >= verdicts || (t.verdict == goOn) != (len(t.packet) > 0) || c.Errors < 0 || c.Errors > c.Tests || c.Tests > c.Coincidences {
		return nil, corrupt("the other end's message of epoch %v cannot be", t.epoch)
	}
	return t, nil
}

// state is what Bob's end was at in an epoch.
type state uint8

const (
	searching state = iota // for the clocks' offset
	locked
	dry // his tagger's file did not come
	states
)

// matches is Bob's message: state u8, coincidences u32, how many of them in the same
// basis u32, their places among Alice's events as distances in unsigned varints
// (length u32), and his values of those in the test basis, a bit each (length u32).
// The first distance is from 0, each further one from the place after the one before.
type matches struct {
	state        state
	coincidences int
	same         []int
	tests        []byte
}

func (m *matches) marshal() []byte {
	var gaps []byte
	next := 0
	for _, i := range m.same {
		gaps = binary.AppendUvarint(gaps, uint64(i-next))
		next = i + 1
	}
	var w wire.Writer
	return w.U8(uint8(m.state)).U32(uint32(m.coincidences)).U32(uint32(len(m.same))).Bytes(gaps).Bytes(m.tests).B
}

const maxMatches = 1 + 4 + 4 + 4 + 4*MaxEvents + 4 + MaxEvents/8

// parseMatches reads Bob's answer about n events. Error: Corrupt.
func parseMatches(b []byte, n int) (*matches, error) {
	r := wire.NewReader(b)
	m := &matches{state: state(r.U8()), coincidences: int(r.U32())}
	same := int(r.U32())
	gaps, tests := r.Bytes(4*MaxEvents), r.Bytes(MaxEvents/8)
	if err := r.Done(); err != nil {
		return nil, err
	}
	if m.state >= states || m.coincidences > n || same > m.coincidences || same > len(gaps) || m.state != locked && m.coincidences > 0 {
		return nil, corrupt("%d of %d coincidences among %d events cannot be", same, m.coincidences, n)
	}
	m.tests, m.same = tests, make([]int, same)
	next := uint64(0)
	for i := range m.same {
		gap, used := binary.Uvarint(gaps)
		if used <= 0 || gap >= uint64(n) || next+gap >= uint64(n) {
			return nil, corrupt("coincidence %d lies outside of the epoch", i)
		}
		m.same[i] = int(next + gap)
		next += gap + 1
		gaps = gaps[used:]
	}
	if len(gaps) > 0 {
		return nil, corrupt("%d bytes too many", len(gaps))
	}
	return m, nil
}

// split parts the coincidences of the same basis into those of the key and of the
// test basis, by the basis of each of Alice's events. Error: Corrupt, when Bob's
// values are not as many.
func (m *matches) split(basis []uint8) (key, tests []int, err error) {
	for _, i := range m.same {
		if basis[i] == 0 {
			key = append(key, i)
		} else {
			tests = append(tests, i)
		}
	}
	if len(m.tests) != (len(tests)+7)/8 {
		return nil, nil, corrupt("%d bytes of values for %d of the test basis", len(m.tests), len(tests))
	}
	return key, tests, nil
}

// testBit is Bob's value of the i-th coincidence of the test basis.
func (m *matches) testBit(i int) uint8 {
	if events.Packed(m.tests, i) {
		return 1
	}
	return 0
}
