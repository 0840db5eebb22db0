package toeplitz

import (
	"math/bits"
	"sync"
)

// elem is an element of GF(2^128), GF(2)[a]/(a^128+a^7+a^2+a+1), by its
// coefficients: bit i belongs to a^i. A product of two polynomials of 64 bits
// is itself in this field: nothing is reduced.
type elem struct{ lo, hi uint64 }

func (a elem) xor(b elem) elem { return elem{a.lo ^ b.lo, a.hi ^ b.hi} }
func (a elem) bit(i int) uint64 {
	if i < 64 {
		return a.lo >> i & 1
	}
	return a.hi >> (i - 64) & 1
}
func (a elem) top() int {
	if a.hi != 0 {
		return 63 + bits.Len64(a.hi)
	}
	return bits.Len64(a.lo) - 1
}
func unit(i int) elem {
	if i < 64 {
		return elem{lo: 1 << i}
	}
	return elem{hi: 1 << (i - 64)}
}

// span solves linear equations over GF(2): it holds vectors, by their highest
// bit, with what they are made of.
type span struct{ vec, made [128]elem }

// reduce writes v as a sum of what was inserted, and returns the rest.
func (s *span) reduce(v elem) (rest, made elem) {
	for v != (elem{}) {
		t := v.top()
		if s.vec[t] == (elem{}) {
			break
		}
		v, made = v.xor(s.vec[t]), made.xor(s.made[t])
	}
	return v, made
}

func (s *span) insert(v, name elem) {
	rest, made := s.reduce(v)
	if rest != (elem{}) {
		s.vec[rest.top()], s.made[rest.top()] = rest, made.xor(name)
	}
}

// maxLog is the binary logarithm of the greatest number of points: 2^27 bits in
// chunks of 64.
const maxLog = 21

// pattern is a factor of GF(2^32) as the kernels use it: an element's words of
// four bytes w are multiplied by XORing, over r, the bytes of pattern[r] times
// the bytes of w whose numbers are changed by r. Factors of GF(2^16) have the
// first two words, factors of GF(2^8) the first.
type pattern [4]uint32

func (p pattern) xor(q pattern) pattern {
	for i := range p {
		p[i] ^= q[i]
	}
	return p
}

// tower says how elements are written for the transform, as 16 bytes: byte
// 4j+p is the coefficient, in GF(2^8) as AES represents it, of a^j times b_p
// with b = 1, v8, v16, v8·v16. Here v is Cantor's basis, v_i²+v_i = v_(i-1) and
// v_0 = 1: v_0 to v_(m-1) span GF(2^m) for m = 8, 16, 32, so that points of few
// dimensions have cheap factors.
type tower struct {
	cantor  [maxLog]pattern // v_i
	toPoly  [128]elem       // of each bit of the 16 bytes
	toTower [128]elem       // of each coefficient
}

var theTower = sync.OnceValue(makeTower)

func makeTower() *tower {
	t, v := new(tower), cantorBasis()
	theta := aesRoot(v[:8])
	beta := [4]elem{v[0], v[8], v[16], mulPlain(v[8], v[16])}
	var s span
	gamma := unit(0)
	for j := range 4 {
		for p, b := range beta {
			x := mulPlain(gamma, b)
			for i := range 8 {
				at := 32*j + 8*p + i
				t.toPoly[at] = x
				s.insert(x, unit(at))
				x = mulPlain(x, theta)
			}
		}
		gamma = mulPlain(gamma, unit(1))
	}
	for i := range t.toTower {
		_, t.toTower[i] = s.reduce(unit(i))
	}
	for i := range t.cantor {
		t.cantor[i] = makePattern(v[i], beta, t)
	}
	return t
}

// makePattern writes multiplication by c, an element of GF(2^32), as a matrix
// over GF(2^8).
func makePattern(c elem, beta [4]elem, t *tower) (m pattern) {
	for q, b := range beta {
		col := uint32(applyPlain(&t.toTower, mulPlain(c, b)).lo)
		for p := range 4 {
			m[p^q] |= (col >> (8 * p) & 0xff) << (8 * p)
		}
	}
	return m
}

func cantorBasis() (v [maxLog]elem) {
	var s span
	for i := range 128 {
		s.insert(mulPlain(unit(i), unit(i)).xor(unit(i)), unit(i))
	}
	v[0] = unit(0)
	for i := 1; i < len(v); i++ {
		_, v[i] = s.reduce(v[i-1])
	}
	return v
}

// aesRoot finds a root of x^8+x^4+x^3+x+1 among the sums of v.
func aesRoot(v []elem) elem {
	for m := 1; ; m++ {
		var x elem
		for i := range v {
			if m>>i&1 == 1 {
				x = x.xor(v[i])
			}
		}
		sum, pow := elem{}, unit(0)
		for i := range 9 {
			if 0x11b>>i&1 == 1 {
				sum = sum.xor(pow)
			}
			pow = mulPlain(pow, x)
		}
		if sum == (elem{}) {
			return x
		}
	}
}
