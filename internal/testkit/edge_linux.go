package testkit

import (
	"syscall"
	"testing"
)

// Edge returns n bytes of memory, zeros, that end where the mapped memory of the
// process does: who reads or writes behind them crashes. They are gone when the test
// ends. n is at most a page.
func Edge(t testing.TB, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(mem) })
	if err := syscall.Mprotect(mem[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return mem[page-n : page : page]
}
