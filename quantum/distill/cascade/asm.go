//go:build ignore

// Command asm writes the AVX-512 and GFNI kernel of package cascade.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"github.com/mmcloughlin/avo/attr"
)

// The 64 × 64 bits are 8 × 8 squares of 8 × 8 bits. Row i of squares is loaded as
// eight words; its bytes are brought together square by square, bottom row first as
// the matrices of GFNI want them; a matrix times the unit matrix is its transpose.
// Then squares change places, and bytes go back to words.
func main() {
	ConstraintExpr("!purego")
	squares := table("squares", func(i int) byte { return byte(8*(7-i%8) + i/8) })
	words := table("words", func(i int) byte { return byte(8*(i%8) + i/8) })
	unit := table("unit", func(i int) byte { return 1 << (i % 8) })

	TEXT("transposeGFNI", NOSPLIT, "func(m *[64]uint64)")
	Pragma("noescape")
	Doc("transposeGFNI does what transposePlain does.")
	m := Load(Param("m"), GP64()).(GPVirtual)
	order, one := ZMM(), ZMM()
	VMOVDQU64(squares, order)
	VMOVDQU64(unit, one)
	var z [8]VecVirtual
	for i := range z {
		z[i] = ZMM()
		VMOVDQU64(Mem{Base: m, Disp: 64 * i}, z[i])
		VPERMB(z[i], order, z[i])
		VGF2P8AFFINEQB(Imm(0), z[i], one, z[i])
	}
	VMOVDQU64(words, order)
	for odd := range 2 {
		var t [4]VecVirtual // of two rows each, every second square
		for i := range t {
			t[i] = ZMM()
			if odd == 0 {
				VPUNPCKLQDQ(z[2*i+1], z[2*i], t[i])
			} else {
				VPUNPCKHQDQ(z[2*i+1], z[2*i], t[i])
			}
		}
		for half := range 2 {
			a, b := ZMM(), ZMM()
			every := []uint64{0x88, 0xdd}
			VSHUFI64X2(Imm(every[half]), t[1], t[0], a)
			VSHUFI64X2(Imm(every[half]), t[3], t[2], b)
			for last := range 2 {
				out := ZMM()
				VSHUFI64X2(Imm(every[last]), b, a, out)
				VPERMB(out, order, out)
				VMOVDQU64(out, Mem{Base: m, Disp: 64 * (odd + 2*half + 4*last)})
			}
		}
	}
	VZEROUPPER()
	RET()
	Generate()
}

// table declares 64 constant bytes.
func table(name string, at func(i int) byte) Mem {
	t := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 64 {
		DATA(i, U8(at(i)))
	}
	return t
}
