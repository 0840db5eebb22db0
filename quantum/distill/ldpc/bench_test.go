package ldpc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
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

// BenchmarkReconcile runs both ends over a wire in memory with one decoder.
func BenchmarkReconcile(b *testing.B) {
	for _, c := range []struct {
		q     float64
		frame int
	}{{0.01, 1 << 16}, {0.02, 1 << 16}, {0.05, 1 << 16}, {0.02, 1 << 14}, {0.08, 1 << 14}} {
		b.Run(fmt.Sprintf("%g/%d", c.q, c.frame), func(b *testing.B) {
			const n = 1 << 20
			var leak, failed, wrong, messages int
			x, y := pair(1, n, c.q)
			for b.Loop() {
				z := distill.Bits{W: slices.Clone(y.W), N: n}
				r := reconcile(b.Context(), Config{Frame: c.frame, Workers: 1}, x, z, [2]float64{c.q, c.q}, changes{})
				if r.errs[0] != nil || r.errs[1] != nil {
					b.Fatal(r.errs)
				}
				leak += int(r.got[0].Leak)
				failed += len(r.got[0].Failed)
				messages += r.messages[1]
				wrong += differ(x, z, c.frame, r.got[0].Failed)
			}
			if wrong > 0 {
				b.Errorf("%d wrong bits", wrong)
			}
			bits := float64(n) * float64(b.N)
			b.ReportMetric(bits/b.Elapsed().Seconds()/1e6, "Mbit/s")
			b.ReportMetric(float64(leak)/(bits*h2(c.q)), "f")
			b.ReportMetric(float64(failed)/float64(b.N), "failed/Mbit")
			b.ReportMetric(float64(messages)/float64(b.N), "reports")
		})
	}
}
