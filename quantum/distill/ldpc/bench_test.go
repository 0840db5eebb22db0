package ldpc

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkDecode is of one core at the given efficiency: Mbit of key per second
// and passes of the decoder. Reconciliation adds Alice's syndrome, some 1 %.
func BenchmarkDecode(b *testing.B) {
	const n = 1 << 16
	for _, c := range []struct{ q, f float64 }{{0.02, 1.2}, {0.05, 1.15}} {
		b.Run(fmt.Sprintf("%g/f%g", c.q, c.f), func(b *testing.B) {
			code := code(b, n, int(c.f*n*h2(c.q)))
			d, rng := NewDecoder(code), rand.New(rand.NewPCG(1, 1))
			x, got, s := randomWords(rng, n), make([]uint64, n/64), make([]uint64, (code.M()+63)/64)
			code.Syndrome(s, x)
			llr := channel(rng, x, n, c.q, 0)
			passes := 0
			for b.Loop() {
				k, ok := d.Decode(got, llr, s, 100)
				if !ok {
					b.Fatal("frame failed")
				}
				passes += k
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mbit/s")
			b.ReportMetric(float64(passes)/float64(b.N), "passes")
		})
	}
}

func BenchmarkSyndrome(b *testing.B) {
	const n = 1 << 16
	c := code(b, n, n/6)
	x, s := randomWords(rand.New(rand.NewPCG(1, 1)), n), make([]uint64, (c.M()+63)/64)
	b.SetBytes(n / 8)
	for b.Loop() {
		c.Syndrome(s, x)
	}
}
