package share

import (
	"fmt"
	"testing"

	"github.com/hashicorp/vault/shamir"
)

// Compare every figure with memcpy of the same run; GB/s are of secret.

var benchSizes = []struct {
	name string
	n    int
}{{"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}}

func BenchmarkMemcpy(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			dst, src := make([]byte, size.n), noise(1, size.n)
			b.SetBytes(int64(size.n))
			for b.Loop() {
				copy(dst, src)
			}
		})
	}
}

func benchmarkSplit(b *testing.B, k, n int) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			s, err := NewSplitter(k, Points(n))
			if err != nil {
				b.Fatal(err)
			}
			secret, coeff, shares := noise(1, size.n), noise(2, (k-1)*size.n), slices(n, size.n)
			b.SetBytes(int64(size.n))
			for b.Loop() {
				if err := s.Split(secret, coeff, shares); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkCombine(b *testing.B, k, n int) {
	for _, size := range benchSizes {
		b.Run(size.name, func(b *testing.B) {
			c, err := NewCombiner(Points(n)[n-k:], 0)
			if err != nil {
				b.Fatal(err)
			}
			secret, shares := make([]byte, size.n), slices(k, size.n)
			for i := range shares {
				copy(shares[i], noise(uint64(i), size.n))
			}
			b.SetBytes(int64(size.n))
			for b.Loop() {
				if err := c.Combine(secret, shares); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplit2of3(b *testing.B)   { benchmarkSplit(b, 2, 3) }
func BenchmarkSplit3of5(b *testing.B)   { benchmarkSplit(b, 3, 5) }
func BenchmarkCombine2of3(b *testing.B) { benchmarkCombine(b, 2, 3) }
func BenchmarkCombine3of5(b *testing.B) { benchmarkCombine(b, 3, 5) }

// BenchmarkVault is the peer, 2 of 3.
func BenchmarkVault(b *testing.B) {
	const size = 64 << 10
	secret := noise(1, size)
	b.Run(fmt.Sprintf("Split2of3/%dKiB", size>>10), func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if _, err := shamir.Split(secret, 3, 2); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(fmt.Sprintf("Combine2of3/%dKiB", size>>10), func(b *testing.B) {
		shares, err := shamir.Split(secret, 3, 2)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
		for b.Loop() {
			if _, err := shamir.Combine(shares[1:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
