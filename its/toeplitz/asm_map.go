//go:build ignore

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Maps between the tower and coefficients work on the eight elements of two
// rows: element 2·lane + i lies in row i. Their bytes are brought into planes,
// one word of eight bytes for each place in an element, and every plane is
// multiplied by the bit matrices that lead from it to the sixteen new planes.

// pair is two registers: two rows, or the planes 0 to 7 and 8 to 15.
type pair [2]VecVirtual

func newPair() pair { return pair{ZMM(), ZMM()} }

// orders are the orders of bytes that a function uses.
type orders struct{ toPlanes, toRows pair }

var toPlanesTable, toRowsTable [2]Mem
var turnTable Mem

func tables() {
	for r := 1; r < 4; r++ {
		flipTables[r] = table([]string{"", "flip1", "flip2", "flip3"}[r], 16, func(i int) int { return i ^ r })
	}
	for h := range 2 {
		toPlanesTable[h] = table([]string{"planes0", "planes1"}[h], 64, func(i int) int {
			p, e := i/8+8*h, i%8
			return e%2*64 + e/2*16 + p
		})
		toRowsTable[h] = table([]string{"rows0", "rows1"}[h], 64, func(i int) int {
			lane, p := i/16, i%16
			return p/8*64 + p%8*8 + 2*lane + h
		})
	}
	turnTable = table("turn", 64, func(i int) int { return i%8*8 + i/8 })
}

func loadPair(m [2]Mem) (x pair) {
	for h := range x {
		x[h] = ZMM()
		VMOVDQU64(m[h], x[h])
	}
	return x
}

// permute returns x's bytes in another order.
func permute(x, order pair) pair {
	y := newPair()
	for h := range y {
		VMOVDQA64(order[h], y[h])
		VPERMI2B(x[1], x[0], y[h])
	}
	return y
}

// apply multiplies planes in local memory, of which there are n, by a matrix.
func apply(local Mem, n int, matrix Register) pair {
	sum := newPair()
	for p := 0; p < n; p += 2 {
		x, y := ZMM(), ZMM()
		VPBROADCASTQ(local.Offset(8*p), x)
		VPBROADCASTQ(local.Offset(8*p+8), y)
		for h := range sum {
			s, t := ZMM(), ZMM()
			VGF2P8AFFINEQB(U8(0), Mem{Base: matrix, Disp: 128*p + 64*h}, x, s)
			VGF2P8AFFINEQB(U8(0), Mem{Base: matrix, Disp: 128*(p+1) + 64*h}, y, t)
			if p == 0 {
				VPXORQ(s, t, sum[h])
			} else {
				VPTERNLOGQ(U8(xor3), s, t, sum[h])
			}
		}
	}
	return sum
}

// mapPair takes two rows to planes, multiplied.
func mapPair(x, toPlanes pair, local Mem, matrix Register) pair {
	y := permute(x, toPlanes)
	VMOVDQU64(y[0], local)
	VMOVDQU64(y[1], local.Offset(64))
	return apply(local, 16, matrix)
}

// erase clears local memory, which held key, and returns.
func erase(local Mem) {
	z := ZMM()
	VPXORQ(z, z, z)
	VMOVDQU64(z, local)
	VMOVDQU64(z, local.Offset(64))
	end()
}

func rowPair(p Register) [2]Mem { return [2]Mem{{Base: p}, {Base: p, Disp: rowSize}} }

func storePair(x pair, p Register) {
	for h, m := range rowPair(p) {
		VMOVDQU64(x[h], m)
	}
}

// streams returns the places of the four lanes' next two words.
func streams(p, stride GPVirtual) [4]Mem {
	p2 := GP64()
	LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p2)
	return [4]Mem{{Base: p}, {Base: p, Index: stride, Scale: 1}, {Base: p2}, {Base: p2, Index: stride, Scale: 1}}
}

func encode() {
	text("encodeGFNI", "func(rows *uint64, pairs int, chunks *uint64, stride int, matrix, lanes *uint64)",
		"encodeGFNI writes chunks as elements and does the layers within rows; lanes are stride bytes apart.")
	rows, n, chunks, stride, matrix := param("rows"), param("pairs"), param("chunks"), param("stride"), param("matrix")
	local := AllocLocal(128)
	turn, toRows, within := ZMM(), loadPair(toRowsTable), loadLanes(param("lanes"))
	VMOVDQU64(turnTable, turn)
	Label("pair")
	x := ZMM()
	for lane, m := range streams(chunks, stride) {
		if lane == 0 {
			VMOVDQU(m, x.AsX())
			continue
		}
		VINSERTI64X2(U8(lane), m, x, x)
	}
	VPERMB(x, turn, x)
	VMOVDQU64(x, local)
	y := permute(apply(local, 8, matrix), toRows)
	within.do(y)
	storePair(y, rows)
	ADDQ(U8(16), chunks)
	ADDQ(U32(2*rowSize), rows)
	DECQ(n)
	JNZ(LabelRef("pair"))
	erase(local)
}

