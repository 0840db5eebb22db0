package timetag

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The packets of the format. Headers are little-endian words of 32 bits: the tag,
// the epoch, the number of entries, and what the type needs.
const (
	tagRaw       = 1 // type 1: raw events
	tagTimes     = 2 // type 2: times and bases, to be sent
	tagValues    = 3 // type 3: values, kept
	tagUniversal = 0x100

	// MaxEvents bounds the events of one epoch: two million in a second.
	MaxEvents = 1 << 20
)

// Head is what the packets have in common.
type Head struct {
	Epoch     Epoch
	Universal bool // the epoch is counted from 1970
}

func (h Head) put(tag uint32, words ...uint32) []byte {
	if h.Universal {
		tag |= tagUniversal
	}
	b := binary.LittleEndian.AppendUint32(nil, tag)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Epoch))
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// head reads a header of n words; ok is false where b is shorter.
func head(b []byte, tag uint32, n int) (h Head, words []uint32, ok bool, err error) {
	if len(b) < 4*n {
		return h, nil, false, nil
	}
	words = make([]uint32, n)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	h = Head{Epoch(words[1]), words[0]&tagUniversal != 0}
	if words[0]&^tagUniversal != tag {
		return h, nil, true, corrupt("a packet with the tag %#x where one of type %d is expected", words[0], tag)
	}
	if words[2] > MaxEvents {
		return h, nil, true, corrupt("epoch %v has %d events, at most %d are read", h.Epoch, words[2], MaxEvents)
	}
	return h, words, true, nil
}

// Raw is a packet of type 1: the events of one epoch.
type Raw struct {
	Head
	Events []Event
}

// Append appends the packet to dst: 20 bytes of header (tag, epoch, entries, 49, 4),
// the events, and one of zeros.
func (r *Raw) Append(dst []byte) []byte {
	dst = append(dst, r.put(tagRaw, uint32(len(r.Events)), timeBits, 4)...)
	var b [8]byte
	for _, e := range r.Events {
		HighFirst.put(b[:], e.word())
		dst = append(dst, b[:]...)
	}
	return append(dst, make([]byte, 8)...)
}

const rawHead = 20

// parseRaw reads a packet of type 1 that b begins with. whole is false, without an
// error, while its end is not there yet. Error: Corrupt.
func parseRaw(b []byte) (r *Raw, whole bool, err error) {
	h, words, ok, err := head(b, tagRaw, rawHead/4)
	if !ok || err != nil {
		return nil, false, err
	}
	if words[3] != timeBits || words[4] != 4 {
		return nil, false, corrupt("events of %d bits of time and %d of detectors, not %d and 4", words[3], words[4], timeBits)
	}
	r = &Raw{Head: h, Events: make([]Event, 0, min(len(b)/8, MaxEvents))}
	for b = b[rawHead:]; len(b) >= 8; b = b[8:] {
		w := HighFirst.get(b)
		if w == 0 {
			if n := int(words[2]); n != 0 && n != len(r.Events) {
				return nil, false, corrupt("epoch %v ends after %d events, not %d", h.Epoch, len(r.Events), n)
			}
			if len(b) > 8 {
				return nil, false, corrupt("%d bytes behind the end of epoch %v", len(b)-8, h.Epoch)
			}
			return r, true, nil
		}
		e := eventOf(w)
		if len(r.Events) == MaxEvents || words[2] != 0 && len(r.Events) == int(words[2]) {
			return nil, false, corrupt("epoch %v does not end after its events", h.Epoch)
		}
		if uint32(e.Time>>epochBits) != uint32(h.Epoch)&(1<<localBits-1) {
			return nil, false, corrupt("an event of another epoch in the packet of %v", h.Epoch)
		}
		r.Events = append(r.Events, e)
	}
	return nil, false, nil
}

// ParseRaw reads a whole packet of type 1. Error: Corrupt.
func ParseRaw(b []byte) (*Raw, error) {
	r, whole, err := parseRaw(b)
	if err == nil && !whole {
		err = corrupt("a packet of raw events has no end")
	}
	return r, err
}

// Times is a packet of type 2: the times of one epoch's events within it, rising,
// and what is told of each.
type Times struct {
	Head
	Order    int      // bits of a time difference, 1 to 31; 0: the best for this many events
	Width    int      // bits told of each event, 0 to 4; 1 for BB84
	Protocol uint32   // 1: BB84
	At       []uint32 // units of 125 ps
	Told     []uint8
}

// order is the width of differences that costs the fewest bits for events as random
// as light is: the logarithm of their mean distance and 2.2.
func order(events int) int {
	mean := float64(uint64(1)<<epochBits) / float64(max(events, 1))
	return min(max(int(math.Log2(mean)+2.2), 4), 27)
}

const timesHead = 24

