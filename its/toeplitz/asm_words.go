//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// strips runs body over n words: eight at a time, then what is left, masked. body
// gets how to load and store.
func strips(n GPVirtual, body func(load func(Mem, VecVirtual), store func(VecVirtual, Mem)), advance ...GPVirtual) {
	Label("strip")
	CMPQ(n, U8(8))
	JLT(LabelRef("rest"))
	body(func(m Mem, v VecVirtual) { VMOVDQU64(m, v) }, func(v VecVirtual, m Mem) { VMOVDQU64(v, m) })
	for _, p := range advance {
		ADDQ(U8(64), p)
	}
	SUBQ(U8(8), n)
	JMP(LabelRef("strip"))
	Label("rest")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	ones, mask := GP64(), K()
	MOVQ(I32(0xff), ones)
	BZHIQ(n, ones, ones)
	KMOVW(ones.As32(), mask)
	body(func(m Mem, v VecVirtual) { VMOVDQU64_Z(m, mask, v) }, func(v VecVirtual, m Mem) { VMOVDQU64(v, mask, m) })
	Label("done")
}

func xorRun() {
	text("xorGFNI", "func(dst, src *uint64, n int)", "xorGFNI adds n words to dst.")
	dst, src, n := param("dst"), param("src"), param("n")
	strips(n, func(load func(Mem, VecVirtual), store func(VecVirtual, Mem)) {
		x, y := ZMM(), ZMM()
		load(Mem{Base: src}, x)
		load(Mem{Base: dst}, y)
		add(y, x)
		store(y, Mem{Base: dst})
	}, dst, src)
	end()
}

func dot() {
	text("dotGFNI", "func(sum *uint64, a, b *uint64, n int)", "dotGFNI sets sum to the sum of the products of n words.")
	sum, a, b, n := param("sum"), param("a"), param("b"), param("n")
	even, odd := ZMM(), ZMM()
	VPXORQ(even, even, even)
	VPXORQ(odd, odd, odd)
	strips(n, func(load func(Mem, VecVirtual), _ func(VecVirtual, Mem)) {
		x, y, s, t := ZMM(), ZMM(), ZMM(), ZMM()
		load(Mem{Base: a}, x)
		load(Mem{Base: b}, y)
		VPCLMULQDQ(U8(0x00), x, y, s)
		VPCLMULQDQ(U8(0x11), x, y, t)
		add(even, s)
		add(odd, t)
	}, a, b)
	add(even, odd)
	half, quarter := YMM(), XMM()
	VEXTRACTI64X4(U8(1), even, half)
	VPXOR(half, even.AsY(), half)
	VEXTRACTI128(U8(1), half, quarter)
	VPXOR(quarter, half.AsX(), quarter)
	VMOVDQU(quarter, Mem{Base: sum})
	end()
}
