//go:build ignore

// Command asm writes the assembly kernels of package gf. Run it by go generate.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	split2of3()
	for m := 1; m <= 8; m++ {
		splitGFNI(m)
	}
	combineFixedGFNI(2)
	combineFixedGFNI(3)
	combineAnyGFNI()
	for m := 1; m <= 4; m++ {
		splitAVX2(m)
	}
	combineFixedAVX2(2)
	combineFixedAVX2(3)
	combineAnyAVX2()
	Generate()
}

// text opens a function that keeps none of its pointers.
func text(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

func param(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

func zmms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
}

func ymms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = YMM()
	}
	return v
}

// at addresses vector j of the given size at base+index.
func at(base, index GPVirtual, j, size int) Mem {
	return Mem{Base: base, Index: index, Scale: 1, Disp: j * size}
}

// ahead is how far in front of a store its line is fetched, in bytes. The
// processor foresees loads by itself, stores it does not.
const ahead = 768

// fetch asks for the line that a store to m will want later.
func fetch(m Mem) {
	m.Disp += ahead
	PREFETCHT0(m)
}

// strips runs body over the positions from off up to end: in steps of u
// vectors of 64 bytes, then single ones of which the last is masked. body gets
// the number of vectors and how to move them.
func strips(name string, off, end GPVirtual, u int, body func(u int, load func(Mem, VecVirtual), store func(VecVirtual, Mem))) {
	rest, ones, last := GP64(), GP64(), GP64()
	MOVQ(end, last)
	SUBQ(U32(64*u), last)
	Label(name)
	CMPQ(off, last)
	JG(LabelRef(name + "Tail"))
	body(u, func(m Mem, v VecVirtual) { VMOVDQU64(m, v) }, func(v VecVirtual, m Mem) { VMOVDQU64(v, m) })
	ADDQ(U32(64*u), off)
	JMP(LabelRef(name))
	Label(name + "Tail")
	MOVQ(I32(-1), ones)
	Label(name + "One")
	MOVQ(end, rest)
	SUBQ(off, rest)
	JLE(LabelRef(name + "Done"))
	Comment("rest is at most 256-1, so BZHIQ, which reads eight bits of it, keeps all ones from 64 on")
	BZHIQ(rest, ones, rest)
	mask := K()
	KMOVQ(rest, mask)
	body(1, func(m Mem, v VecVirtual) { VMOVDQU8_Z(m, mask, v) }, func(v VecVirtual, m Mem) { VMOVDQU8(v, mask, m) })
	ADDQ(Imm(64), off)
	JMP(LabelRef(name + "One"))
	Label(name + "Done")
	VZEROUPPER()
	RET()
}

func split2of3() {
	text("splitGFNI2of3", "func(d0, d1, d2, secret, coeff, points *byte, n int)",
		"splitGFNI2of3 stores secret + coeff·points[i] in each d, n bytes each.")
	d := []GPVirtual{param("d0"), param("d1"), param("d2")}
	s, a, points, end := param("secret"), param("coeff"), param("points"), param("n")
	x := zmms(3)
	for i := range x {
		VPBROADCASTB(Mem{Base: points, Disp: i}, x[i])
	}
	off := GP64().(GPVirtual)
	XORQ(off, off)
	strips("loop", off, end, 4, func(u int, load func(Mem, VecVirtual), store func(VecVirtual, Mem)) {
		sv, av := zmms(u), zmms(u)
		for j := range u {
			load(at(a, off, j, 64), av[j])
			load(at(s, off, j, 64), sv[j])
		}
		for i := range d {
			for j := range u {
				v := ZMM()
				VGF2P8MULB(x[i], av[j], v)
				VPXORQ(sv[j], v, v)
				fetch(at(d[i], off, j, 64))
				store(v, at(d[i], off, j, 64))
			}
		}
	})
}

