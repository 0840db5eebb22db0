//go:build ignore

package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// factor is a pattern, a register for each word.
type factor []VecVirtual

// flips are the orders in which a factor's words want the data's bytes.
var flips [4]VecVirtual

func loadFlips(kind int) {
	for r := 1; r < kind; r++ {
		flips[r] = ZMM()
		VBROADCASTI32X4(flipTables[r], flips[r])
	}
}

var flipTables [4]Mem

// addMul adds w times f to dst.
func addMul(dst, w VecVirtual, f factor) {
	product := make([]VecVirtual, len(f))
	for r := range f {
		product[r] = ZMM()
		if r == 0 {
			VGF2P8MULB(f[0], w, product[0])
			continue
		}
		VPSHUFB(flips[r], w, product[r])
		VGF2P8MULB(f[r], product[r], product[r])
	}
	if len(f) == 1 {
		add(dst, product[0])
		return
	}
	for r := 0; r < len(f); r += 2 {
		VPTERNLOGQ(U8(xor3), product[r], product[r+1], dst)
	}
}

func add(dst, x VecVirtual) { VPXORQ(x, dst, dst) }

func down4(x [4]VecVirtual, a, b, b1 factor) {
	addMul(x[0], x[2], a)
	addMul(x[1], x[3], a)
	add(x[2], x[0])
	add(x[3], x[1])
	addMul(x[0], x[1], b)
	addMul(x[2], x[3], b1)
	add(x[1], x[0])
	add(x[3], x[2])
}

func up4(x [4]VecVirtual, a, b, b1 factor) {
	add(x[0], x[1])
	add(x[2], x[3])
	addMul(x[1], x[0], b)
	addMul(x[3], x[2], b1)
	add(x[0], x[2])
	add(x[1], x[3])
	addMul(x[2], x[0], a)
	addMul(x[3], x[1], a)
}

// pass4 does two layers on blocks of four parts.
func pass4(name string, kind int, butterfly func(x [4]VecVirtual, a, b, b1 factor)) {
	text(fmt.Sprintf("%s4x%d", name, kind), "func(rows *uint64, stride, q, blocks int, twA, twB *uint32, c *uint64)",
		fmt.Sprintf("%s4x%d does two layers with factors of %d words; stride is in bytes.", name, kind, kind))
	rows, stride, q, blocks := param("rows"), param("stride"), param("q"), param("blocks")
	twA, twB, c := param("twA"), param("twB"), param("c")
	loadFlips(kind)
	size := GP64()
	MOVQ(q, size)
	SHLQ(U8(8), size) // four parts of q rows of 64 bytes
	a, b := loadFactors(c, kind)
	b1 := append(factor{ZMM()}, b[1:]...)
	Label("block")
	for r := range kind {
		VPBROADCASTD(Mem{Base: twA, Disp: 4 * r}, a[r])
		VPXORQ(Mem{Base: c, Disp: laneA + rowSize*r}, a[r], a[r])
		VPBROADCASTD(Mem{Base: twB, Disp: 4 * r}, b[r])
		VPXORQ(Mem{Base: c, Disp: laneB + rowSize*r}, b[r], b[r])
	}
	VPXORQ(Mem{Base: c, Disp: v1}, b[0], b1[0])
	p, p1, left := GP64(), GP64(), GP64()
	MOVQ(rows, p)
	MOVQ(q, left)
	Label("row")
	LEAQ(Mem{Base: p, Index: stride, Scale: 1}, p1)
	part := []Mem{{Base: p}, {Base: p1}, {Base: p, Index: stride, Scale: 2}, {Base: p1, Index: stride, Scale: 2}}
	var x [4]VecVirtual
	for i := range x {
		x[i] = ZMM()
		VMOVDQU64(part[i], x[i])
	}
	butterfly(x, a, b, b1)
	for i := range x {
		VMOVDQU64(x[i], part[i])
	}
	ADDQ(U8(rowSize), p)
	DECQ(left)
	JNZ(LabelRef("row"))
	ADDQ(size, rows)
	ADDQ(U8(16), twA)
	ADDQ(U8(32), twB)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	end()
}

func loadFactors(c Register, kind int) (a, b factor) {
	for range kind {
		a, b = append(a, ZMM()), append(b, ZMM())
	}
	return a, b
}

func down2(x, y VecVirtual, a factor) {
	addMul(x, y, a)
	add(y, x)
}

func up2(x, y VecVirtual, a factor) {
	add(x, y)
	addMul(y, x, a)
}

// pass2 does one layer on one block of two parts.
func pass2(name string, butterfly func(x, y VecVirtual, a factor)) {
	text(name+"2", "func(rows *uint64, stride, q int, c *uint64)",
		name+"2 does one layer on one block; stride is in bytes.")
	rows, stride, q, c := param("rows"), param("stride"), param("q"), param("c")
	a := factor{ZMM()}
	VMOVDQU64(Mem{Base: c, Disp: laneA}, a[0])
	Label("row")
	x, y := ZMM(), ZMM()
	VMOVDQU64(Mem{Base: rows}, x)
	VMOVDQU64(Mem{Base: rows, Index: stride, Scale: 1}, y)
	butterfly(x, y, a)
	VMOVDQU64(x, Mem{Base: rows})
	VMOVDQU64(y, Mem{Base: rows, Index: stride, Scale: 1})
	ADDQ(U8(rowSize), rows)
	DECQ(q)
	JNZ(LabelRef("row"))
	end()
}

// lanes is what the two layers within rows need.
type lanes struct {
	index [2]VecVirtual
	by    [4]VecVirtual
}

func loadLanes(c Register) (l lanes) {
	for i := range l.index {
		l.index[i] = ZMM()
		VMOVDQU64(Mem{Base: c, Disp: rowSize * i}, l.index[i])
	}
	for i := range l.by {
		l.by[i] = ZMM()
		VMOVDQU64(Mem{Base: c, Disp: rowSize * (2 + i)}, l.by[i])
	}
	return l
}

// do does the two layers within two rows.
func (l lanes) do(x pair) {
	for i := range l.by {
		for _, r := range x {
			t := ZMM()
			VPERMQ(r, l.index[i/2], t)
			VGF2P8MULB(l.by[i], t, t)
			add(r, t)
		}
	}
}
