package toeplitz

import (
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// What the tests compare with. Nothing here is shared with the package.

// random returns n words that depend on the seed alone.
func random(seed uint64, n int) []uint64 {
	r, w := rand.New(rand.NewPCG(seed, 7)), make([]uint64, n)
	for i := range w {
		w[i] = r.Uint64()
	}
	return w
}

func randomRows(seed uint64, n int) []row {
	rows, w := make([]row, n), random(seed, 8*n)
	for i := range rows {
		copy(rows[i][:], w[8*i:])
	}
	return rows
}

func bitOf(w []uint64, i int) uint64 { return w[i/64] >> (i % 64) & 1 }

// naiveHash is the definition, bit by bit.
func naiveHash(seed, x []uint64, n, l int) []uint64 {
	out := make([]uint64, (l+63)/64)
	for i := range l {
		b := bitOf(x, i)
		for j := range n - l {
			b ^= bitOf(seed, i-j+n-l-1) & bitOf(x, l+j)
		}
		out[i/64] |= b << (i % 64)
	}
	return out
}

// productHash is the definition as a product of polynomials: the coefficients
// from n-l-1 on of the seed times the tail.
func productHash(seed, x []uint64, n, l int) []uint64 {
	out := cut(x, 0, l)
	if l == n {
		return out
	}
	tail := cut(x, l, n)
	p := karatsuba(pad(cut(seed, 0, n-1)), pad(tail))
	for i, w := range cut(p, n-l-1, n-1) {
		out[i] ^= w
	}
	return out
}

// cut returns bits from to to-1 of w.
func cut(w []uint64, from, to int) []uint64 {
	out := make([]uint64, (to-from+63)/64)
	for i := from; i < to; i++ {
		out[(i-from)/64] |= bitOf(w, i) << ((i - from) % 64)
	}
	return out
}

// pad makes the length the next power of two.
func pad(w []uint64) []uint64 {
	n := 1
	for n < len(w) {
		n *= 2
	}
	return append(w, make([]uint64, n-len(w))...)
}

// karatsuba multiplies polynomials whose lengths are powers of two.
func karatsuba(a, b []uint64) []uint64 {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := make([]uint64, len(a)+len(b))
	if len(b) <= 16 {
		for i, w := range b {
			mulWord(out[i:], a, w)
		}
		return out
	}
	if len(a) > len(b) {
		for i := 0; i < len(a); i += len(b) {
			addTo(out[i:], karatsuba(a[i:i+len(b)], b))
		}
		return out
	}
	h := len(a) / 2
	low, high := karatsuba(a[:h], b[:h]), karatsuba(a[h:], b[h:])
	sa, sb := append([]uint64(nil), a[:h]...), append([]uint64(nil), b[:h]...)
	addTo(sa, a[h:])
	addTo(sb, b[h:])
	mid := karatsuba(sa, sb)
	addTo(mid, low)
	addTo(mid, high)
	addTo(out, low)
	addTo(out[2*h:], high)
	addTo(out[h:], mid)
	return out
}

func addTo(dst, src []uint64) {
	for i, w := range src {
		dst[i] ^= w
	}
}

// mulWord adds w times a to dst, by four bits of a at a time.
func mulWord(dst, a []uint64, w uint64) {
	var lo, hi [16]uint64
	for t := 1; t < 16; t++ {
		lo[t], hi[t] = lo[t/2]<<1, hi[t/2]<<1|lo[t/2]>>63
		if t%2 == 1 {
			lo[t] ^= w
		}
	}
	for j, v := range a {
		var l, h uint64
		for range 16 {
			h = h<<4 | l>>60
			l = l<<4 ^ lo[v>>60]
			h ^= hi[v>>60]
			v <<= 4
		}
		dst[j] ^= l
		dst[j+1] ^= h
	}
}

// eachKernel runs a test under every kernel.
func eachKernel(t *testing.T, f func(t *testing.T)) { testkit.EachKernel(t, Kernels(), Use, f) }

// eachName runs f under every kernel, without subtests.
func eachName(t *testing.T, f func()) { testkit.UnderKernels(t, Kernels(), Use, func(string) { f() }) }
