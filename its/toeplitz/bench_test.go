package toeplitz

import (
	"fmt"
	"os"
	"testing"
)

// benchLogs are the binary logarithms of the sizes that are measured; the great
// ones, and the plain kernel's, take long.
func benchLogs() []int {
	if os.Getenv("QSC_LONG") != "" {
		return []int{16, 20, 22, 24, 26, 27}
	}
	return []int{20, 24}
}

// mbit reports megabits of input in a second.
func mbit(b *testing.B, n int) {
	b.ReportMetric(float64(n)*float64(b.N)/1e6/b.Elapsed().Seconds(), "Mbit/s")
}

// BenchmarkXOR is the yardstick: one XOR of as many bits into others.
func BenchmarkXOR(b *testing.B) {
	for _, log := range benchLogs() {
		b.Run(fmt.Sprintf("2^%d", log), func(b *testing.B) {
			dst, src := random(1, 1<<log/64), random(2, 1<<log/64)
			for b.Loop() {
				kernel(active.Load()).xor(dst, src)
			}
			mbit(b, 1<<log)
		})
	}
}

// BenchmarkHash hashes n bits to n/2 under a seed that is kept.
func BenchmarkHash(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		s, dst, src := benchSeed(b, n), make([]uint64, n/128), random(4, n/64)
		for b.Loop() {
			s.Hash(dst, src)
		}
		mbit(b, n)
	})
}

// BenchmarkFreshSeed makes a new seed ready for every block.
func BenchmarkFreshSeed(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		dst, src := make([]uint64, n/128), random(4, n/64)
		seed := random(3, n/64)
		for b.Loop() {
			s, err := NewSeed(seed, n, n/2)
			if err != nil {
				b.Fatal(err)
			}
			s.Hash(dst, src)
		}
		mbit(b, n)
	})
}

func benchSeed(b *testing.B, n int) *Seed {
	s, err := NewSeed(random(3, n/64), n, n/2)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func each(b *testing.B, f func(b *testing.B, n int)) {
	for _, name := range Kernels() {
		for _, log := range benchLogs() {
			b.Run(fmt.Sprintf("%s/2^%d", name, log), func(b *testing.B) {
				restore, err := Use(name)
				if err != nil {
					b.Fatal(err)
				}
				defer restore()
				f(b, 1<<log)
			})
		}
	}
}
