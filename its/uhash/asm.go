//go:build ignore

// Command asm writes the carry-less-multiply kernels of package uhash.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	maxPow = 64 // as in package uhash
	poly   = 0x87
	xor3   = 0x96 // truth table of VPTERNLOG
)

func main() {
	ConstraintExpr("!purego")
	mulEach("mulEachCLMUL", xmm, 1)
	blocksCLMUL()
	mulEach("mulEachVPCLMUL", zmm, 4)
	blocksVPCLMUL()
	Generate()
}

// vec numbers the vector registers of one width.
type vec func(i int) reg.VecPhysical

func xmm(i int) reg.VecPhysical {
	return []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
		reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15}[i]
}

func zmm(i int) reg.VecPhysical {
	return []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}[i]
}

// The registers all functions agree on.
const (
	rH    = 0 // the running hash, or an unused register
	rLo   = 1 // the sum of products: low, high and middle words
	rHi   = 2
	rMid  = 3
	rA    = 4
	rB    = 5
	rT    = 6  // to 9: one product
	rU    = 10 // to 13: another
	rPoly = 14
	rPow  = 16 // to 31, only with AVX-512
)

// xor adds a to dst.
func xor(v vec, a, dst int) {
	if v(a).Size() == 16 {
		VPXOR(v(a), v(dst), v(dst))
		return
	}
	VPXORQ(v(a), v(dst), v(dst))
}

// product puts the four products of the words of a and b into t..t+3: low, high
// and the two middle ones.
func product(v vec, a, b, t int) {
	for i, sel := range []uint64{0x00, 0x11, 0x01, 0x10} {
		VPCLMULQDQ(Imm(sel), v(a), v(b), v(t+i))
	}
}

// accumulate adds the product in t to the sum.
func accumulate(v vec, t int) {
	xor(v, t, rLo)
	xor(v, t+1, rHi)
	xor(v, t+2, rMid)
	xor(v, t+3, rMid)
}

// reduce leaves the sum, modulo x^128+x^7+x^2+x+1, in rLo.
func reduce(v vec) {
	VPSLLDQ(Imm(8), v(rMid), v(rT))
	VPSRLDQ(Imm(8), v(rMid), v(rT+1))
	xor(v, rT, rLo)
	xor(v, rT+1, rHi)
	// The highest word, times poly, falls on words 1 and 2; then word 2 falls
	// on words 0 and 1.
	VPCLMULQDQ(Imm(0x10), v(rHi), v(rPoly), v(rT))
	VPSLLDQ(Imm(8), v(rT), v(rT+1))
	VPSRLDQ(Imm(8), v(rT), v(rT+2))
	xor(v, rT+1, rLo)
	xor(v, rT+2, rHi)
	VPCLMULQDQ(Imm(0x00), v(rHi), v(rPoly), v(rT+3))
	xor(v, rT+3, rLo)
}

// loadPoly puts poly into the low word of every 128-bit lane of rPoly.
func loadPoly(v vec, lanes int) {
	g := GP64()
	MOVQ(U32(poly), g)
	VMOVQ(g, reg.X14)
	if lanes > 1 {
		VPBROADCASTQ(reg.X14, v(rPoly))
	}
}

func clearSum(v vec) {
	for _, r := range []int{rLo, rHi, rMid} {
		VPXOR(xmm(r), xmm(r), xmm(r)) // clears the wider registers too
	}
}

// maskFor sets K1 to the words of n < 4 elements.
func maskFor(n reg.GPVirtual) {
	bits, ones := GP64(), GP64()
	LEAQ(Mem{Base: n, Index: n, Scale: 1}, bits)
	MOVQ(I32(0xff), ones)
	BZHIQ(bits, ones, ones)
	KMOVW(ones.As32(), reg.K1)
}

