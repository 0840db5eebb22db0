package gf

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// kernel is one implementation of the bulk operations over the byte positions
// from off up to end, which is never empty. Lengths were checked.
type kernel struct {
	name    string
	split   func(dst [][]byte, points []byte, secret, coeff []byte, k, off, end int)
	combine func(dst, weights []byte, src [][]byte, off, end int)
}

var plain = &kernel{name: "plain", split: splitPlain, combine: combinePlain}

// kernels holds what can run here, fastest first; plain is always the last.
var kernels = append(native(), plain)

var active atomic.Pointer[kernel]

func init() { active.Store(kernels[0]) }

// Kernels returns the names of the kernels that can run on this machine, the
// fastest first: "gfni-avx512", "avx2", "plain". The first is the default.
func Kernels() []string {
	names := make([]string, len(kernels))
	for i, k := range kernels {
		names[i] = k.name
	}
	return names
}

// Active returns the name of the kernel in use.
func Active() string { return active.Load().name }

// Use switches the whole process to the named kernel and returns a function
// that switches back. It is meant for tests and benchmarks; results do not
// depend on the kernel, only speed does.
func Use(name string) (restore func(), err error) {
	for _, k := range kernels {
		if k.name == name {
			old := active.Swap(k)
			return func() { active.Store(old) }, nil
		}
	}
	return nil, fmt.Errorf("gf: no kernel %q here; there is %s", name, strings.Join(Kernels(), ", "))
}
