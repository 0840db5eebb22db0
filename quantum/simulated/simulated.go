// Package simulated is a quantum link that is none: both ends derive the same
// key blocks from a seed that was written at both ends when the network was
// made, and deliver them at a set rate by the clock. What it makes protects
// nothing, and its class says so.
//
// It models no optics, no errors and no attacker: those come behind the same
// contract.
package simulated

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Bound is what the blocks name as the bound they were made under.
const Bound = "simulated"

// row is how many blocks are lost at once while a node's rings are full: the last
// one to two rows are kept for it. Which are lost is a matter of the clock alone,
// not of what was taken when: the rings at the two ends free a slot at different
// moments, and a block that only one of them got is good for nothing.
const row = 2048

// calm is the longest pause between two looks through the held blocks while none
// of them is wanted. Pauses double up to it from a millisecond: a machine that
// runs a hundred nodes with full rings would otherwise do little else.
const calm = 500 * time.Millisecond

// Config describes one end.
type Config struct {
	Link  qsc.LinkID
	Seed  Seed
	Rate  qsc.BitRate      // secret key, over both directions; above 0
	Block int64            // bytes in a block
	Now   func() time.Time // nil: time.Now
}

// Link implements quantum.Link.
type Link struct {
	cfg    Config
	stream cipher.Block

	mu     sync.Mutex
	next   uint64   // the first block not looked at yet
	held   []uint64 // looked at, not wanted yet, rising
	ctx    context.Context
	cancel context.CancelFunc
}

var _ quantum.Link = (*Link)(nil)

// Open opens one end. Error: Invalid for a rate or a block length of nothing.
func Open(cfg Config) (*Link, error) {
	if !(cfg.Rate > 0) || cfg.Block < 16 || cfg.Block%16 != 0 {
		return nil, qsc.E("simulated.Open", qsc.Invalid, string(cfg.Link), "a rate above 0 and blocks of a multiple of 16 bytes are needed, not %v and %d", cfg.Rate, cfg.Block)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	stream, err := aes.NewCipher(cfg.Seed.Key[:])
	if err != nil {
		return nil, err
	}
	l := &Link{cfg: cfg, stream: stream}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// period is the time one block takes, in nanoseconds.
func (l *Link) period() float64 {
	return float64(l.cfg.Block) * 8 / float64(l.cfg.Rate) * float64(time.Second)
}

// made returns how many blocks there are by now.
func (l *Link) made() uint64 {
	age := l.cfg.Now().Sub(l.cfg.Seed.Start)
	if age <= 0 {
		return 0
	}
	return uint64(math.Min(float64(age)/l.period(), 1<<62))
}

// readyIn is how long block seq still takes.
func (l *Link) readyIn(seq uint64) time.Duration {
	at := l.cfg.Seed.Start.Add(time.Duration(float64(seq+1) * l.period()))
	return max(0, at.Sub(l.cfg.Now()))
}

// Next implements quantum.Link.
func (l *Link) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, calm) {
		if seq, ok := l.pick(want); ok {
			return l.block(seq), nil
		}
		t := time.NewTimer(l.lookAgain(pause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return quantum.KeyBlock{}, qsc.E("simulated.Next", qsc.Timeout, string(l.cfg.Link), "%w", context.Cause(ctx))
		case <-l.ctx.Done():
			t.Stop()
			return quantum.KeyBlock{}, qsc.E("simulated.Next", qsc.Unreachable, string(l.cfg.Link), "the link is closed")
		}
	}
}

// lookAgain is how long to wait before the next look: for the next block, and
// where some are there already that nobody wants, for pause at least.
func (l *Link) lookAgain(pause time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	least := time.Millisecond
	if len(l.held) > 0 {
		least = pause
	}
	return max(l.readyIn(l.next), least)
}

// pick takes the first wanted block that is there.
func (l *Link) pick(want func(uint64) bool) (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	made := l.made()
	l.lose(made)
	for i, seq := range l.held {
		if want(seq) {
			l.held = slices.Delete(l.held, i, i+1)
			return seq, true
		}
	}
	for ; l.next < made; l.next++ {
		if want(l.next) {
			l.next++
			return l.next - 1, true
		}
		l.held = append(l.held, l.next)
	}
	return 0, false
}

// oldest is the first block that is still kept when so many were made.
func oldest(made uint64) uint64 { return max(made/row, 1)*row - row }

// lose forgets what is too old. mu is held.
func (l *Link) lose(made uint64) {
	first := oldest(made)
	l.next = max(l.next, first)
	k, _ := slices.BinarySearch(l.held, first)
	l.held = slices.Delete(l.held, 0, k)
}

// block makes block seq: the seed's key stream at a place of its own.
func (l *Link) block(seq uint64) quantum.KeyBlock {
	var iv [16]byte
	binary.BigEndian.PutUint64(iv[:], seq+1)
	key := make([]byte, l.cfg.Block)
	cipher.NewCTR(l.stream, iv[:]).XORKeyStream(key, key)
	var id qsc.KeyID
	binary.BigEndian.PutUint64(iv[8:], math.MaxUint64) // beyond every block's counter
	l.stream.Encrypt(id[:], iv[:])
	return quantum.KeyBlock{
		Link: l.cfg.Link, ID: id, Epoch: l.cfg.Seed.Epoch, Seq: seq, Key: qsc.NewSecret(key),
		Bound: Bound, Class: qsc.Simulated,
		ProducedAt: l.cfg.Seed.Start.Add(time.Duration(float64(seq+1) * l.period())),
	}
}

// Accept implements quantum.Link. There is no copy to erase: whoever has the
// seed has the key.
func (l *Link) Accept(quantum.KeyBlock) error { return nil }

// Status implements quantum.Link.
func (l *Link) Status() quantum.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	made := l.made()
	st := quantum.Status{Kind: "simulated", Rate: l.cfg.Rate, NextBlock: l.readyIn(max(l.next, made)), Class: qsc.Simulated}
	st.Waiting = int64(len(l.held)) * l.cfg.Block
	if made > l.next {
		st.Waiting += int64(made-max(l.next, oldest(made))) * l.cfg.Block
	}
	if early := l.cfg.Seed.Start.Sub(l.cfg.Now()); early > time.Second {
		st.Alarm = "the clock stands before the link's beginning: set it right"
	}
	return st
}

// Close implements quantum.Link.
func (l *Link) Close() error {
	l.cancel()
	return nil
}