// mulEach writes dst[i] = src[i] * by for n elements.
func mulEach(name string, v vec, lanes int) {
	TEXT(name, NOSPLIT, "func(dst, src, by *uint64, n int)")
	Pragma("noescape")
	Doc(name + " sets dst[i] = src[i] * by for n elements of the field.")
	dst := Load(Param("dst"), GP64()).(reg.GPVirtual)
	src := Load(Param("src"), GP64()).(reg.GPVirtual)
	by := Load(Param("by"), GP64()).(reg.GPVirtual)
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	loadPoly(v, lanes)
	if lanes == 1 {
		VMOVDQU(Mem{Base: by}, v(rB))
	} else {
		VBROADCASTI32X4(Mem{Base: by}, v(rB))
	}
	step := lanes * 16
	Label("whole")
	CMPQ(n, U8(lanes))
	JLT(LabelRef("rest"))
	if lanes == 1 {
		VMOVDQU(Mem{Base: src}, v(rA))
	} else {
		VMOVDQU64(Mem{Base: src}, v(rA))
	}
	mulAB(v)
	if lanes == 1 {
		VMOVDQU(v(rLo), Mem{Base: dst})
	} else {
		VMOVDQU64(v(rLo), Mem{Base: dst})
	}
	ADDQ(U8(step), src)
	ADDQ(U8(step), dst)
	SUBQ(U8(lanes), n)
	JMP(LabelRef("whole"))
	Label("rest")
	if lanes > 1 {
		TESTQ(n, n)
		JZ(LabelRef("done"))
		maskFor(n)
		VMOVDQU64_Z(Mem{Base: src}, reg.K1, v(rA))
		mulAB(v)
		VMOVDQU64(v(rLo), reg.K1, Mem{Base: dst})
		Label("done")
		VZEROUPPER()
	}
	RET()
}

func mulAB(v vec) {
	clearSum(v)
	product(v, rA, rB, rT)
	accumulate(v, rT)
	reduce(v)
}

func blocksCLMUL() {
	TEXT("blocksCLMUL", NOSPLIT, "func(h, pow *uint64, n int, p *byte, blocks int)")
	Pragma("noescape")
	Doc("blocksCLMUL takes the blocks from p into h, at most n before each reduction;", "pow[maxPow-i] is r^i for 1 <= i <= n.")
	h := Load(Param("h"), GP64()).(reg.GPVirtual)
	end := Load(Param("pow"), GP64()).(reg.GPVirtual)
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	p := Load(Param("p"), GP64()).(reg.GPVirtual)
	blocks := Load(Param("blocks"), GP64()).(reg.GPVirtual)
	v := vec(xmm)
	loadPoly(v, 1)
	VMOVDQU(Mem{Base: h}, v(rH))

	Label("group")
	TESTQ(blocks, blocks)
	JZ(LabelRef("done"))
	CMPQ(n, blocks)
	CMOVQGT(blocks, n)
	SUBQ(n, blocks)
	clearSum(v)
	// From the last block to the first: the first waits for the previous group.
	off, pow := GP64(), GP64()
	MOVQ(n, off)
	SHLQ(U8(4), off)
	LEAQ(Mem{Base: end, Disp: maxPow * 16}, pow)
	SUBQ(off, pow)
	SUBQ(U8(16), off)
	Label("block")
	JZ(LabelRef("first"))
	VMOVDQU(Mem{Base: p, Index: off, Scale: 1}, v(rA))
	VMOVDQU(Mem{Base: pow, Index: off, Scale: 1}, v(rB))
	product(v, rA, rB, rT)
	accumulate(v, rT)
	SUBQ(U8(16), off)
	JMP(LabelRef("block"))
	Label("first")
	VPXOR(Mem{Base: p}, v(rH), v(rA))
	VMOVDQU(Mem{Base: pow}, v(rB))
	product(v, rA, rB, rT)
	accumulate(v, rT)
	reduce(v)
	VMOVDQA(v(rLo), v(rH))
	next := GP64()
	MOVQ(n, next)
	SHLQ(U8(4), next)
	ADDQ(next, p)
	JMP(LabelRef("group"))
	Label("done")
	VMOVDQU(v(rH), Mem{Base: h})
	RET()
}

