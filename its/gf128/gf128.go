// Package gf128 multiplies polynomials over GF(2) and elements of GF(2^128),
// GF(2)[a]/(a^128+a^7+a^2+a+1), in plain Go: what the kernels of uhash and toeplitz
// fall back to, and are held to.
//
// Multiplication without carries is done with the integer multiplier: operands are
// taken apart into four classes with three empty bits after each bit, so that carries
// fall into the holes and are masked away. There is no table and no branch on data.
// Constant time therefore holds where the 64-bit integer multiply is constant time,
// as on amd64 and arm64.
//
// It is made to be right, not fast: for bulk there are kernels.
package gf128

import "math/bits"

const (
	class0 = 0x1111111111111111
	class1 = class0 << 1
	class2 = class0 << 2
	class3 = class0 << 3
)

// Mul64 returns the 128-bit product of x and y as polynomials over GF(2), bit i being
// the coefficient of a^i. A class holds 16 bits, and 16 ones meeting at one place would
// overflow three holes; so the top nibble of x is left out of the multiplier and added
// by shifts.
func Mul64(x, y uint64) (hi, lo uint64) {
	top := x >> 60
	x &= 1<<60 - 1
	x0, x1, x2, x3 := x&class0, x&class1, x&class2, x&class3
	y0, y1, y2, y3 := y&class0, y&class1, y&class2, y&class3

	h0, l0 := xor4(x0, y0, x1, y3, x2, y2, x3, y1)
	h1, l1 := xor4(x0, y1, x1, y0, x2, y3, x3, y2)
	h2, l2 := xor4(x0, y2, x1, y1, x2, y0, x3, y3)
	h3, l3 := xor4(x0, y3, x1, y2, x2, y1, x3, y0)
	hi = h0&class0 | h1&class1 | h2&class2 | h3&class3
	lo = l0&class0 | l1&class1 | l2&class2 | l3&class3

	for i := range uint(4) {
		m := -(top >> i & 1)
		lo ^= y << (60 + i) & m
		hi ^= y >> (4 - i) & m
	}
	return hi, lo
}

// xor4 returns ab + cd + ef + gh, integer products added without carry.
func xor4(a, b, c, d, e, f, g, h uint64) (hi, lo uint64) {
	h0, l0 := bits.Mul64(a, b)
	h1, l1 := bits.Mul64(c, d)
	h2, l2 := bits.Mul64(e, f)
	h3, l3 := bits.Mul64(g, h)
	return h0 ^ h1 ^ h2 ^ h3, l0 ^ l1 ^ l2 ^ l3
}

// Mul multiplies two elements of the field by Karatsuba's three products.
func Mul(aHi, aLo, bHi, bLo uint64) (hi, lo uint64) {
	h1, h0 := Mul64(aHi, bHi)
	l1, l0 := Mul64(aLo, bLo)
	m1, m0 := Mul64(aLo^aHi, bLo^bHi)
	return reduce(h1, h0^m1^h1^l1, l1^m0^h0^l0, l0)
}

// reduce takes a 256-bit product, highest word first, modulo a^128+a^7+a^2+a+1.
func reduce(p3, p2, p1, p0 uint64) (hi, lo uint64) {
	p1 ^= p3 ^ p3<<1 ^ p3<<2 ^ p3<<7
	p2 ^= p3>>63 ^ p3>>62 ^ p3>>57
	p0 ^= p2 ^ p2<<1 ^ p2<<2 ^ p2<<7
	p1 ^= p2>>63 ^ p2>>62 ^ p2>>57
	return p1, p0
}
