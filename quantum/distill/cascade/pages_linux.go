package cascade

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// allocate returns n zero words, on huge pages where the system has them: they are
// read and written all over, and with small pages, finding the page costs more than
// the access. That is advice; nothing depends on whether it is taken.
func allocate(n int) []uint64 {
	size := (8*n + hugePage - 1) / hugePage * hugePage
	b := make([]uint64, (size+hugePage)/8)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage
	b = b[skip/8:][:size/8]
	_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b))), size), unix.MADV_HUGEPAGE)
	return b[:n]
}
