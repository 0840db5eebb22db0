//go:build ignore

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func zmms(n int) []VecVirtual {
	v := make([]VecVirtual, n)
	for i := range v {
		v[i] = ZMM()
	}
	return v
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
