package toeplitz

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// Nothing branches on input bits or takes them for an index: shown by the form of the
// assembly, and of the Go code in both builds.

func TestAssemblyIsOblivious(t *testing.T) { testkit.Oblivious(t, "kernel_amd64.s") }

func TestGoIsOblivious(t *testing.T) {
	for _, other := range [][]string{{"kernel_other.go"}, {"kernel_amd64.go", "stubs_amd64.go"}} {
		testkit.ObliviousGo(t, testkit.GoForm{
			Without: append(other, "asm.go", "asm_pass.go", "asm_map.go", "asm_words.go", "asm_basis.go"),
			SetUp:   []string{"field.go", "plan.go"},
			Public:  map[string]string{"lanesPlain": "the order of a row's words is a constant"},
		})
	}
}
