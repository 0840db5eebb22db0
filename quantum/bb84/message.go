package bb84

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// The messages of sifting. Integers are big-endian, fields of bits begin in the
// lowest bit of their first byte and end in zero bits.
const (
	typeClicks  = distill.TypeSift + 0 // Bob: what he detected, and in which bases
	typeKept    = distill.TypeSift + 1 // Alice: what is kept, intensities, her test bits
	typeTally   = distill.TypeSift + 2 // Bob: errors of the test basis
	typeVerdict = distill.TypeSift + 3 // Alice: go on or not, and with which error rate
	typeBye     = distill.TypeSift + 4 // Bob, empty: he knows that this block is given up
)

func corrupt(format string, args ...any) error {
	return qsc.E("bb84.Sift", qsc.Corrupt, "", format, args...)
}

// Flags of a message of clicks.
const (
	flagLast = 1 << iota // the window ends with it
	flagNone             // there is no window any more
)

const clicksHeader = 1 + 8 + 8 + 4

// maxClicksMessage: a header, a basis bit and a gap of at most 9 bytes for each.
const maxClicksMessage = clicksHeader + maxClicks/8 + 9*maxClicks

// append writes: flags (1), first pulse (8), pulse after the last (8), number n of
// clicks (4), n basis bits, n gaps as varints: pulses between a click and the one
// before it, or the first pulse.
func (c *clicks) append(b []byte) []byte {
	var flags byte
	if c.last {
		flags |= flagLast
	}
	if c.none {
		flags |= flagNone
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, c.from)
	b = binary.BigEndian.AppendUint64(b, c.to)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.pulse)))
	b = c.basis.append(b)
	next := c.from
	for _, p := range c.pulse {
		b = binary.AppendUvarint(b, p-next)
		next = p + 1
	}
	return b
}

// heard is a message of clicks as Alice reads it, from the front.
type heard struct {
	flags    byte
	from, to uint64
	n        int
	basis    packed
	gaps     []byte
	pulse    uint64 // from here on
}

func parseClicks(b []byte) (h heard, err error) {
	if len(b) < clicksHeader {
		return h, corrupt("clicks in %d bytes", len(b))
	}
	h = heard{flags: b[0], from: binary.BigEndian.Uint64(b[1:]), to: binary.BigEndian.Uint64(b[9:])}
	n := binary.BigEndian.Uint32(b[17:])
	b = b[clicksHeader:]
	if h.flags&^(flagLast|flagNone) != 0 || h.to < h.from || h.to > maxCount || n > maxClicks {
		return h, corrupt("clicks of pulses %d to %d, %d of them, flags %#x", h.from, h.to, n, h.flags)
	}
	h.n = int(n)
	if h.basis, h.gaps, err = cut(b, h.n); err != nil {
		return h, err
	}
	if len(h.gaps) < h.n || uint64(n) > h.to-h.from {
		return h, corrupt("%d clicks in %d bytes and %d pulses", n, len(b), h.to-h.from)
	}
	h.pulse = h.from
	return h, nil
}

// next returns the numbers of the next clicks, at most 64. It fails when the gaps
// leave the stretch or the message.
func (h *heard) next(pulses *[64]uint64, n int) error {
	at, b := h.pulse, h.gaps
	for i := range n {
		var gap uint64
		switch {
		case len(b) >= 1 && b[0] < 0x80:
			gap, b = uint64(b[0]), b[1:]
		case len(b) >= 2 && b[1] < 0x80 && b[1] > 0:
			gap, b = uint64(b[0]&0x7f)|uint64(b[1])<<7, b[2:]
		default:
			v, size := binary.Uvarint(b)
			if size <= 0 || b[size-1] == 0 {
				return corrupt("a click without a gap")
			}
			gap, b = v, b[size:]
		}
		if gap >= h.to-at {
			return corrupt("a click beyond pulse %d", h.to)
		}
		pulses[i] = at + gap
		at += gap + 1
	}
	h.pulse, h.gaps = at, b
	return nil
}

// end fails when something stands behind the last click.
func (h *heard) end() error {
	if len(h.gaps) != 0 {
		return corrupt("%d bytes behind the last click", len(h.gaps))
	}
	return nil
}

// state says whether Alice wants more clicks.
type state byte

const (
	stateMore   state = iota
	stateFull         // the block is full, or the window over
	stateScarce       // too little came
)

const keptHeader = 1 + 4

// maxKeptMessage: for each click a kept bit, two bits of intensity, a test bit.
const maxKeptMessage = keptHeader + 4*(maxClicks/8+1)

// kept are Alice's answers to a message of clicks.
type kept struct {
	mask, low, high, test packer
}

func (k *kept) reset() {
	for _, p := range []*packer{&k.mask, &k.low, &k.high, &k.test} {
		p.reset()
	}
}

// append writes: state (1), number of clicks (4), a bit for each that is 1 if it is
// kept; for each kept the low bit of its intensity; for each kept the high bit; for
// each kept in the test basis Alice's bit.
func (k *kept) append(b []byte, s state) []byte {
	b = append(b, byte(s))
	b = binary.BigEndian.AppendUint32(b, uint32(k.mask.len()))
	return k.test.append(k.high.append(k.low.append(k.mask.append(b))))
}

// answer is the same as Bob reads it.
type answer struct {
	state           state
	mask, low, high packed
	test            []byte // as long as his bases make it
}

// parseKept reads the answer to n clicks.
func parseKept(b []byte, n int) (a answer, err error) {
	if len(b) < keptHeader || binary.BigEndian.Uint32(b[1:]) != uint32(n) || b[0] > byte(stateScarce) {
		return a, corrupt("an answer of %d bytes to %d clicks", len(b), n)
	}
	a.state = state(b[0])
	a.mask, b, err = cut(b[keptHeader:], n)
	if err == nil {
		a.low, b, err = cut(b, a.mask.count())
	}
	if err == nil {
		a.high, a.test, err = cut(b, a.low.n)
	}
	return a, err
}

// tally is what Bob tells at the block's end.
type tally struct {
	wrong   [3]uint64 // errors in the test basis, by intensity
	blinded bool      // his detectors do not behave like detectors
}

const tallySize = 3*8 + 1

func (t tally) append(b []byte) []byte {
	for _, v := range t.wrong {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	if t.blinded {
		return append(b, 1)
	}
	return append(b, 0)
}

func parseTally(b []byte) (t tally, err error) {
	if len(b) != tallySize || b[24] > 1 {
		return t, corrupt("a tally of %d bytes", len(b))
	}
	for i := range t.wrong {
		t.wrong[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	t.blinded = b[24] == 1
	return t, nil
}

// verdict is Alice's last word.
type verdict struct {
	word ruling
	qber float64 // in steps of 2^-32
}

type ruling byte

const (
	rulingGo ruling = iota
	rulingNoisy
	rulingBlinded
)

const verdictSize = 1 + 4

func (v verdict) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(v.word)), uint32(min(events.Threshold(v.qber, 32), 1<<32-1)))
}

func parseVerdict(b []byte) (v verdict, err error) {
	if len(b) != verdictSize || b[0] > byte(rulingBlinded) {
		return v, corrupt("a verdict of %d bytes", len(b))
	}
	v = verdict{ruling(b[0]), float64(binary.BigEndian.Uint32(b[1:])) / (1 << 32)}
	if v.qber > 0.5 {
		return v, corrupt("an error rate of %.3f", v.qber)
	}
	return v, nil
}
