package gf

import (
	"fmt"
	"testing"
)

const benchBlock = 64 << 10

func blocks(n, size int) [][]byte {
	s := make([][]byte, n)
	for i := range s {
		s[i] = make([]byte, size)
		for p := range s[i] {
			s[i][p] = byte(p * (i + 3))
		}
	}
	return s
}

func BenchmarkMemcpy(b *testing.B) {
	s := blocks(2, benchBlock)
	b.SetBytes(benchBlock)
	for b.Loop() {
		copy(s[0], s[1])
	}
}

// BenchmarkClear3 only zeroes three blocks: the floor under a 2-of-3 split, which
// has to store as much.
func BenchmarkClear3(b *testing.B) {
	s := blocks(3, benchBlock)
	b.SetBytes(benchBlock)
	for b.Loop() {
		clear(s[0])
		clear(s[1])
		clear(s[2])
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, name := range Kernels() {
		for _, kn := range [][2]int{{2, 3}, {3, 5}, {2, 2}} {
			k, n := kn[0], kn[1]
			b.Run(fmt.Sprintf("%dof%d/%s", k, n, name), func(b *testing.B) {
				restore, _ := Use(name)
				defer restore()
				s, coeff := blocks(n+1, benchBlock), make([]byte, (k-1)*benchBlock)
				points := []byte{1, 2, 3, 4, 5}[:n]
				b.SetBytes(benchBlock)
				for b.Loop() {
					Split(s[1:], points, s[0], coeff, k)
				}
			})
		}
	}
}

func BenchmarkCombine(b *testing.B) {
	for _, name := range Kernels() {
		for _, k := range []int{2, 3, 5} {
			b.Run(fmt.Sprintf("%d/%s", k, name), func(b *testing.B) {
				restore, _ := Use(name)
				defer restore()
				s := blocks(k+1, benchBlock)
				weights := []byte{17, 203, 91, 44, 150}[:k]
				b.SetBytes(benchBlock)
				for b.Loop() {
					Combine(s[0], weights, s[1:])
				}
			})
		}
	}
}
