package timetag

import (
	"io"

	"github.com/quantum-secure-cloud/qsc"
)

// Wiring says what each detector stands for, bits 0 to 3 of an event: a letter of
// V, H (basis 0) and -, + (basis 1). V and - are the value 0, H and + the value 1.
type Wiring string

// DefaultWiring is that of the format's BB84 protocol.
const DefaultWiring Wiring = "V-H+"

// protocolBB84 is its number in packets of type 2: basis told, value kept, a bit each.
const protocolBB84 = 1

// detector is what a click of one detector means.
type detector struct{ basis, value uint8 }

func (w Wiring) detectors() (d [4]detector, err error) {
	seen := 0
	for i, c := range w {
		x, ok := map[rune]detector{'V': {0, 0}, 'H': {0, 1}, '-': {1, 0}, '+': {1, 1}}[c]
		if !ok || i >= len(d) || seen&(1<<(2*x.basis+x.value)) != 0 {
			seen = 0
			break
		}
		seen |= 1 << (2*x.basis + x.value)
		d[i] = x
	}
	if seen != 15 {
		return d, qsc.E("timetag.Wiring", qsc.Invalid, "", "%q must be the letters V, H, - and + in the order of the detectors, such as %q", string(w), string(DefaultWiring))
	}
	return d, nil
}

// coins are random bits, drawn from a source in advance.
type coins struct {
	r    io.Reader
	bits uint64
	left int
}

func (c *coins) flip() (uint8, error) {
	if c.left == 0 {
		var b [8]byte
		if _, err := io.ReadFull(c.r, b[:]); err != nil {
			return 0, qsc.E("timetag.Sift", qsc.Other, "", "no random bits for double clicks: %w", err)
		}
		for i, x := range b {
			c.bits |= uint64(x) << (8 * i)
		}
		c.left = 64
	}
	b := uint8(c.bits & 1)
	c.bits >>= 1
	c.left--
	return b, nil
}

// clicks are one epoch's events as basis and value: what is told and what is kept.
type clicks struct {
	at    []uint32
	basis []uint8
	value []uint8
}

// read makes clicks of raw events. Those out of order, and those without a detector,
// are left out. Where several detectors clicked the outcome is drawn among the bases
// and values that they allow: dropping such events would let bright light choose
// which of them count.
func read(r *Raw, d [4]detector, c *coins) (*clicks, error) {
	out := &clicks{}
	last := int64(-1)
	for _, e := range r.Events {
		at := int64(e.Time & (1<<epochBits - 1))
		if e.Detectors&0xf == 0 || at <= last {
			continue
		}
		last = at
		x, err := outcome(e.Detectors, d, c)
		if err != nil {
			return nil, err
		}
		out.at = append(out.at, uint32(at))
		out.basis = append(out.basis, x.basis)
		out.value = append(out.value, x.value)
	}
	return out, nil
}

func outcome(detectors uint8, d [4]detector, c *coins) (detector, error) {
	var hit [2][2]bool
	n := 0
	var x detector
	for i := range d {
		if detectors>>i&1 == 1 {
			x = d[i]
			hit[x.basis][x.value] = true
			n++
		}
	}
	if n == 1 {
		return x, nil
	}
	if (hit[0][0] || hit[0][1]) && (hit[1][0] || hit[1][1]) {
		b, err := c.flip()
		if err != nil {
			return x, err
		}
		x.basis = b
	}
	x.value = 0
	if hit[x.basis][1] {
		x.value = 1
	}
	if hit[x.basis][0] && hit[x.basis][1] {
		b, err := c.flip()
		if err != nil {
			return x, err
		}
		x.value = b
	}
	return x, nil
}

// Split divides raw events of one epoch into what may be sent and what is kept, as
// the format's BB84 protocol has it: the same events in both. random gives bits for
// events of several detectors. Errors: Invalid for the wiring; those of random.
func Split(r *Raw, w Wiring, random io.Reader) (*Times, *Values, error) {
	d, err := w.detectors()
	if err != nil {
		return nil, nil, err
	}
	k, err := read(r, d, &coins{r: random})
	if err != nil {
		return nil, nil, err
	}
	return &Times{Head: r.Head, Width: 1, Protocol: protocolBB84, At: k.at, Told: k.basis},
		&Values{Head: r.Head, Width: 1, Kept: k.value}, nil
}
