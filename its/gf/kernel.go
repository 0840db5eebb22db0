package gf

import "github.com/quantum-secure-cloud/qsc/internal/kernels"

// kernel is one implementation of the bulk operations.
type kernel int32

const (
	plain kernel = iota // Go, everywhere
	avx2                // 32 bytes at a time, products by nibble tables in registers
	gfni                // 64 bytes at a time, the field multiplication is an instruction
)

func (k kernel) name() string {
	return [...]string{plain: "plain", avx2: "avx2", gfni: "gfni-avx512"}[k]
}

// choice holds what can run here, fastest first; plain is always the last.
var choice = kernels.New("gf", kernel.name, append(native(), plain)...)

// Kernels returns the names of the kernels that can run on this machine, the
// fastest first, from "gfni-avx512", "avx2" and "plain". The first is the
// default.
func Kernels() []string { return choice.Names() }

// Active returns the name of the kernel in use.
func Active() string { return choice.Active().name() }

// Use switches the whole process to the named kernel and returns a function
// that switches back. It is meant for tests and benchmarks: results do not
// depend on the kernel, only speed does. A kernel that cannot run here is an
// error of Kind Unsupported.
func Use(name string) (restore func(), err error) { return choice.Use(name) }
