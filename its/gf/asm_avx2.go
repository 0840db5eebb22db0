//go:build ignore

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func ymms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// factor is a public element as its two rows of nibble products.
type factor struct{ low, high VecVirtual }

func newFactor() factor { return factor{YMM(), YMM()} }

// load reads the rows of the element at m from the tables.
func (f factor) load(tables GPVirtual, m Mem) {
	row := GP64()
	MOVBQZX(m, row)
	SHLQ(Imm(5), row)
	VBROADCASTI128(Mem{Base: tables, Index: row, Scale: 1}, f.low)
	VBROADCASTI128(Mem{Base: tables, Index: row, Scale: 1, Disp: 16}, f.high)
}

// nibble splits v into its nibbles.
func nibble(mask, v, low, high VecVirtual) {
	VPSRLQ(Imm(4), v, high)
	VPAND(mask, v, low)
	VPAND(mask, high, high)
}

// mul stores in out the product of f with the element whose nibbles are given.
func (f factor) mul(low, high, out VecVirtual) {
	t := YMM()
	VPSHUFB(low, f.low, t)
	VPSHUFB(high, f.high, out)
	VPXOR(t, out, out)
}

func nibbleMask() VecVirtual {
	m, r := YMM(), GP64()
	MOVQ(U64(0x0f0f0f0f0f0f0f0f), r)
	MOVQ(r, m.AsX())
	VPBROADCASTQ(m.AsX(), m)
	return m
}

// strips32 runs body over the positions from off up to end, a multiple of 32
// apart: in steps of u vectors of 32 bytes, then single ones.
func strips32(name string, off, end GPVirtual, u int, body func(u int)) {
	last := GP64()
	MOVQ(end, last)
	SUBQ(U32(32*u), last)
	Label(name)
	CMPQ(off, last)
	JG(LabelRef(name + "One"))
	body(u)
	ADDQ(U32(32*u), off)
	JMP(LabelRef(name))
	Label(name + "One")
	if u > 1 {
		CMPQ(off, end)
		JGE(LabelRef(name + "Done"))
		body(1)
		ADDQ(Imm(32), off)
		JMP(LabelRef(name + "One"))
		Label(name + "Done")
	}
	VZEROUPPER()
	RET()
}

func splitAVX2(m int) {
	text(fmt.Sprintf("splitAVX2x%d", m),
		"func(tables *[256][32]byte, dst *[]byte, points, secret, coeff *byte, stride, k, off, end int)",
		fmt.Sprintf("splitAVX2x%d computes %d shares; end-off is a multiple of 32.", m, m))
	tables := param("tables")
	dst, points, secret, top := param("dst"), param("points"), param("secret"), param("coeff")
	stride, k := param("stride"), param("k")
	off, end := param("off"), param("end")
	mask := nibbleMask()
	x := make([]factor, m)
	for i := range x {
		x[i] = newFactor()
		x[i].load(tables, Mem{Base: points, Disp: i})
	}
	skip := GP64()
	SUBQ(Imm(2), k)
	MOVQ(k, skip)
	IMULQ(stride, skip)
	ADDQ(skip, top)
	strips32("loop", off, end, 1, func(int) {
		v, low, high, acc := YMM(), YMM(), YMM(), ymms(m)
		VMOVDQU(at(top, off, 0, 32), v)
		nibble(mask, v, low, high)
		for i := range acc {
			x[i].mul(low, high, acc[i])
		}
		p, left := GP64().(GPVirtual), GP64()
		MOVQ(top, p)
		MOVQ(k, left)
		Label("run")
		TESTQ(left, left)
		JZ(LabelRef("runDone"))
		SUBQ(stride, p)
		VMOVDQU(at(p, off, 0, 32), v)
		for i := range acc {
			VPXOR(v, acc[i], acc[i])
			nibble(mask, acc[i], low, high)
			x[i].mul(low, high, acc[i])
		}
		DECQ(left)
		JMP(LabelRef("run"))
		Label("runDone")
		VMOVDQU(at(secret, off, 0, 32), v)
		d := GP64().(GPVirtual)
		for i := range acc {
			MOVQ(Mem{Base: dst, Disp: 24 * i}, d)
			VPXOR(v, acc[i], acc[i])
			VMOVDQU(acc[i], at(d, off, 0, 32))
		}
	})
}

func combineFixedAVX2(k int) {
	sources := map[int]string{2: "s0, s1", 3: "s0, s1, s2"}[k]
	text(fmt.Sprintf("combineAVX2x%d", k),
		"func(tables *[256][32]byte, dst, weights, "+sources+" *byte, n int)",
		fmt.Sprintf("combineAVX2x%d stores the weighted sum of %d inputs; n is a multiple of 32.", k, k))
	tables, dst, weights := param("tables"), param("dst"), param("weights")
	mask := nibbleMask()
	src, w := make([]GPVirtual, k), make([]factor, k)
	for i := range src {
		src[i] = param(fmt.Sprintf("s%d", i))
		w[i] = newFactor()
		w[i].load(tables, Mem{Base: weights, Disp: i})
	}
	end, off := param("n"), GP64().(GPVirtual)
	XORQ(off, off)
	strips32("loop", off, end, 2, func(u int) {
		for j := range u {
			acc := YMM()
			for i := range src {
				v, low, high := YMM(), YMM(), YMM()
				VMOVDQU(at(src[i], off, j, 32), v)
				nibble(mask, v, low, high)
				if i == 0 {
					w[i].mul(low, high, acc)
					continue
				}
				w[i].mul(low, high, v)
				VPXOR(v, acc, acc)
			}
			VMOVDQU(acc, at(dst, off, j, 32))
		}
	})
}

func combineAnyAVX2() {
	text("combineAVX2Any",
		"func(tables *[256][32]byte, dst, weights *byte, src *[]byte, k, off, end int)",
		"combineAVX2Any stores the weighted sum of k inputs; end-off is a multiple of 32.")
	tables, dst, weights, src, k := param("tables"), param("dst"), param("weights"), param("src"), param("k")
	off, end := param("off"), param("end")
	mask, w, inner := nibbleMask(), newFactor(), 0
	strips32("loop", off, end, 4, func(u int) {
		inner++
		name := fmt.Sprintf("input%d", inner)
		acc := ymms(u)
		for j := range u {
			VPXOR(acc[j], acc[j], acc[j])
		}
		i, p, s := GP64(), GP64(), GP64().(GPVirtual)
		XORQ(i, i)
		MOVQ(src, p)
		Label(name)
		MOVQ(Mem{Base: p}, s)
		w.load(tables, Mem{Base: weights, Index: i, Scale: 1})
		for j := range u {
			v, low, high := YMM(), YMM(), YMM()
			VMOVDQU(at(s, off, j, 32), v)
			nibble(mask, v, low, high)
			w.mul(low, high, v)
			VPXOR(v, acc[j], acc[j])
		}
		ADDQ(Imm(24), p)
		INCQ(i)
		CMPQ(i, k)
		JL(LabelRef(name))
		for j := range u {
			VMOVDQU(acc[j], at(dst, off, j, 32))
		}
	})
}
