// Package timetag takes the events of time taggers to sifted key: clicks of the
// four detectors of each end, with their times, in the openly described files of the
// qcrypto system, with the pairs of an entangled source among them. It reads and
// writes those files, finds the offset between the two ends' clocks, picks the
// coincidences, sifts by basis and counts the errors of the test basis (BBM92).
//
// It drives no hardware: the tagger's own process writes the files. It corrects no
// errors and makes no key (package distill does); the length of the key is package
// bbm92's. It does not search for a difference of the two clocks' frequencies beyond
// what its tracking can follow.
package timetag

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// The tagger's time: multiples of 125 ps in 49 bits.
const (
	UnitPicoseconds = 125
	timeBits        = 49
	epochBits       = 32 // bits of the time within an epoch
	perNanosecond   = 8
)

// Event is one click, as the tagger's card tells it.
type Event struct {
	Time      uint64 // multiples of 125 ps, 49 bits
	Detectors uint8  // those that clicked, bits 0 to 3
	Rest      uint16 // the 11 bits between: phase or flags of some cards, 0 of others
}

// word is the event as 64 bits: time, rest, detectors from the highest bit down.
func (e Event) word() uint64 {
	return e.Time<<(64-timeBits) | uint64(e.Rest&0x7ff)<<4 | uint64(e.Detectors&0xf)
}

func eventOf(w uint64) Event {
	return Event{Time: w >> (64 - timeBits), Rest: uint16(w>>4) & 0x7ff, Detectors: uint8(w & 0xf)}
}

// Order is which half of an event's 64 bits comes first in a file. Each half is a
// little-endian word of 32 bits.
type Order bool

// The orders in use.
const (
	HighFirst Order = false // of the format's description, and of the epoch files
	LowFirst  Order = true  // a little-endian word of 64 bits, as newer cards' tools write unless told otherwise
)

func (o Order) put(b []byte, w uint64) {
	if o == LowFirst {
		binary.LittleEndian.PutUint64(b, w)
		return
	}
	binary.LittleEndian.PutUint32(b, uint32(w>>32))
	binary.LittleEndian.PutUint32(b[4:], uint32(w))
}

func (o Order) get(b []byte) uint64 {
	if o == LowFirst {
		return binary.LittleEndian.Uint64(b)
	}
	return uint64(binary.LittleEndian.Uint32(b))<<32 | uint64(binary.LittleEndian.Uint32(b[4:]))
}

// Reader reads raw events.
type Reader struct {
	r     *bufio.Reader
	order Order
}

// NewReader reads from r, through a buffer.
func NewReader(r io.Reader, o Order) *Reader { return &Reader{bufio.NewReaderSize(r, 64<<10), o} }

// Read returns the next event. Errors: io.EOF; Corrupt where the last is cut off;
// those of the reader.
func (r *Reader) Read() (Event, error) {
	var b [8]byte
	_, err := io.ReadFull(r.r, b[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return Event{}, corrupt("the last event is cut off")
	}
	if err != nil {
		return Event{}, err
	}
	return eventOf(r.order.get(b[:])), nil
}

// Writer writes raw events. Flush must be called at the end.
type Writer struct {
	w     *bufio.Writer
	order Order
}

// NewWriter writes to w, through a buffer.
func NewWriter(w io.Writer, o Order) *Writer { return &Writer{bufio.NewWriterSize(w, 64<<10), o} }

// Write writes an event. Errors: Invalid for one that does not fit its bits; those of
// the writer.
func (w *Writer) Write(e Event) error {
	if e.Time>>timeBits != 0 || e.Detectors>>4 != 0 || e.Rest>>11 != 0 {
		return qsc.E("timetag.Write", qsc.Invalid, "", "an event has %d bits of time, 4 of detectors and 11 besides", timeBits)
	}
	var b [8]byte
	w.order.put(b[:], e.word())
	_, err := w.w.Write(b[:])
	return err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error { return w.w.Flush() }

func corrupt(format string, args ...any) error {
	return qsc.E("timetag.Read", qsc.Corrupt, "", format, args...)
}

// ticks is a duration in units of 125 ps.
func ticks(d time.Duration) int64 { return int64(d) * perNanosecond }
