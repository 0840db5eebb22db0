// Package twins is the part of a link over a vendor's QKD system that does not
// depend on how the vendor hands its keys over: keys have names, both ends get the
// same ones, and blocks are made of them.
//
// One end is the master: it draws new keys from its Source, makes blocks of them
// and tells the other which keys make which block, over a small connection of their
// own. The other end is the slave and takes the twins. Names are public. That both
// ends really hold the same key is not checked here: the first frame under a block's
// pads shows it, by its one-time tag.
//
// It knows no vendor (package etsi014 and package record do) and keeps no key.
package twins

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// poll is how often an idle link asks again what is wanted.
const poll = 50 * time.Millisecond

// Config describes one end.
type Config struct {
	Link  qsc.LinkID
	Epoch uint32
	Block int64 // bytes in a block, a multiple of 16

	Source Source // this end's; stays the caller's
	Kind   string // of the link, for its status
	Bound  string // what its blocks name as the bound they were made under

	// The master listens for the slave and keeps its place in FS.
	Master bool
	Listen net.Listener // master: where the slave calls; closed by the link
	FS     durable.FS   // master: its own directory; stays the caller's
	Dial   string       // slave: the master's address
	// TLS protects the block lists, mutually. Without it whoever can write to
	// the connection can waste key, and make a slave whose source serves a key twice
	// take it into two blocks.
	TLS *tls.Config

	Class qsc.Class        // of all key from here, at least
	Now   func() time.Time // nil: time.Now
}

// Link implements quantum.Link.
type Link struct {
	cfg     Config
	end     end
	ctx     context.Context
	cancel  context.CancelFunc
	jobs    sync.WaitGroup
	looking sync.WaitGroup // keepLooking
	wake    chan struct{}  // something has happened that a waiting Next must look at

	mu    sync.Mutex
	busy  bool
	ready *quantum.KeyBlock
	fault error // of the last job, to be told once
	alarm string
	class qsc.Class
	last  time.Time     // when the last block came
	pace  time.Duration // between the last two
}

// end is what master and slave do differently. Its methods are not called at the
// same time, choose with the link's lock held.
type end interface {
	// choose finds work for what is wanted.
	choose(want func(uint64) bool) (job func() (*quantum.KeyBlock, error), ok bool)
	close()
}

var _ quantum.Link = (*Link)(nil)

// Open opens one end. Errors: Invalid for an impossible configuration; Conflict
// when the directory is of a later epoch; Corrupt, NoSpace of the directory.
func Open(cfg Config) (*Link, error) {
	if cfg.Block < 16 || cfg.Block%16 != 0 || cfg.Block > 64<<20 || cfg.Source == nil {
		return nil, qsc.E("twins.Open", qsc.Invalid, string(cfg.Link), "blocks of a multiple of 16 bytes and a source are needed")
	}
	if cfg.Master && (cfg.Listen == nil || cfg.FS == nil) || !cfg.Master && cfg.Dial == "" {
		return nil, qsc.E("twins.Open", qsc.Invalid, string(cfg.Link), "a master needs a listener and a directory, a slave the master's address")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Link{cfg: cfg, wake: make(chan struct{}, 1), class: cfg.Class}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if !cfg.Master {
		s := &slave{l: l, taken: map[uint64]bool{}}
		l.end = s
		if _, ok := cfg.Source.(Sharer); ok {
			l.looking.Go(func() { l.keepLooking(s) })
		}
		return l, nil
	}
	m, err := openMaster(l)
	if err != nil {
		l.cancel()
		return nil, err
	}
	l.end = m
	return l, nil
}

// keepLooking has a slave tell the master what it holds even while nobody calls Next
// at its end: the master may be waiting for it.
func (l *Link) keepLooking(s *slave) {
	t := time.NewTimer(poll)
	defer t.Stop()
	for l.ctx.Err() == nil {
		l.mu.Lock()
		free := !l.busy
		l.busy = true
		l.mu.Unlock()
		if free {
			l.finish(s.look())
		}
		t.Reset(poll) // from the end of a look: a Next that waits has its turn
		select {
		case <-t.C:
		case <-l.ctx.Done():
		}
	}
}

// Next implements quantum.Link. Drawing a block goes on when ctx ends, and a later
// call gets it: requests cut off half-way would cost key.
func (l *Link) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		switch {
		case l.ctx.Err() != nil:
			return quantum.KeyBlock{}, l.err(qsc.Unreachable, "the link is closed")
		case ctx.Err() != nil:
			return quantum.KeyBlock{}, l.err(qsc.Timeout, "%w", context.Cause(ctx))
		}
		if b, err := l.step(want); b != nil || err != nil {
			return take(b), err
		}
		select {
		case <-l.wake:
		case <-t.C:
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
	}
}

func take(b *quantum.KeyBlock) quantum.KeyBlock {
	if b == nil {
		return quantum.KeyBlock{}
	}
	return *b
}

// step hands out what is ready, or starts the next job.
func (l *Link) step(want func(uint64) bool) (*quantum.KeyBlock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.ready; b != nil {
		l.ready = nil
		if want(b.Seq) {
			return b, nil
		}
		b.Key.Zeroise() // a live source cannot hold what nobody wants
	}
	if err := l.fault; err != nil {
		l.fault = nil
		return nil, err
	}
	if l.busy || l.ctx.Err() != nil {
		return nil, nil
	}
	if job, ok := l.end.choose(want); ok {
		l.busy = true
		l.jobs.Go(func() { l.finish(job()) })
	}
	return nil, nil
}

// finish takes what a job came to.
func (l *Link) finish(b *quantum.KeyBlock, err error) {
	l.mu.Lock()
	l.busy = false
	switch {
	case l.ctx.Err() != nil && b != nil:
		b.Key.Zeroise()
	case err != nil:
		l.fault, l.alarm = err, err.Error()
	case b != nil:
		l.ready, l.alarm = b, ""
		l.class |= b.Class
		now := l.cfg.Now()
		if !l.last.IsZero() {
			l.pace = now.Sub(l.last)
		}
		l.last = now
	}
	l.mu.Unlock()
	l.stir()
}

// stir makes a waiting Next look again.
func (l *Link) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Link) err(kind qsc.Kind, format string, args ...any) error {
	return qsc.E("twins.Next", kind, string(l.cfg.Link), format, args...)
}

// Accept implements quantum.Link. The link keeps no copy of what it hands out.
func (l *Link) Accept(quantum.KeyBlock) error { return nil }

// Status implements quantum.Link. The rate is that of the last two blocks.
func (l *Link) Status() quantum.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := quantum.Status{Kind: l.cfg.Kind, Bound: l.cfg.Bound, Alarm: l.alarm, Class: l.class, NextBlock: l.pace}
	if l.pace > 0 {
		st.Rate = qsc.BitRate(float64(l.cfg.Block*8) / l.pace.Seconds())
	}
	if l.ready != nil {
		st.Waiting = l.cfg.Block
	}
	if w, ok := l.cfg.Source.(Warner); ok && st.Alarm == "" {
		st.Alarm = w.Alarm()
	}
	return st
}

// Close implements quantum.Link. A block that is being drawn is lost.
func (l *Link) Close() error {
	l.mu.Lock()
	l.cancel() // under the lock: no job begins after this
	l.mu.Unlock()
	l.jobs.Wait()
	l.looking.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end.close()
	if l.ready != nil {
		l.ready.Key.Zeroise()
		l.ready = nil
	}
	return nil
}
