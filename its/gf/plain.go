package gf

import "encoding/binary"

// Eight field elements in one word, in memory order. Every step is a shift, a
// mask or an integer product, so no data byte becomes an address or a branch.

const (
	lanes    = 0x0101010101010101
	laneTop  = 0x80 * lanes
	laneRest = Poly & 0xff * lanes
)

// double multiplies each of the eight elements of v by x.
func double(v uint64) uint64 {
	top := v & laneTop
	// top-top>>7 is 0x7f in each element that overflows.
	return (v^top)<<1 ^ (top-top>>7)&laneRest
}

// splitPlain is the plain Go twin of Split: Horner's rule, one output and one
// coefficient run at a time, the output serving as the accumulator.
func splitPlain(dst [][]byte, points []byte, secret, coeff []byte, k, off, end int) {
	length := len(secret)
	for lo := off; lo < end; lo += tileMin {
		hi := min(lo+tileMin, end)
		for i, x := range points {
			d := dst[i][lo:hi]
			run := func(j int) []byte { return coeff[j*length+lo : j*length+hi] }
			if k == 2 {
				mulAdd(d, run(0), secret[lo:hi], x)
				continue
			}
			mulAdd(d, run(k-2), run(k-3), x)
			for j := k - 4; j >= 0; j-- {
				mulAdd(d, d, run(j), x)
			}
			mulAdd(d, d, secret[lo:hi], x)
		}
	}
}

// sumTile is how many bytes of the sum combinePlain keeps on the stack.
const sumTile = 2 << 10

// combinePlain is the plain Go twin of Combine. The sum grows aside, for dst
// may be one of the inputs.
func combinePlain(dst, weights []byte, src [][]byte, off, end int) {
	var sum [sumTile]byte
	for lo := off; lo < end; lo += sumTile {
		hi := min(lo+sumTile, end)
		part := sum[:hi-lo]
		clear(part)
		for i, w := range weights {
			mulAdd(part, src[i][lo:hi], part, w)
		}
		copy(dst[lo:hi], part)
	}
}

// mulAdd sets dst = a·c + b for a public c. All are of one length, and dst may
// be a or b.
func mulAdd(dst, a, b []byte, c byte) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := len(dst) &^ 7
	if c <= 3 {
		mulAddSmall(dst[:n], a[:n], b[:n], c)
	} else {
		mulAddWords(dst[:n], a[:n], b[:n], c)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = Mul(a[i], c) ^ b[i]
	}
}

// mulAddSmall is mulAdd for c from 0 to 3, the points of three shares: one
// doubling is enough.
func mulAddSmall(dst, a, b []byte, c byte) {
	once, twice := -uint64(c&1), -uint64(c>>1)
	for i := 0; i <= len(dst)-8; i += 8 {
		v := binary.LittleEndian.Uint64(a[i:])
		v = v&once ^ double(v)&twice ^ binary.LittleEndian.Uint64(b[i:])
		binary.LittleEndian.PutUint64(dst[i:], v)
	}
}

// mulAddWords is mulAdd for any c. Bit i of an element selects the product of
// c with x^i: the integer product of a word of zeros and ones with a byte never
// carries from one element into the next.
func mulAddWords(dst, a, b []byte, c byte) {
	p := productsOf(c)
	p0, p1, p2, p3, p4, p5, p6, p7 := p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
	for i := 0; i <= len(dst)-8; i += 8 {
		v := binary.LittleEndian.Uint64(a[i:])
		v = v&lanes*p0 ^ v>>1&lanes*p1 ^ v>>2&lanes*p2 ^ v>>3&lanes*p3 ^
			v>>4&lanes*p4 ^ v>>5&lanes*p5 ^ v>>6&lanes*p6 ^ v>>7&lanes*p7
		binary.LittleEndian.PutUint64(dst[i:], v^binary.LittleEndian.Uint64(b[i:]))
	}
}

// productsOf returns the products of c with x^0 to x^7.
func productsOf(c byte) (p [8]uint64) {
	v := uint64(c)
	for i := range p {
		p[i] = v
		v = double(v)
	}
	return p
}
