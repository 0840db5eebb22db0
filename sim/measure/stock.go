package measure

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// stock is a link that has made a fixed number of blocks, the same at both ends,
// and makes no more. Nothing it yields is a secret.
type stock struct {
	link qsc.LinkID
	size int64
	last uint64
	next uint64
}

var _ quantum.Link = (*stock)(nil)

// Next implements quantum.Link.
func (s *stock) Next(_ context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	for ; s.next < s.last; s.next++ {
		if want(s.next) {
			b := s.block(s.next)
			s.next++
			return b, nil
		}
	}
	return quantum.KeyBlock{}, qsc.E("measure.Next", qsc.Exhausted, string(s.link), "that was all")
}

func (s *stock) block(seq uint64) quantum.KeyBlock {
	var seed [32]byte
	copy(seed[:], s.link)
	binary.BigEndian.PutUint64(seed[24:], seq)
	key := make([]byte, s.size)
	_, _ = rand.NewChaCha8(seed).Read(key) // never fails
	b := quantum.KeyBlock{Link: s.link, Seq: seq, Key: qsc.NewSecret(key), Bound: "test", Class: qsc.Simulated, ProducedAt: time.Now()}
	binary.BigEndian.PutUint64(b.ID[:], seq)
	return b
}

// Accept implements quantum.Link.
func (s *stock) Accept(quantum.KeyBlock) error { return nil }

// Status implements quantum.Link.
func (s *stock) Status() quantum.Status {
	return quantum.Status{Kind: "stock", NextBlock: -1, Class: qsc.Simulated}
}

// Close implements quantum.Link.
func (s *stock) Close() error { return nil }