// Append appends the packet to dst: 24 bytes of header (tag, epoch, entries, order,
// width, protocol) and the entries, packed. An entry is the difference to the event
// before in order bits (0 and the difference in 32 bits, where it needs more) and
// what is told; a difference of 1 ends the packet. Where events are less than two
// units apart, or the first less than two after the epoch's beginning, the later is
// told later, by at most as much; at the epoch's very end such an event cannot be
// told, and sent is how many were.
func (t *Times) Append(dst []byte) (b []byte, sent int) {
	bitsOf := t.Order
	if bitsOf == 0 {
		bitsOf = order(len(t.At))
	}
	at := len(dst)
	dst = append(dst, t.put(tagTimes, 0, uint32(bitsOf), uint32(t.Width), t.Protocol)...)
	p := packer{b: dst}
	last := uint64(0)
	for i, now := range t.At {
		next := max(uint64(now), last+2)
		if next >= 1<<epochBits {
			break
		}
		if d := next - last; bits.Len64(d) > bitsOf {
			p.put(0, bitsOf)
			p.put(d, 32)
		} else {
			p.put(d, bitsOf)
		}
		p.put(uint64(t.Told[i]), t.Width)
		last = next
		sent++
	}
	p.put(1, bitsOf)
	p.put(0, t.Width)
	b = p.bytes()
	binary.LittleEndian.PutUint32(b[at+8:], uint32(sent))
	return b, sent
}

// ParseTimes reads a whole packet of type 2. Error: Corrupt.
func ParseTimes(b []byte) (*Times, error) {
	h, words, ok, err := head(b, tagTimes, timesHead/4)
	if err != nil || !ok {
		return nil, orShort(err)
	}
	t := &Times{Head: h, Order: int(int32(words[3])), Width: int(int32(words[4])), Protocol: words[5]}
	if t.Order < 1 || t.Order > 31 || t.Width < 0 || t.Width > 4 || t.Order+t.Width > 32 {
		return nil, corrupt("times of %d bits and %d told of each cannot be", t.Order, t.Width)
	}
	u := unpacker{b: b[timesHead:]}
	if most := 8 * len(u.b) / (t.Order + t.Width); int(words[2]) > most {
		return nil, corrupt("%d events in %d bytes", words[2], len(u.b))
	}
	if err := t.read(&u); err != nil {
		return nil, err
	}
	if n := int(words[2]); !u.rest() || n != 0 && n != len(t.At) {
		return nil, corrupt("epoch %v ends after %d events, not %d, or not at its end", h.Epoch, len(t.At), n)
	}
	return t, nil
}

func (t *Times) read(u *unpacker) error {
	for last := uint64(0); ; {
		d := u.take(t.Order)
		if d == 1 {
			if told := u.take(t.Width); told != 0 || u.dry {
				return corrupt("the end of epoch %v is garbled", t.Epoch)
			}
			return nil
		}
		if d == 0 {
			d = u.take(32)
		}
		told := u.take(t.Width)
		if last += d; u.dry || d == 0 || last >= 1<<epochBits || len(t.At) == MaxEvents {
			return corrupt("epoch %v has no end", t.Epoch)
		}
		t.At, t.Told = append(t.At, uint32(last)), append(t.Told, uint8(told))
	}
}

func orShort(err error) error {
	if err == nil {
		err = corrupt("a packet is cut off in its header")
	}
	return err
}

// Values is a packet of type 3: what is kept of each event that Times tells of.
type Values struct {
	Head
	Width int // bits kept of each, 1 to 4
	Kept  []uint8
}

const valuesHead = 16

// Append appends the packet to dst: 16 bytes of header (tag, epoch, entries, width)
// and the values, packed.
func (v *Values) Append(dst []byte) []byte {
	p := packer{b: append(dst, v.put(tagValues, uint32(len(v.Kept)), uint32(v.Width))...)}
	for _, x := range v.Kept {
		p.put(uint64(x), v.Width)
	}
	return p.bytes()
}

// ParseValues reads a whole packet of type 3. The number of entries must be told:
// without it somebody could make values of padding. Error: Corrupt.
func ParseValues(b []byte) (*Values, error) {
	h, words, ok, err := head(b, tagValues, valuesHead/4)
	if err != nil || !ok {
		return nil, orShort(err)
	}
	v := &Values{Head: h, Width: int(int32(words[3]))}
	if v.Width < 1 || v.Width > 4 {
		return nil, corrupt("values of %d bits cannot be", v.Width)
	}
	n := int(words[2])
	if want := (n*v.Width + 31) / 32 * 4; len(b)-valuesHead != want {
		return nil, corrupt("%d values in %d bytes, not %d", n, len(b)-valuesHead, want)
	}
	u := unpacker{b: b[valuesHead:]}
	v.Kept = make([]uint8, n)
	for i := range v.Kept {
		v.Kept[i] = uint8(u.take(v.Width))
	}
	if !u.rest() {
		return nil, corrupt("the values of epoch %v do not end with zeros", h.Epoch)
	}
	return v, nil
}