func toPoly() {
	text("toPolyGFNI", "func(rows *uint64, pairs int, matrix *uint64)", "toPolyGFNI multiplies elements by a matrix.")
	rows, n, matrix := param("rows"), param("pairs"), param("matrix")
	local := AllocLocal(128)
	toPlanes, toRows := loadPair(toPlanesTable), loadPair(toRowsTable)
	Label("pair")
	x := mapPair(loadPair(rowPair(rows)), toPlanes, local, matrix)
	storePair(permute(x, toRows), rows)
	ADDQ(U32(2*rowSize), rows)
	DECQ(n)
	JNZ(LabelRef("pair"))
	erase(local)
}

func multiply() {
	text("multiplyGFNI", "func(rows, by *uint64, pairs int, toPoly, toTower *uint64)",
		"multiplyGFNI multiplies elements of the tower by elements given by coefficients.")
	rows, by, n, poly, tower := param("rows"), param("by"), param("pairs"), param("toPoly"), param("toTower")
	local := AllocLocal(128)
	toPlanes, toRows := loadPair(toPlanesTable), loadPair(toRowsTable)
	modulus := ZMM()
	g := GP64()
	MOVQ(U32(0x87), g)
	VPBROADCASTQ(g, modulus)
	Label("pair")
	x := permute(mapPair(loadPair(rowPair(rows)), toPlanes, local, poly), toRows)
	y := loadPair(rowPair(by))
	for h := range x {
		x[h] = product(x[h], y[h], modulus)
	}
	storePair(permute(mapPair(x, toPlanes, local, tower), toRows), rows)
	ADDQ(U32(2*rowSize), rows)
	ADDQ(U32(2*rowSize), by)
	DECQ(n)
	JNZ(LabelRef("pair"))
	erase(local)
}

// product multiplies modulo x^128+x^7+x^2+x+1.
func product(a, b, modulus VecVirtual) VecVirtual {
	lo, hi, m, k := ZMM(), ZMM(), ZMM(), ZMM()
	VPCLMULQDQ(U8(0x00), a, b, lo)
	VPCLMULQDQ(U8(0x11), a, b, hi)
	VPCLMULQDQ(U8(0x01), a, b, m)
	VPCLMULQDQ(U8(0x10), a, b, k)
	add(m, k)
	s, t := ZMM(), ZMM()
	VPSLLDQ(U8(8), m, s)
	VPSRLDQ(U8(8), m, t)
	add(lo, s)
	add(hi, t)
	// The highest word falls on words 1 and 2, then word 2 on words 0 and 1.
	u := ZMM()
	VPCLMULQDQ(U8(0x10), hi, modulus, u)
	VPSLLDQ(U8(8), u, s)
	VPSRLDQ(U8(8), u, t)
	add(hi, t)
	VPCLMULQDQ(U8(0x00), hi, modulus, u)
	VPTERNLOGQ(U8(xor3), s, u, lo)
	return lo
}

func decode() {
	text("decodeGFNI", "func(lo, hi *uint64, stride int, rows *uint64, pairs int, matrix, lanes *uint64)",
		"decodeGFNI does the layers within rows and writes coefficients; lanes are stride bytes apart.")
	lo, hi, stride := param("lo"), param("hi"), param("stride")
	rows, n, matrix := param("rows"), param("pairs"), param("matrix")
	local := AllocLocal(128)
	toPlanes, turn, within := loadPair(toPlanesTable), ZMM(), loadLanes(param("lanes"))
	VMOVDQU64(turnTable, turn)
	Label("pair")
	y := loadPair(rowPair(rows))
	within.do(y)
	x := mapPair(y, toPlanes, local, matrix)
	for h, p := range []GPVirtual{lo, hi} {
		VPERMB(x[h], turn, x[h])
		for lane, m := range streams(p, stride) {
			if lane == 0 {
				VMOVDQU(x[h].AsX(), m)
				continue
			}
			VEXTRACTI64X2(U8(lane), x[h], m)
		}
		ADDQ(U8(16), p)
	}
	ADDQ(U32(2*rowSize), rows)
	DECQ(n)
	JNZ(LabelRef("pair"))
	erase(local)
}
