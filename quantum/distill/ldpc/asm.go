//go:build ignore

// Command asm writes the AVX2 kernels of package ldpc, operation for operation
// those of curve.go, so that both give the same bits.
package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	takeOff()
	giveBack()
	multiply()
	addTo()
	Generate()
}

var constants = map[uint32]Mem{}

// word is eight copies of a word in memory.
func word(v uint32) Mem {
	m, ok := constants[v]
	if !ok {
		m = GLOBL(fmt.Sprintf("word%08x", v), attr.RODATA|attr.NOPTR)
		for i := range 8 {
			DATA(4*i, U32(v))
		}
		constants[v] = m
	}
	return m
}

func number(f float32) Mem { return word(math.Float32bits(f)) }

const sign = 1 << 31

// eight makes a loop over elements 0, 8, … of n, which is a multiple of 8 and not 0.
func eight(label string, body func(i reg.Register)) {
	n := Load(Param("n"), GP64())
	i := GP64()
	XORQ(i, i)
	Label(label)
	body(i)
	ADDQ(Imm(8), i)
	CMPQ(i, n)
	JLT(LabelRef(label))
	VZEROUPPER()
	RET()
}

func pointer(name string) func(i reg.Register) Mem {
	p := Load(Param(name), GP64())
	return func(i reg.Register) Mem { return Mem{Base: p, Index: i, Scale: 4} }
}

// horner leaves c[0] + x (c[1] + x (...)) in acc.
func horner(acc, x reg.VecVirtual, c ...float32) {
	VMOVUPS(number(c[len(c)-1]), acc)
	for k := len(c) - 2; k >= 0; k-- {
		VMULPS(x, acc, acc)
		VADDPS(number(c[k]), acc, acc)
	}
}

// split takes the sign of x into s and off x.
func split(x, s reg.VecVirtual) {
	VANDPS(word(sign), x, s)
	VXORPS(s, x, x)
}

func takeOff() {
	TEXT("takeOff8", NOSPLIT, "func(in, m *float32, bad *uint32, n int)")
	Pragma("noescape")
	Doc("takeOff8 adds the signs of in to bad and makes in tanh of half of in-m.")
	in, m, bad := pointer("in"), pointer("m"), pointer("bad")
	eight("takeOff", func(i reg.Register) {
		x, s, k, f, p := YMM(), YMM(), YMM(), YMM(), YMM()
		VMOVUPS(in(i), x)
		VXORPS(bad(i), x, s)
		VMOVUPS(s, bad(i))
		VSUBPS(m(i), x, x)
		split(x, s)
		VMULPS(number(-math.Log2E), x, x)
		VSUBPS(number(0.5), x, k)
		VCVTTPS2DQ(k, k)
		VCVTDQ2PS(k, f)
		VSUBPS(f, x, f)
		horner(p, f, 1, 0.69314718, 0.24022651, 0.055504109, 0.0096181291, 0.0013333558, 0.00015403530)
		VPADDD(word(127), k, k)
		VPSLLD(Imm(23), k, k)
		VMULPS(k, p, p)
		VCMPPS(Imm(5), number(-60), x, f) // not below
		VANDPS(f, p, p)
		VMOVUPS(number(1), x)
		VADDPS(p, x, f)
		VSUBPS(p, x, p)
		VDIVPS(f, p, p)
		VORPS(s, p, p)
		VMOVUPS(p, in(i))
	})
}

func giveBack() {
	TEXT("giveBack8", NOSPLIT, "func(t, p, acc, m *float32, n int)")
	Pragma("noescape")
	Doc("giveBack8 makes m twice atanh of p acc, takes t into acc and leaves m's change in t.")
	t, p, acc, m := pointer("t"), pointer("p"), pointer("acc"), pointer("m")
	eight("giveBack", func(i reg.Register) {
		a, b, s, k, one, y := YMM(), YMM(), YMM(), YMM(), YMM(), YMM()
		VMOVUPS(acc(i), b)
		VMULPS(p(i), b, a)
		VMULPS(t(i), b, b)
		VMOVUPS(b, acc(i))
		split(a, s)
		VMINPS(number(1-1.0/(1<<24)), a, a)
		VMOVUPS(number(1), one)
		VADDPS(a, one, b)
		VSUBPS(a, one, a)
		VDIVPS(a, b, a)
		VPADDD(word(0x3f800000-0x3f3504f3), a, a)
		VPSRLD(Imm(23), a, k)
		VPSUBD(word(127), k, k)
		VCVTDQ2PS(k, k)
		VPAND(word(0x7fffff), a, a)
		VPADDD(word(0x3f3504f3), a, a)
		VADDPS(one, a, b)
		VSUBPS(one, a, a)
		VDIVPS(b, a, a)
		VMULPS(a, a, b)
		horner(y, b, 2, 0.66666667, 0.4, 0.28571429)
		VMULPS(a, y, y)
		VMULPS(number(math.Ln2), k, k)
		VADDPS(k, y, y)
		VORPS(s, y, y)
		VSUBPS(m(i), y, a)
		VMOVUPS(y, m(i))
		VMOVUPS(a, t(i))
	})
}

func multiply() {
	TEXT("multiply8", NOSPLIT, "func(dst, a, b *float32, n int)")
	Pragma("noescape")
	Doc("multiply8 makes dst a times b.")
	dst, a, b := pointer("dst"), pointer("a"), pointer("b")
	eight("multiply", func(i reg.Register) {
		x := YMM()
		VMOVUPS(a(i), x)
		VMULPS(b(i), x, x)
		VMOVUPS(x, dst(i))
	})
}

func addTo() {
	TEXT("addTo8", NOSPLIT, "func(dst, a *float32, n int)")
	Pragma("noescape")
	Doc("addTo8 adds a to dst.")
	dst, a := pointer("dst"), pointer("a")
	eight("addTo", func(i reg.Register) {
		x := YMM()
		VMOVUPS(dst(i), x)
		VADDPS(a(i), x, x)
		VMOVUPS(x, dst(i))
	})
}
