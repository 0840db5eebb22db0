package toeplitz

import (
	"math/bits"

	"github.com/quantum-secure-cloud/qsc/its/gf128"
)

// small is the number of words below which the product is done word by word.
const small = 32

// Product sets dst to the product of a and b as polynomials over GF(2), whose
// coefficient i is bit i%64 of word i/64. dst has len(a)+len(b) words, at most
// MaxBits bits, else Product panics; it must not overlap a or b.
func Product(dst, a, b []uint64) {
	if len(dst) != len(a)+len(b) || len(dst) > MaxBits/64 {
		panic("toeplitz: Product of a wrong number of words")
	}
	clear(dst)
	if len(a) < small || len(b) < small {
		schoolbook(dst, a, b)
		return
	}
	k, log := choice.Active(), bits.Len(uint(len(dst)-1))
	p, x, y := planFor(log), borrow(log), borrow(log)
	defer x.giveBack()
	defer y.giveBack()
	for f, w := range map[*scratch][]uint64{x: a, y: b} {
		clear(f.lo[copy(f.lo, w):])
		f.convert(k, f.lo, forward)
	}
	p.evaluate(k, y.rows, y.lo, forward)
	p.multiply(k, x, y.rows, inverse)
	x.convert(k, x.lo, inverse)
	x.convert(k, x.hi, inverse)
	copy(dst, x.lo)
	k.xor(dst[1:], x.hi[:len(dst)-1])
}

func schoolbook(dst, a, b []uint64) {
	for i, v := range a {
		for j, w := range b {
			hi, lo := gf128.Mul64(v, w)
			dst[i+j] ^= lo
			dst[i+j+1] ^= hi
		}
	}
}
