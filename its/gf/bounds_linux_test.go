package gf

import (
	"syscall"
	"testing"
)

// atEdge returns n bytes that end where readable memory ends.
func atEdge(t *testing.T, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	m, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	if err := syscall.Mprotect(m[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return m[page-n : page : page]
}

// No kernel touches a byte beyond its slices: one would end the process.
func TestEdgeOfMemory(t *testing.T) {
	for _, length := range []int{1, 31, 33, 63, 64, 65, 129, 257, 1023} {
		secret, coeff := atEdge(t, length), atEdge(t, 2*length)
		shares := make([][]byte, 5)
		for i := range shares {
			shares[i] = atEdge(t, length)
		}
		eachKernel(t, func(string) {
			Split(shares[:3], []byte{1, 2, 3}, secret, coeff[length:], 2)
			for n := 1; n <= 5; n++ {
				Split(shares[:n], []byte{1, 2, 3, 4, 5}[:n], secret, coeff, 3)
				Combine(secret, []byte{7, 8, 9, 10, 11}[:n], shares[:n])
			}
		})
	}
}
