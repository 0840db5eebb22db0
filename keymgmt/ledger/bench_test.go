package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// tap is a source that never runs dry and costs a copy.
type tap struct {
	key  []byte
	next uint64
}

func (s *tap) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	for range 8 * 256 {
		if seq := s.next; want(seq) {
			s.next++
			return quantum.KeyBlock{Link: "x", Seq: seq, Key: qsc.NewSecret(append([]byte(nil), s.key...)), ProducedAt: time.Unix(0, 1)}, nil
		}
		if lane, _ := keymgmt.LaneOf(s.next); lane == keymgmt.DataAB {
			break
		}
		s.next++
	}
	return quantum.KeyBlock{}, qsc.E("tap", qsc.Exhausted, "", "full")
}

func (s *tap) Accept(quantum.KeyBlock) error { return nil }
func (s *tap) Status() quantum.Status        { return quantum.Status{Rate: 1, Waiting: 1} }
func (s *tap) Close() error                  { return nil }

// BenchmarkReserve takes pads of 64 KiB, marks durable, and erases them; "all"
// includes the key coming in and the erasure on the disk, "stock" only what is
// on the path of a frame.
func BenchmarkReserve(b *testing.B) {
	const block, pad, piece = 1 << 20, 256 << 20, 64 << 10
	dir, err := durable.Dir(b.TempDir())
	must(b, err)
	s := &tap{key: make([]byte, block)}
	for i := range s.key {
		s.key[i] = byte(i) | 1
	}
	l, err := Open(Config{FS: dir, Link: "x", Block: block, Pad: pad, Source: s, Retry: time.Millisecond})
	must(b, err)
	defer l.Close()
	b.Run("all", func(b *testing.B) {
		b.SetBytes(piece)
		for b.Loop() {
			take(b, l, piece)
		}
		must(b, l.Flush(context.Background()))
	})
	b.Run("stock", func(b *testing.B) {
		b.SetBytes(piece)
		for b.Loop() {
			if l.Status().Lanes[0].Left < 2*piece {
				b.StopTimer()
				for l.Status().Lanes[0].Left < pad/2 {
					must(b, l.Flush(context.Background()))
					time.Sleep(time.Millisecond)
				}
				b.StartTimer()
			}
			take(b, l, piece)
		}
	})
	b.Run("memcpy", func(b *testing.B) {
		b.SetBytes(piece)
		dst := make([]byte, piece)
		for b.Loop() {
			copy(dst, s.key)
		}
	})
}

func take(b *testing.B, l *Ledger, n int) {
	var pad otp.Pad
	var err error
	for {
		pad, err = l.Reserve(context.Background(), keymgmt.Data, n, n)
		if !qsc.IsKind(err, qsc.Exhausted) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	must(b, err)
	must(b, pad.Burn())
}
