package transport

import (
	"context"
	"fmt"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// benchPair is two nodes with a straight wire between them.
func benchPair(b *testing.B, pad int, hear hearing) *Endpoint {
	w := &world{t: b, hear: [2]hearing{nil, hear}}
	w.la, w.lb = memPair(pad)
	w.startB()
	w.wire = &tap{l: w.b.cfg.Listener}
	w.startA()
	b.Cleanup(func() { _ = w.a.Close(); _ = w.b.Close() })
	if err := say(b.Context(), w.a, "b", nil); err != nil {
		b.Fatal(err)
	}
	return w.a
}

func BenchmarkPublicThroughput(b *testing.B) {
	for _, n := range []int{100, 4 << 10, 256 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			heard := make(chan struct{}, 1)
			left := b.N + 1
			a := benchPair(b, 64<<20, func(context.Context, qsc.NodeID, []byte) {
				if left--; left == 0 {
					heard <- struct{}{}
				}
			})
			m := make([]byte, n)
			b.SetBytes(int64(n))
			b.ResetTimer()
			for range b.N {
				if err := a.Send(b.Context(), "b", m); err != nil {
					b.Fatal(err)
				}
			}
			<-heard
		})
	}
}

// BenchmarkPublicLatency is one short message on an idle link, one way.
func BenchmarkPublicLatency(b *testing.B) {
	heard := make(chan struct{}, 1)
	a := benchPair(b, 64<<20, func(context.Context, qsc.NodeID, []byte) { heard <- struct{}{} })
	<-heard
	for b.Loop() {
		if err := a.Send(b.Context(), "b", []byte("a short message")); err != nil {
			b.Fatal(err)
		}
		<-heard
	}
}
