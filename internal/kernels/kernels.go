// Package kernels lets a package have several implementations of the same arithmetic
// and choose among them: the fastest that the machine can run, or in tests and
// benchmarks another one, by name.
//
// It holds no kernel and calls none. A package keeps a type of its own for the numbers
// of its kernels and goes by a switch over Active: calls through function values would
// move their arguments to the heap.
package kernels

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc"
)

// Choice is what a package has to choose from. Its methods may be called by any
// goroutine.
type Choice[K ~int32] struct {
	of     string
	can    []K
	names  []string // as can
	active atomic.Int32
}

// New makes the choice of a package: name gives a kernel's name, can lists those
// that this machine and build can run, the fastest first, which is active at once.
func New[K ~int32](of string, name func(K) string, can ...K) *Choice[K] {
	c := &Choice[K]{of: of, can: can}
	for _, k := range can {
		c.names = append(c.names, name(k))
	}
	c.active.Store(int32(can[0]))
	return c
}

// Active returns the kernel in use.
func (c *Choice[K]) Active() K { return K(c.active.Load()) }

// Names lists the kernels there are here, the fastest first.
func (c *Choice[K]) Names() []string { return slices.Clone(c.names) }

// Use makes the whole process use the named kernel until restore is called. A kernel
// that is not here is an error of Kind Unsupported.
func (c *Choice[K]) Use(name string) (restore func(), err error) {
	i := slices.Index(c.names, name)
	if i < 0 {
		return nil, qsc.E(c.of+".Use", qsc.Unsupported, "", "no kernel %q here: choose from %s", name, strings.Join(c.names, ", "))
	}
	old := c.active.Swap(int32(c.can[i]))
	return func() { c.active.Store(old) }, nil
}
