package relay_test

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// tap is a source that never runs dry and costs a copy: both ends of a link get
// the same bytes for a block.
type tap struct {
	link qsc.LinkID
	key  []byte
	shut *atomic.Bool
	next uint64 // block of the lane from A to B, the only one used
}

func newTap(link qsc.LinkID, block int64, shut *atomic.Bool) *tap {
	s := &tap{link: link, shut: shut, key: make([]byte, block)}
	for i := range s.key {
		s.key[i] = byte(i*7) | 1
	}
	return s
}

func (s *tap) Next(_ context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	if seq := keymgmt.SeqOf(keymgmt.DataAB, s.next); !s.shut.Load() && want(seq) {
		s.next++
		return quantum.KeyBlock{Link: s.link, Epoch: 1, Seq: seq, Key: qsc.NewSecret(bytes.Clone(s.key)), ProducedAt: time.Unix(0, 1)}, nil
	}
	return quantum.KeyBlock{}, qsc.E("tap", qsc.Exhausted, "", "full")
}

func (s *tap) Accept(quantum.KeyBlock) error { return nil }
func (s *tap) Status() quantum.Status        { return quantum.Status{Rate: 1, Waiting: 1} }
func (s *tap) Close() error                  { return nil }

// line is a path of so many hops.
func line(hops int) keymgmt.Path {
	p := keymgmt.Path{"m"}
	for i := range hops - 1 {
		p = append(p, qsc.NodeID(fmt.Sprint("r", i)))
	}
	return append(p, "d")
}

// BenchmarkLatency is one round after another, over ten hops in one process: all
// the software time of eleven nodes on this machine's cores.
func BenchmarkLatency(b *testing.B) {
	for _, hop := range []bool{false, true} {
		for _, size := range []int{32, 1024} {
			b.Run(fmt.Sprintf("hops=10/hopbyhop=%t/bytes=%d", hop, size), func(b *testing.B) {
				n := newNetwork(b, setup{block: 256 << 10, pad: 4 << 20, tap: true, hop: hop}, 1, line(10))
				m := n.nodes["m"].relay
				n.warm(b)
				for b.Loop() {
					if _, err := m.Make(b.Context(), "d", keymgmt.Protection{}, nil, size); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkThroughput is 160 rounds of 256 KiB over three hops, eight at a time,
// from pads that are stored before the clock starts; marks and erasure go to the
// disk meanwhile.
func BenchmarkThroughput(b *testing.B) {
	const size, workers, rounds = 256 << 10, 8, 160
	for _, hop := range []bool{false, true} {
		b.Run(fmt.Sprintf("hops=3/hopbyhop=%t", hop), func(b *testing.B) {
			n := newNetwork(b, setup{block: 1 << 20, pad: 64 << 20, tap: true, hop: hop}, 1, line(3))
			m := n.nodes["m"].relay
			b.SetBytes(size * rounds)
			for range b.N {
				b.StopTimer()
				n.shut.Store(false)
				n.fill(60 << 20)
				n.shut.Store(true)
				b.StartTimer()
				var left atomic.Int64
				left.Store(rounds)
				var work sync.WaitGroup
				for range workers {
					work.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := m.Make(context.Background(), "d", keymgmt.Protection{}, nil, size); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				work.Wait()
			}
		})
	}
	x, y := make([]byte, size), make([]byte, size)
	b.Run("memcpy", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			copy(x, y)
		}
	})
	b.Run("xor", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			subtle.XORBytes(x, x, y)
		}
	})
}

// fill waits until every link has so many bytes from end A to end B at both ends.
func (n *network) fill(bytes int64) {
	for _, l := range n.ledgers {
		for l.Status().Lanes[keymgmt.DataAB].Left < bytes {
			if err := l.Flush(n.t.Context()); err != nil {
				n.t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // until the ledger has asked its source again
		}
	}
}

// warm makes one round, so that every link has key and marks made ahead.
func (n *network) warm(b *testing.B) {
	for range 50 {
		if _, err := n.nodes["m"].relay.Make(b.Context(), "d", keymgmt.Protection{}, nil, 32); err == nil {
			return
		}
	}
	b.Fatal("no key came")
}
