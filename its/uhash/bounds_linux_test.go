package uhash

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// TestKernelsStayInside puts messages against the end of mapped memory: a kernel
// that reads one byte too far crashes.
func TestKernelsStayInside(t *testing.T) {
	mem := testkit.Edge(t, 1500)
	eachKernel(t, func(t *testing.T) {
		k, mask := NewKey([16]byte{9}), [16]byte{}
		for n := 1; n < len(mem); n++ {
			tag := k.Tag(&mask, nil, mem[len(mem)-n:])
			if tag == mask {
				t.Fatal("a tag of zero")
			}
		}
	})
}
