// Package gf is arithmetic over GF(2^8) with the polynomial x^8+x^4+x^3+x+1
// (0x11B), in single elements and in bulk: the bulk part evaluates and
// interpolates many sharing polynomials at once, one per byte position.
//
// Two bulk operations exist, Split and Combine, each with several kernels of
// equal result: GFNI with AVX-512, AVX2, and plain Go. The fastest that this
// processor and its operating system offer is chosen at start; Kernels and Use
// let tests and benchmarks choose another, and the build tag purego leaves only
// the plain one.
//
// Timing: points and interpolation weights are public and may steer branches
// and table look-ups. Data bytes never do, in any kernel.
//
// The package draws no randomness, hashes nothing, encrypts nothing, does no
// I/O and knows nothing of shares, thresholds or headers; that is its/share.
package gf

// Poly is the field polynomial. It is part of the share format: Vault and the
// x86 instruction GF2P8MULB use the same one, other libraries use 0x11D.
const Poly = 0x11B

// Mul returns a·b, in constant time.
func Mul(a, b byte) byte {
	var p byte
	for range 8 {
		p ^= a & -(b & 1)
		a = a<<1 ^ Poly&0xff&-(a>>7)
		b >>= 1
	}
	return p
}

// Inv returns the inverse of a, in constant time, and 0 for 0, which has none.
func Inv(a byte) byte {
	// a^254 = a^2 · a^4 · … · a^128.
	p, sq := byte(1), a
	for range 7 {
		sq = Mul(sq, sq)
		p = Mul(p, sq)
	}
	return p
}
