// Package keymgmttest holds what every room of the key management floor is
// tested with: a source in memory, a conformance kit and a model of two ends
// that crash at any persisting step.
//
// It is imported by tests only.
package keymgmttest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Key returns the bytes of a block: the same for everybody, never zero.
func Key(epoch uint32, seq uint64, size int64) []byte {
	var seed [32]byte
	binary.BigEndian.PutUint32(seed[:], epoch)
	binary.BigEndian.PutUint64(seed[8:], seq)
	g := rand.NewChaCha8(seed)
	b := make([]byte, size)
	_, _ = g.Read(b)
	for i := range b {
		b[i] |= 1
	}
	return b
}

// Stock is one end of a link in memory: a finite stock that delivers a block
// until it is accepted.
type Stock struct {
	Link  qsc.LinkID
	Epoch uint32
	Block int64

	mu    sync.Mutex
	seqs  []uint64
	taken []uint64
}

// Add puts blocks into the stock; order does not matter.
func (s *Stock) Add(seqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seqs = append(s.seqs, seqs...)
	slices.Sort(s.seqs)
}

// Taken lists the blocks accepted so far.
func (s *Stock) Taken() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// Next implements quantum.Link.
func (s *Stock) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	if ctx.Err() != nil {
		return quantum.KeyBlock{}, qsc.E("stock.Next", qsc.Timeout, "", "%w", ctx.Err())
	}
	s.mu.Lock()
	list := slices.Clone(s.seqs)
	s.mu.Unlock()
	for _, seq := range list {
		if want(seq) {
			return quantum.KeyBlock{Link: s.Link, Epoch: s.Epoch, Seq: seq, Key: qsc.NewSecret(Key(s.Epoch, seq, s.Block)),
				Bound: "test", Class: qsc.Simulated, ProducedAt: time.Unix(0, 1)}, nil
		}
	}
	return quantum.KeyBlock{}, qsc.E("stock.Next", qsc.Exhausted, string(s.Link), "the stock holds nothing wanted")
}

// Accept implements quantum.Link.
func (s *Stock) Accept(b quantum.KeyBlock) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := slices.BinarySearch(s.seqs, b.Seq); ok {
		s.seqs = slices.Delete(s.seqs, i, i+1)
		s.taken = append(s.taken, b.Seq)
	}
	return nil
}

// Status implements quantum.Link.
func (s *Stock) Status() quantum.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return quantum.Status{Kind: "test", NextBlock: -1, Waiting: int64(len(s.seqs)) * s.Block, Class: qsc.Simulated}
}

// Close implements quantum.Link.
func (s *Stock) Close() error { return nil }

// Next waits for the gate and then for key, as a device does.
func (s *slow) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	select {
	case <-s.gate:
	case <-ctx.Done():
	}
	for {
		k, err := s.Stock.Next(ctx, want)
		if !qsc.IsKind(err, qsc.Exhausted) {
			return k, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
}
