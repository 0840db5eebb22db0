//go:build ignore

// Command asm writes the assembly kernels of package gf. Run it by go generate:
// this file holds what the kernels share, asm_gfni.go and asm_avx2.go the kernels.
package main

import (
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

// at addresses vector j of the given size at base+index.
func at(base, index GPVirtual, j, size int) Mem {
	return Mem{Base: base, Index: index, Scale: 1, Disp: j * size}
}
