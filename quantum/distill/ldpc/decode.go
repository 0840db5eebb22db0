package ldpc

import "math"

// Decoder holds the messages of one decoding. It is used by one goroutine at a
// time.
type Decoder struct {
	c        *Code
	soft     []float32 // log-likelihood ratio of every variable, blocks padded
	messages []float32 // from checks to variables, edge by edge
	in       []float32 // into one row's checks
	fwd      []float32 // products from the first edge on
	acc      []float32
	sign     []float32 // of one row's syndrome: +1 or -1
	bad      []uint32
	check    []uint64
}

// certain is the log-likelihood ratio of what is known: more than all messages to
// a variable together.
const certain = 1 << 14

// NewDecoder returns a decoder of c. It takes 4 bytes for each edge and variable.
func NewDecoder(c *Code) *Decoder {
	most := 0
	for _, r := range c.rows {
		most = max(most, len(r.edges))
	}
	return &Decoder{
		c:        c,
		soft:     make([]float32, c.cols*c.z),
		messages: make([]float32, c.edges*c.z),
		in:       make([]float32, most*c.z),
		fwd:      make([]float32, most*c.z),
		acc:      make([]float32, c.z),
		sign:     make([]float32, c.z),
		bad:      make([]uint32, c.z),
		check:    make([]uint64, (c.m+63)/64),
	}
}

// Decode finds bits whose syndrome is the given one and that llr makes likely:
// llr[i] = log P(bit i = 0)/P(bit i = 1), N of them, ±Inf where the bit is known.
// It works by the sum-product rule, row by row (layered), and stops when the
// syndrome is met or after maxIter passes.
//
// bits gets the N decided bits in either case; ok says that their syndrome is the
// given one. iterations counts the passes made.
func (d *Decoder) Decode(bits []uint64, llr []float32, syndrome []uint64, maxIter int) (iterations int, ok bool) {
	d.load(llr)
	for iterations < maxIter {
		iterations++
		if !d.pass(syndrome) {
			continue // some check was not met by what went in
		}
		if d.decide(bits, syndrome) {
			return iterations, true
		}
	}
	return iterations, d.decide(bits, syndrome)
}

func (d *Decoder) load(llr []float32) {
	clear(d.messages)
	for i, l := range llr[:d.c.n] {
		d.soft[i] = max(-certain, min(certain, l))
	}
	for i := d.c.n; i < len(d.soft); i++ {
		d.soft[i] = certain
	}
}

// pass updates every row once, and reports whether all checks were met by the
// signs that came in.
func (d *Decoder) pass(syndrome []uint64) bool {
	met, at, z := true, 0, d.c.z
	for r, row := range d.c.rows {
		size := len(row.edges) * z
		d.signs(syndrome, r*z, row.checks)
		if !d.gather(row, d.messages[at:at+size]) {
			met = false
		}
		d.update(row, d.messages[at:at+size])
		at += size
	}
	return met
}

// signs unpacks the syndrome bits of one row.
func (d *Decoder) signs(syndrome []uint64, at, count int) {
	for j := range count {
		s := syndrome[(at+j)/64] >> ((at + j) % 64) & 1
		d.sign[j] = float32(1 - 2*int(s))
	}
}

// gather turns each block of the row into place, takes off what the row said last
// and leaves tanh of half the rest in d.in. It reports whether the row's checks
// were met before.
func (d *Decoder) gather(r row, messages []float32) bool {
	z := d.c.z
	bad := d.bad[:r.checks]
	for j := range bad {
		bad[j] = math.Float32bits(d.sign[j])
	}
	for i, e := range r.edges {
		block := d.soft[e.col*z : e.col*z+z]
		in := d.in[i*z : i*z+z]
		copy(in, block[e.shift:])
		copy(in[z-e.shift:], block[:e.shift])
		takeOff(in[:r.checks], messages[i*z:], bad)
	}
	var any uint32
	for _, b := range bad {
		any |= b
	}
	return any>>31 == 0
}

// update makes the row's new messages by products from both ends, and adds their
// change to the blocks.
func (d *Decoder) update(r row, messages []float32) {
	z, last, count := d.c.z, len(r.edges)-1, r.checks
	copy(d.fwd[:count], d.sign)
	for i := range last {
		multiply(d.fwd[(i+1)*z:][:count], d.fwd[i*z:], d.in[i*z:])
	}
	acc := d.acc[:count]
	for j := range acc {
		acc[j] = 1
	}
	for i := last; i >= 0; i-- {
		change, e := d.in[i*z:][:count], r.edges[i]
		giveBack(change, d.fwd[i*z:], acc, messages[i*z:])
		block := d.soft[e.col*z : e.col*z+z]
		head := min(z-e.shift, count)
		addTo(block[e.shift:][:head], change)
		addTo(block[:count-head], change[head:])
	}
}

// decide writes the signs to bits and compares the syndrome.
func (d *Decoder) decide(bits, syndrome []uint64) bool {
	harden(bits, d.soft[:d.c.n])
	d.c.Syndrome(d.check, bits)
	for i, w := range d.check {
		if w != syndrome[i] {
			return false
		}
	}
	return true
}

func harden(bits []uint64, soft []float32) {
	for i := 0; i < len(soft); i += 64 {
		var w uint64
		for j, l := range soft[i:min(i+64, len(soft))] {
			w |= uint64(math.Float32bits(l)>>31) << j
		}
		bits[i/64] = w
	}
}
