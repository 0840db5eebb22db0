package toeplitz

import (
	"slices"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc"
)

// A kernel is one way to do the same arithmetic on the same layout: a seed made
// ready under one serves under another.
type kernel int32

const (
	plain kernel = iota
	gfni
)

var kernelNames = [...]string{plain: "plain", gfni: "gfni"}

var active atomic.Int32

func init() { active.Store(int32(available()[0])) }

// Kernels returns the names of the kernels this machine and build can run, the
// fastest first. "plain" is always among them; the build tag purego leaves only
// that one.
func Kernels() []string {
	var names []string
	for _, k := range available() {
		names = append(names, kernelNames[k])
	}
	return names
}

// Use makes the whole process hash with the named kernel until restore is
// called. It is for tests and benchmarks; results do not depend on it. A kernel
// this machine does not have is an error of Kind Unsupported.
func Use(name string) (restore func(), err error) {
	i := slices.Index(Kernels(), name)
	if i < 0 {
		return nil, qsc.E("toeplitz.Use", qsc.Unsupported, "", "no kernel %q here: choose from %q", name, Kernels())
	}
	old := active.Swap(int32(available()[i]))
	return func() { active.Store(old) }, nil
}
