//go:build !linux

package cascade

// allocate returns n zero words. Here, the system chooses the pages.
func allocate(n int) []uint64 { return make([]uint64, n) }
