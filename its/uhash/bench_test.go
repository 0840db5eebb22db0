package uhash

import (
	"fmt"
	"testing"
)

var benchSizes = []int{1 << 10, 64 << 10, 256 << 10}

// BenchmarkCopy is the yardstick: memcpy of the same block in the same run.
func BenchmarkCopy(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			src, dst := make([]byte, n), make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				copy(dst, src)
			}
		})
	}
}

// BenchmarkTag hashes under a key that stays.
func BenchmarkTag(b *testing.B) { benchTag(b, func(*Key, *[16]byte, int) {}) }

// BenchmarkTagFreshKey sets a new key for every message, as frames do.
func BenchmarkTagFreshKey(b *testing.B) { benchTag(b, (*Key).ResetFor) }

func benchTag(b *testing.B, prepare func(*Key, *[16]byte, int)) {
	for _, name := range Kernels() {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%dKiB", name, n>>10), func(b *testing.B) {
				restore, err := Use(name)
				if err != nil {
					b.Fatal(err)
				}
				defer restore()
				r, mask, header, body := [16]byte{1, 2, 3}, [16]byte{4}, make([]byte, 24), make([]byte, n)
				k := NewKey(r)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					prepare(k, &r, n)
					k.Tag(&mask, header, body)
				}
			})
		}
	}
}
