package toeplitz

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// TestKernelsStayInside puts words against the end of mapped memory: a kernel that
// reads or writes one word too far crashes.
func TestKernelsStayInside(t *testing.T) {
	mem := testkit.Edge(t, syscall.Getpagesize())
	all := unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), len(mem)/8)
	other := random(1, len(all))
	copy(all, other)
	eachKernel(t, func(t *testing.T) {
		k := choice.Active()
		for n := 1; n < 200; n++ {
			end := all[len(all)-n:]
			if k.dot(end, other[len(all)-n:]) != dotPlain(end, other[len(all)-n:]) {
				t.Fatalf("dot of %d words", n)
			}
			k.xor(end, other[:n])
			k.xor(end, other[:n])
		}
		for i, w := range all {
			if w != other[i] {
				t.Fatalf("word %d was changed", i)
			}
		}
		for _, n := range []int{8, 64, len(all)} {
			chunks, rows := all[len(all)-n:], make([]row, n/4)
			k.encode(rows, chunks, planFor(minLog).lanes[0][0])
			k.decode(chunks, make([]uint64, n), rows, planFor(minLog).lanes[1][1])
		}
	})
}