// splitGFNI evaluates at m points at once by Horner's rule in registers.
func splitGFNI(m int) {
	text(fmt.Sprintf("splitGFNI%d", m),
		"func(dst *[]byte, points, secret, coeff *byte, stride, k, off, end int)",
		fmt.Sprintf("splitGFNI%d computes %d shares; run j of the coefficients is at coeff+j*stride.", m, m))
	dst, points, secret, top := param("dst"), param("points"), param("secret"), param("coeff")
	stride, k := param("stride"), param("k")
	off, end := param("off"), param("end")
	x := zmms(m)
	for i := range x {
		VPBROADCASTB(Mem{Base: points, Disp: i}, x[i])
	}
	skip := GP64()
	SUBQ(Imm(2), k)
	MOVQ(k, skip)
	IMULQ(stride, skip)
	ADDQ(skip, top)
	inner := 0
	strips("loop", off, end, 2, func(u int, load func(Mem, VecVirtual), store func(VecVirtual, Mem)) {
		inner++
		name := fmt.Sprintf("run%d", inner)
		v, acc := zmms(u), make([][]VecVirtual, m)
		for j := range u {
			load(at(top, off, j, 64), v[j])
		}
		for i := range acc {
			acc[i] = zmms(u)
			for j := range u {
				VGF2P8MULB(x[i], v[j], acc[i][j])
			}
		}
		p, left := GP64().(GPVirtual), GP64()
		MOVQ(top, p)
		MOVQ(k, left)
		Label(name)
		TESTQ(left, left)
		JZ(LabelRef(name + "Done"))
		SUBQ(stride, p)
		for j := range u {
			load(at(p, off, j, 64), v[j])
		}
		for i := range acc {
			for j := range u {
				VPXORQ(v[j], acc[i][j], acc[i][j])
				VGF2P8MULB(x[i], acc[i][j], acc[i][j])
			}
		}
		DECQ(left)
		JMP(LabelRef(name))
		Label(name + "Done")
		for j := range u {
			load(at(secret, off, j, 64), v[j])
		}
		d := GP64().(GPVirtual)
		for i := range acc {
			MOVQ(Mem{Base: dst, Disp: 24 * i}, d)
			for j := range u {
				VPXORQ(v[j], acc[i][j], acc[i][j])
				fetch(at(d, off, j, 64))
				store(acc[i][j], at(d, off, j, 64))
			}
		}
	})
}

func combineFixedGFNI(k int) {
	sources := map[int]string{2: "s0, s1", 3: "s0, s1, s2"}[k]
	text(fmt.Sprintf("combineGFNI%d", k), "func(dst, weights, "+sources+" *byte, n int)",
		fmt.Sprintf("combineGFNI%d stores the weighted sum of %d inputs of n bytes.", k, k))
	dst, weights := param("dst"), param("weights")
	src, w := make([]GPVirtual, k), zmms(k)
	for i := range src {
		src[i] = param(fmt.Sprintf("s%d", i))
		VPBROADCASTB(Mem{Base: weights, Disp: i}, w[i])
	}
	end, off := param("n"), GP64().(GPVirtual)
	XORQ(off, off)
	strips("loop", off, end, 4, func(u int, load func(Mem, VecVirtual), store func(VecVirtual, Mem)) {
		acc := zmms(u)
		for i := range src {
			for j := range u {
				v := ZMM()
				load(at(src[i], off, j, 64), v)
				if i == 0 {
					VGF2P8MULB(w[i], v, acc[j])
					continue
				}
				VGF2P8MULB(w[i], v, v)
				VPXORQ(v, acc[j], acc[j])
			}
		}
		for j := range u {
			fetch(at(dst, off, j, 64))
			store(acc[j], at(dst, off, j, 64))
		}
	})
}

func combineAnyGFNI() {
	text("combineGFNIAny", "func(dst, weights *byte, src *[]byte, k, off, end int)",
		"combineGFNIAny stores the weighted sum of k inputs.")
	dst, weights, src, k := param("dst"), param("weights"), param("src"), param("k")
	off, end := param("off"), param("end")
	inner := 0
	strips("loop", off, end, 4, func(u int, load func(Mem, VecVirtual), store func(VecVirtual, Mem)) {
		inner++
		name := fmt.Sprintf("input%d", inner)
		acc, w := zmms(u), ZMM()
		for j := range u {
			VPXORQ(acc[j], acc[j], acc[j])
		}
		i, p, s := GP64(), GP64(), GP64().(GPVirtual)
		XORQ(i, i)
		MOVQ(src, p)
		Label(name)
		MOVQ(Mem{Base: p}, s)
		VPBROADCASTB(Mem{Base: weights, Index: i, Scale: 1}, w)
		for j := range u {
			v := ZMM()
			load(at(s, off, j, 64), v)
			VGF2P8MULB(w, v, v)
			VPXORQ(v, acc[j], acc[j])
		}
		ADDQ(Imm(24), p)
		INCQ(i)
		CMPQ(i, k)
		JL(LabelRef(name))
		for j := range u {
			fetch(at(dst, off, j, 64))
			store(acc[j], at(dst, off, j, 64))
		}
	})
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
