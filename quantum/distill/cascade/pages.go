package cascade

import "unsafe"

// asWords is the memory of s as words.
func asWords(s []state) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(s))), 3*len(s))
}
