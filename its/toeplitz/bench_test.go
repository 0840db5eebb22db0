//go:build unix

package toeplitz

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// benchLogs are the binary logarithms of the sizes that are measured; the great
// ones, and the plain kernel's, take long.
func benchLogs() []int {
	if os.Getenv("QSC_LONG") != "" {
		return []int{16, 20, 22, 24, 26, 27}
	}
	return []int{20, 24}
}

// measure calls f again and again and reports megabits of input in a second, by
// the clock and by the processor's time: on a busy machine the second says more.
func measure(b *testing.B, n int, f func()) {
	f() // memory is there, plans are made
	before, runs := processorTime(b), 0
	for b.Loop() {
		f()
		runs++
	}
	used := processorTime(b) - before
	done := float64(n) / 1e6 * float64(runs)
	b.ReportMetric(done/b.Elapsed().Seconds(), "Mbit/s")
	b.ReportMetric(done/used.Seconds(), "Mbit/cpu-s")
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkXOR is the yardstick: one XOR of as many bits into others.
func BenchmarkXOR(b *testing.B) {
	for _, log := range benchLogs() {
		b.Run(fmt.Sprintf("2^%d", log), func(b *testing.B) {
			dst, src := random(1, 1<<log/64), random(2, 1<<log/64)
			measure(b, 1<<log, func() { choice.Active().xor(dst, src) })
		})
	}
}

// BenchmarkHash hashes n bits to n/2 under a seed that is kept.
func BenchmarkHash(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		s, dst, src := benchSeed(b, n), make([]uint64, n/128), random(4, n/64)
		measure(b, n, func() { s.Hash(dst, src) })
	})
}

// BenchmarkFreshSeed makes a new seed ready for every block.
func BenchmarkFreshSeed(b *testing.B) {
	each(b, func(b *testing.B, n int) {
		dst, src := make([]uint64, n/128), random(4, n/64)
		seed := random(3, n/64)
		measure(b, n, func() {
			s, err := NewSeed(seed, n, n/2)
			if err != nil {
				b.Fatal(err)
			}
			s.Hash(dst, src)
			s.Release()
		})
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
