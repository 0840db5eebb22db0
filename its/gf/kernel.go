package gf

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// kernel is one implementation of the bulk operations. Calls go by a switch
// over it and not through function values, so that arguments stay on the
// caller's stack.
type kernel uint32

const (
	plain kernel = iota // Go, everywhere
	avx2                // 32 bytes at a time, products by nibble tables in registers
	gfni                // 64 bytes at a time, the field multiplication is an instruction
)

var kernelNames = map[kernel]string{plain: "plain", avx2: "avx2", gfni: "gfni-avx512"}

// kernels holds what can run here, fastest first; plain is always the last.
var kernels = append(native(), plain)

var active atomic.Uint32

func init() { active.Store(uint32(kernels[0])) }

// Kernels returns the names of the kernels that can run on this machine, the
// fastest first, from "gfni-avx512", "avx2" and "plain". The first is the
// default.
func Kernels() []string {
	names := make([]string, len(kernels))
	for i, k := range kernels {
		names[i] = kernelNames[k]
	}
	return names
}

// Active returns the name of the kernel in use.
func Active() string { return kernelNames[kernel(active.Load())] }

// Use switches the whole process to the named kernel and returns a function
// that switches back. It is meant for tests and benchmarks: results do not
// depend on the kernel, only speed does. A kernel that cannot run here is an
// error.
func Use(name string) (restore func(), err error) {
	for _, k := range kernels {
		if kernelNames[k] == name {
			old := active.Swap(uint32(k))
			return func() { active.Store(old) }, nil
		}
	}
	return nil, fmt.Errorf("gf: no kernel %q here; there is %s", name, strings.Join(Kernels(), ", "))
}