func blocksVPCLMUL() {
	TEXT("blocksVPCLMUL", NOSPLIT, "func(h, pow *uint64, n int, p *byte, blocks int)")
	Pragma("noescape")
	Doc("blocksVPCLMUL takes the blocks from p into h, at most n before each reduction;", "pow[maxPow-i] is r^i for 1 <= i <= n.")
	h := Load(Param("h"), GP64()).(reg.GPVirtual)
	pow := Load(Param("pow"), GP64()).(reg.GPVirtual)
	n := Load(Param("n"), GP64()).(reg.GPVirtual)
	p := Load(Param("p"), GP64()).(reg.GPVirtual)
	blocks := Load(Param("blocks"), GP64()).(reg.GPVirtual)
	loadPoly(zmm, 4)
	VMOVDQU(Mem{Base: h}, reg.X0)

	CMPQ(n, U8(maxPow))
	JNE(LabelRef("group"))
	CMPQ(blocks, U8(maxPow))
	JLT(LabelRef("group"))
	for i := range 16 {
		VMOVDQU64(Mem{Base: pow, Disp: 64 * i}, zmm(rPow+i))
	}
	Label("kilobyte")
	kilobyte(p)
	ADDQ(U32(64*16), p)
	SUBQ(U8(maxPow), blocks)
	CMPQ(blocks, U8(maxPow))
	JGE(LabelRef("kilobyte"))

	Label("group")
	TESTQ(blocks, blocks)
	JZ(LabelRef("done"))
	group(pow, n, p, blocks)
	JMP(LabelRef("group"))
	Label("done")
	VMOVDQU(reg.X0, Mem{Base: h})
	VZEROUPPER()
	RET()
}

// kilobyte takes 64 blocks in, two registers at a time, from the last to the
// first: the first waits for the hash of the previous kilobyte.
func kilobyte(p reg.GPVirtual) {
	for i := 14; i >= 0; i -= 2 {
		VMOVDQU64(Mem{Base: p, Disp: 64 * (i + 1)}, zmm(rB))
		product(zmm, rB, rPow+i+1, rU)
		VMOVDQU64(Mem{Base: p, Disp: 64 * i}, zmm(rA))
		if i == 0 {
			xor(zmm, rH, rA)
		}
		product(zmm, rA, rPow+i, rT)
		if i == 14 {
			VPXORQ(zmm(rT), zmm(rU), zmm(rLo))
			VPXORQ(zmm(rT+1), zmm(rU+1), zmm(rHi))
			VPXORQ(zmm(rT+2), zmm(rU+2), zmm(rMid))
		} else {
			VPTERNLOGQ(U8(xor3), zmm(rT), zmm(rU), zmm(rLo))
			VPTERNLOGQ(U8(xor3), zmm(rT+1), zmm(rU+1), zmm(rHi))
			VPTERNLOGQ(U8(xor3), zmm(rT+2), zmm(rU+2), zmm(rMid))
		}
		VPTERNLOGQ(U8(xor3), zmm(rT+3), zmm(rU+3), zmm(rMid))
	}
	fold()
}

// group takes the next min(n, blocks) blocks in and advances p and blocks.
func group(pow, n, p, blocks reg.GPVirtual) {
	q, left := GP64(), GP64()
	CMPQ(n, blocks)
	CMOVQGT(blocks, n)
	SUBQ(n, blocks)
	MOVQ(n, left)
	MOVQ(n, q)
	SHLQ(U8(4), q)
	NEGQ(q)
	LEAQ(Mem{Base: pow, Index: q, Scale: 1, Disp: maxPow * 16}, q)
	clearSum(zmm)

	Label("four")
	CMPQ(left, U8(4))
	JLT(LabelRef("rest"))
	VPXORQ(Mem{Base: p}, zmm(rH), zmm(rA))
	VMOVDQU64(Mem{Base: q}, zmm(rB))
	product(zmm, rA, rB, rT)
	accumulate(zmm, rT)
	VPXOR(reg.X0, reg.X0, reg.X0)
	ADDQ(U8(64), p)
	ADDQ(U8(64), q)
	SUBQ(U8(4), left)
	JMP(LabelRef("four"))

	Label("rest")
	TESTQ(left, left)
	JZ(LabelRef("fold"))
	maskFor(left)
	VMOVDQU64_Z(Mem{Base: p}, reg.K1, zmm(rA))
	VMOVDQU64_Z(Mem{Base: q}, reg.K1, zmm(rB))
	xor(zmm, rH, rA)
	product(zmm, rA, rB, rT)
	accumulate(zmm, rT)
	SHLQ(U8(4), left)
	ADDQ(left, p)

	Label("fold")
	fold()
}

// fold reduces the four sums and adds them up into rH, clearing its upper lanes.
func fold() {
	reduce(zmm)
	VEXTRACTI64X4(U8(1), reg.Z1, reg.Y6)
	VPXOR(reg.Y6, reg.Y1, reg.Y1)
	VEXTRACTI128(U8(1), reg.Y1, reg.X6)
	VPXOR(reg.X6, reg.X1, reg.X0)
}
