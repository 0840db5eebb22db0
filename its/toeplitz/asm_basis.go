//go:build ignore

package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// steps16 lists the XORs (to, from) that bring sixteen coefficients into Cantor's
// basis: as package toeplitz's conversion does it.
func steps16() (steps [][2]int) {
	var do func(at, step, log int)
	fold := func(at, step, half, shift int) {
		for i := 2*half - 1; i >= half; i-- {
			steps = append(steps, [2]int{at + step*(i-half+shift), at + step*i})
		}
	}
	var expand func(at, step, log, digit int)
	expand = func(at, step, log, digit int) {
		if log == 0 {
			return
		}
		half := digit << (log - 1)
		fold(at, step, half, 1<<(log-1))
		expand(at, step, log-1, digit)
		expand(at+step*half, step, log-1, digit)
	}
	do = func(at, step, log int) {
		if log < 2 {
			return
		}
		e := log / 2 // of 4 and 2
		expand(at, step, log-e, 1<<e)
		for i := range 1 << e {
			do(at+step*i, step<<e, log-e)
		}
		for i := range 1 << (log - e) {
			do(at+step*(i<<e), step, e)
		}
	}
	do(0, 1, 4)
	return steps
}

func convert16(name string, up, swap bool) {
	text(name, "func(f *uint64, stride, step, n int)",
		name+" converts n times eight polynomials of 16 coefficients, which are stride bytes apart.")
	f, stride, step, n := param("f"), param("stride"), param("step"), param("n")
	steps := steps16()
	if up {
		slices.Reverse(steps)
	}
	Label("next")
	p := GP64()
	MOVQ(f, p)
	var x [16]VecVirtual
	each16(p, stride, func(i int, m Mem) {
		x[i] = ZMM()
		VMOVDQU64(m, x[i])
	})
	for _, s := range steps {
		to, from := s[0], s[1]
		if swap {
			to, from = from, to
		}
		add(x[to], x[from])
	}
	MOVQ(f, p)
	each16(p, stride, func(i int, m Mem) { VMOVDQU64(x[i], m) })
	ADDQ(step, f)
	DECQ(n)
	JNZ(LabelRef("next"))
	end()
}

// each16 calls do with sixteen places, stride apart.
func each16(p Register, stride GPVirtual, do func(i int, m Mem)) {
	for i := 0; i < 16; i += 2 {
		do(i, Mem{Base: p})
		do(i+1, Mem{Base: p, Index: stride, Scale: 1})
		if i < 14 {
			LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p)
		}
	}
}

// turn transposes squares of eight by eight words.
func turn() {
	text("turnGFNI", "func(dst *uint64, dstStride, dstStep int, src *uint64, srcStride, srcStep, n int)",
		"turnGFNI transposes n squares of eight by eight words; rows are a stride apart, squares a step, in bytes.")
	dst, dstStride, dstStep := param("dst"), param("dstStride"), param("dstStep")
	src, srcStride, srcStep, n := param("src"), param("srcStride"), param("srcStep"), param("n")
	Label("square")
	x := make([]VecVirtual, 8)
	p := GP64()
	MOVQ(src, p)
	for i := range x {
		x[i] = ZMM()
		VMOVDQU64(Mem{Base: p}, x[i])
		ADDQ(srcStride, p)
	}
	MOVQ(dst, p)
	for _, y := range transposed(x) {
		VMOVDQU64(y, Mem{Base: p})
		ADDQ(dstStride, p)
	}
	ADDQ(srcStep, src)
	ADDQ(dstStep, dst)
	DECQ(n)
	JNZ(LabelRef("square"))
	end()
}

// transposed exchanges single words between neighbouring rows, then pairs of
// words, then fours.
func transposed(x []VecVirtual) []VecVirtual {
	y := zmms(8)
	for i := 0; i < 8; i += 2 {
		VPUNPCKLQDQ(x[i+1], x[i], y[i])
		VPUNPCKHQDQ(x[i+1], x[i], y[i+1])
	}
	// y[i+k] has words k, 2+k, 4+k, 6+k of rows i and i+1, i even.
	z := zmms(8)
	for k := range 2 {
		for i := 0; i < 8; i += 4 {
			VSHUFI64X2(U8(0x88), y[i+2+k], y[i+k], z[i+k])   // words k, 4+k
			VSHUFI64X2(U8(0xdd), y[i+2+k], y[i+k], z[i+2+k]) // words 2+k, 6+k
		}
	}
	out := zmms(8)
	for k := range 2 {
		for j := range 2 {
			VSHUFI64X2(U8(0x88), z[4+2*j+k], z[2*j+k], out[2*j+k])
			VSHUFI64X2(U8(0xdd), z[4+2*j+k], z[2*j+k], out[4+2*j+k])
		}
	}
	return out
}

func zmms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}
