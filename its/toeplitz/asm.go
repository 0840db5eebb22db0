//go:build ignore

// Command asm writes the kernels of package toeplitz for AVX-512 with GFNI and
// VPCLMULQDQ.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	xor3    = 0x96 // truth table of VPTERNLOG
	rowSize = 64
	// Of package toeplitz's type constants:
	laneA = 0
	laneB = 4 * rowSize
	v1    = 8 * rowSize
)

func main() {
	ConstraintExpr("!purego")
	tables()
	for _, kind := range []int{1, 2, 4} {
		pass4("down", kind, down4)
		pass4("up", kind, up4)
	}
	pass2("down", down2)
	pass2("up", up2)
	encode()
	toPoly()
	multiply()
	decode()
	xorRun()
	dot()
	for _, m := range []struct {
		name     string
		up, swap bool
	}{{"convert16", false, false}, {"convert16Swap", false, true}, {"unconvert16", true, false}, {"unconvert16Swap", true, true}} {
		convert16(m.name, m.up, m.swap)
	}
	turn()
	Generate()
}

func text(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

func param(name string) GPVirtual { return Load(Param(name), GP64()).(GPVirtual) }

func end() {
	VZEROUPPER()
	RET()
}

// table declares constant bytes.
func table(name string, n int, at func(i int) int) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range n {
		DATA(i, U8(at(i)))
	}
	return m
}
