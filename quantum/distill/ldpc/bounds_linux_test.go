package ldpc

import (
	"testing"
	"unsafe"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// atEdge returns n elements that end where mapped memory does.
func atEdge[T float32 | uint32](t *testing.T, n int) []T {
	mem := testkit.Edge(t, 4*n)
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[0])), n)
}

// A kernel that reads or writes one element too far crashes.
func TestKernelsStayInside(t *testing.T) {
	const most = 70
	x, y, z, m, bad := atEdge[float32](t, most), atEdge[float32](t, most), atEdge[float32](t, most), atEdge[float32](t, most), atEdge[uint32](t, most)
	for n := 1; n <= most; n++ {
		x, y, z, m, bad := x[most-n:], y[most-n:], z[most-n:], m[most-n:], bad[most-n:]
		for i := range x {
			x[i], y[i], z[i], m[i] = float32(i), -0.5, 0.25, 1
		}
		takeOff(x, m, bad)
		giveBack(x, y, z, m)
		multiply(y, z, m)
		addTo(y, x)
	}
}
