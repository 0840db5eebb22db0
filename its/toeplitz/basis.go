package toeplitz

// Conversion between a polynomial's coefficients and those in Cantor's basis,
// whose polynomial number i is the product of s_j over the bits j of i, where s_j
// vanishes on the span of v_0 to v_(j-1). With Cantor's v, s_j(s_k) = s_(j+k) and
// s_j = x^(2^j) + x where j is a power of two: conversion is writing a polynomial
// in powers of such an s_j, then converting the digits and the row of digits. It
// consists of XORs between coefficients, so it is done on chunks as they are.

// conversion is one of four: down goes from coefficients to Cantor's basis and up
// undoes it, swapped is the transpose of that, done with every XOR the other way.
type conversion struct {
	k    kernel
	up   bool
	swap bool
	turn []uint64 // scratch of turned words, as many
}

// turned is how many words are brought into another order so that digits of one
// word each lie eight together: eight polynomials of 256 coefficients.
const turned = 8 * 256

func (b *scratch) convert(k kernel, f []uint64, d direction) {
	c := conversion{k, d.up, (d.swap == 1) != d.up, b.turn[:]}
	c.do(f, b.log, 1)
}

// do converts a polynomial of 2^log coefficients of width words.
func (c *conversion) do(f []uint64, log, width int) {
	if log < 2 || log == 4 && c.k.convert16(f, width, c.up, c.swap) {
		return
	}
	e := 1
	for 2*e < log {
		e *= 2
	}
	if !c.up {
		c.expand(f, log-e, width<<e, width)
	}
	c.do(f, log-e, width<<e)
	c.digits(f, e, width)
	if c.up {
		c.expand(f, log-e, width<<e, width)
	}
}

// digits converts each of f's polynomials of 2^log coefficients.
func (c *conversion) digits(f []uint64, log, width int) {
	if log == 8 && width == 1 && len(f) >= turned && c.k != plain {
		for ; len(f) > 0; f = f[turned:] {
			c.k.turn(c.turn, f, false)
			c.do(c.turn, log, 8)
			c.k.turn(f, c.turn, true)
		}
		return
	}
	for n := width << log; len(f) > 0; f = f[n:] {
		c.do(f[:n], log, width)
	}
}

// expand writes f, of 2^log digits, in powers of y = x^B + x, or undoes it: f's
// upper half is divided by y^M = x^(MB) + x^M, then both halves are expanded. A
// digit of B coefficients has digit words, one coefficient width.
func (c *conversion) expand(f []uint64, log, digit, width int) {
	if log == 0 {
		return
	}
	half := digit << (log - 1)
	if !c.up {
		c.fold(f, half, width<<(log-1))
	}
	c.expand(f[:half], log-1, digit, width)
	c.expand(f[half:], log-1, digit, width)
	if c.up {
		c.fold(f, half, width<<(log-1))
	}
}

// fold adds the upper half, moved down to shift, to the polynomial.
func (c *conversion) fold(f []uint64, half, shift int) {
	low, high := f[shift:half], f[half:2*half-shift]
	mid, top := f[half:half+shift], f[2*half-shift:]
	if c.swap {
		low, high, mid, top = high, low, top, mid
	}
	if c.up {
		c.k.xor(low, high)
		c.k.xor(mid, top)
		return
	}
	c.k.xor(mid, top)
	c.k.xor(low, high)
}
