package uhash

import "github.com/quantum-secure-cloud/qsc/internal/kernels"

// A kernel is one way to do the same arithmetic.
type kernel int32

const (
	plain kernel = iota
	clmul
	vpclmul
)

func (k kernel) name() string {
	return [...]string{plain: "plain", clmul: "clmul", vpclmul: "vpclmul"}[k]
}

var choice = kernels.New("uhash", kernel.name, available()...)

// Kernels returns the names of the kernels this machine and build can run, the
// fastest first. "plain" is always among them; the build tag purego leaves only
// that one.
func Kernels() []string { return choice.Names() }

// Use makes the whole process hash with the named kernel until restore is
// called. It is for tests and benchmarks; tags do not depend on it. A kernel
// this machine does not have is an error of Kind Unsupported.
func Use(name string) (restore func(), err error) { return choice.Use(name) }
