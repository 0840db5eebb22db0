package supply

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// pairs lets callers issue at one end and fetch at the other until b.N keys are
// through.
func pairs(b *testing.B, callers, batch int) {
	x, y := two(b, true, nil)
	for range 50 {
		_, err := x.Issue(b.Context(), ask("a1", "b1", 128))
		must(b, err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var work sync.WaitGroup
	b.ResetTimer()
	for range callers {
		work.Go(func() {
			for left.Add(-int64(batch)) > -int64(batch) {
				k, err := x.Issue(b.Context(), ask("a1", "b1", batch))
				for qsc.IsKind(err, qsc.Exhausted) {
					k, err = x.Issue(b.Context(), ask("a1", "b1", batch))
				}
				if err != nil {
					b.Error(err)
					return
				}
				got, err := y.Fetch(b.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs})
				if err != nil || !got.Bytes.Equal(k.Bytes) {
					b.Error("the two ends differ", err)
					return
				}
			}
		})
	}
	work.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}

func BenchmarkPairs(b *testing.B)      { pairs(b, 1, 1) }
func BenchmarkPairs64(b *testing.B)    { pairs(b, 64, 1) }
func BenchmarkBatch128(b *testing.B)   { pairs(b, 1, 128) }
func BenchmarkBatch128x8(b *testing.B) { pairs(b, 8, 128) }

// BenchmarkStream reads one stream at both ends, in chunks of 1 MiB.
func BenchmarkStream(b *testing.B) {
	x, y := two(b, true, nil)
	const chunk = 1 << 20
	p, err := x.OpenStream(b.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: chunk}})
	must(b, err)
	q, err := y.OpenStream(b.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: p.ID()})
	must(b, err)
	<-p.Connected()
	b.SetBytes(chunk)
	b.ResetTimer()
	var work sync.WaitGroup
	for _, e := range []keymgmt.Stream{p, q} {
		work.Go(func() {
			buf := make([]byte, chunk)
			for i := range b.N {
				if _, err := e.Get(b.Context(), uint32(i), buf); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	b.ReportMetric(float64(b.N)*chunk*8/1e9/b.Elapsed().Seconds(), "Gbit/s")
	b.StopTimer()
	must(b, p.Close())
	must(b, q.Close())
}
