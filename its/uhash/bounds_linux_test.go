package uhash

import (
	"syscall"
	"testing"
)

// TestKernelsStayInside puts messages against the end of mapped memory: a kernel
// that reads one byte too far crashes.
func TestKernelsStayInside(t *testing.T) {
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(mem) }()
	if err := syscall.Mprotect(mem[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	eachKernel(t, func(t *testing.T) {
		k, mask := NewKey([16]byte{9}), [16]byte{}
		for n := 1; n < 1500; n++ {
			tag := k.Tag(&mask, nil, mem[page-n:page])
			if tag == mask {
				t.Fatal("a tag of zero")
			}
		}
	})
}
