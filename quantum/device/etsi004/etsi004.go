// Package etsi004 is the quantum link of a vendor's key source that speaks ETSI
// GS QKD 004: both nodes open the same key stream at their own KME and read it by
// index, so that block Seq of the link is chunk Seq of the stream.
//
// It makes no key and cannot vouch for it: the last metre from the KME to the
// node is TLS, so the class of every block is Computational, whatever the KME
// says of what lies behind. It never calls CLOSE: a node that restarts goes on
// with the stream.
package etsi004

import (
	"context"
	"crypto/aes"
	"crypto/tls"
	"encoding/binary"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Bound is what the blocks name as the bound they were made under: the vendor's,
// which the interface does not tell.
const Bound = "vendor (ETSI 004)"

// Config describes one end.
type Config struct {
	Link  qsc.LinkID
	Epoch uint32
	Block int64     // bytes in a block: the stream's Key_chunk_size
	Since time.Time // when the link was provisioned, the same at both ends; the date of every block
	First uint64    // lowest Seq still of use: a restarted node need not ask for those below

	Addr        string // of this end's KME
	TLS         *tls.Config
	Source      string // URI of this end's application
	Destination string // URI of the other end's
	// Stream is the ID that both ends open, drawn at random when the link was
	// provisioned, with an epoch of its own: a KME that begins the stream anew
	// begins at index 0, where this link does not look any more.
	Stream [16]byte

	Rate    qsc.BitRate   // asked for as Min_bps; 0: none
	TTL     time.Duration // asked for; 0: the KME's choice
	Retry   time.Duration // between attempts, 1 s
	Timeout time.Duration // of one call, 30 s
}

// Limits of what is remembered and looked ahead, in blocks.
const (
	heldMax   = 4096 // that had no place when they were passed over
	lookAhead = 1024 // to find one that has a place
	doubtMin  = 64   // refused in a row before the source counts as dry
	doubtMax  = 1024
)

// Link implements quantum.Link. A worker of its own draws the blocks: a caller
// that stops waiting does not break the call that is under way.
type Link struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	jobs   chan uint64
	done   chan result

	// of the one goroutine in Next
	busy  bool // a job is under way
	after bool // the source was dry: the next job waits for Retry
	plan  plan

	mu     sync.Mutex
	status quantum.Status
}

// result is what became of one job.
type result struct {
	seq  uint64
	key  []byte
	from qsc.Class
	next uint64 // refused: the lowest seq that may still be had, as far as the KME says
	late bool   // on its way, the KME says: to be asked for again
	err  error
}

var _ quantum.Link = (*Link)(nil)

// Open opens one end; it connects when the first block is wanted. Error: Invalid.
func Open(cfg Config) (*Link, error) {
	var none [16]byte
	if cfg.Block < 16 || cfg.Block > wire.MaxChunk || cfg.TLS == nil || cfg.Stream == none || cfg.Since.IsZero() {
		return nil, qsc.E("etsi004.Open", qsc.Invalid, string(cfg.Link), "blocks of 16 to %d bytes, a TLS configuration, a stream ID and the date of provisioning are needed", wire.MaxChunk)
	}
	if cfg.Retry <= 0 {
		cfg.Retry = time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	l := &Link{cfg: cfg, jobs: make(chan uint64, 1), done: make(chan result, 1), plan: plan{next: cfg.First, span: doubtMin}}
	l.status = quantum.Status{Kind: "etsi004", Rate: cfg.Rate, Class: qsc.Computational}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	w := &worker{l: l}
	l.wg.Go(w.run)
	return l, nil
}

// Next implements quantum.Link. Blocks that nobody wants are left at the KME and
// asked for when somebody does.
func (l *Link) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	for {
		if err := l.usable(ctx); err != nil {
			return quantum.KeyBlock{}, err
		}
		l.start(want)
		r, err := l.wait(ctx)
		if err != nil {
			return quantum.KeyBlock{}, err
		}
		if r == nil {
			continue // nothing was wanted: look again
		}
		if b, err := l.settle(r, want); err != nil || b.Key.Len() > 0 {
			return b, err
		}
	}
}

func (l *Link) usable(ctx context.Context) error {
	switch {
	case l.ctx.Err() != nil:
		return qsc.E("etsi004.Next", qsc.Unreachable, string(l.cfg.Link), "the link is closed")
	case ctx.Err() != nil:
		return qsc.E("etsi004.Next", qsc.Timeout, string(l.cfg.Link), "%w", context.Cause(ctx))
	}
	return nil
}

// start gives the worker a job unless it has one, the source has just been dry,
// or nothing is wanted.
func (l *Link) start(want func(uint64) bool) {
	if l.busy || l.after {
		return
	}
	if seq, ok := l.plan.pick(want); ok {
		l.busy = true
		l.jobs <- seq
	}
}

// look is how often a link that nobody wants anything of asks again.
const look = 50 * time.Millisecond

// wait waits for the result, or for the time to look again: then it is nil.
func (l *Link) wait(ctx context.Context) (*result, error) {
	pause := l.cfg.Retry
	if !l.after {
		pause = look
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	tick := t.C
	if l.busy {
		tick = nil
	}
	select {
	case r := <-l.done:
		l.busy = false
		return &r, nil
	case <-tick:
		l.after = false
		return nil, nil
	case <-ctx.Done():
		return nil, l.usable(ctx)
	case <-l.ctx.Done():
		return nil, l.usable(ctx)
	}
}

// settle makes a block of a result, or notes why there is none.
func (l *Link) settle(r *result, want func(uint64) bool) (quantum.KeyBlock, error) {
	switch {
	case r.err != nil:
		l.after = true
		l.plan.back(r.seq)
		return quantum.KeyBlock{}, r.err
	case r.late:
		l.plan.back(r.seq)
		return quantum.KeyBlock{}, nil
	case r.key == nil:
		l.after = l.plan.refused(r.seq, r.next)
		return quantum.KeyBlock{}, nil
	case !want(r.seq): // its place was taken while it came
		clear(r.key)
		l.plan.got(r.seq)
		return quantum.KeyBlock{}, nil
	}
	l.plan.got(r.seq)
	return quantum.KeyBlock{
		Link: l.cfg.Link, ID: l.id(r.seq), Epoch: l.cfg.Epoch, Seq: r.seq, Key: qsc.NewSecret(r.key),
		Bound: Bound, Class: r.from | qsc.Computational, ProducedAt: l.cfg.Since,
	}, nil
}

// id names a block: the same at both ends, and nothing to who does not know the
// stream's ID.
func (l *Link) id(seq uint64) (id qsc.KeyID) {
	b, err := aes.NewCipher(l.cfg.Stream[:])
	if err != nil {
		panic(err) // a key of 16 bytes fits
	}
	binary.BigEndian.PutUint32(id[:], l.cfg.Epoch)
	binary.BigEndian.PutUint64(id[8:], seq)
	b.Encrypt(id[:], id[:])
	return id
}

// Accept implements quantum.Link. The KME keeps no copy of what it has given.
func (l *Link) Accept(quantum.KeyBlock) error { return nil }

// Status implements quantum.Link. NextBlock and Waiting are not told by the
// interface.
func (l *Link) Status() quantum.Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// alarm notes what is wrong; "" that nothing is.
func (l *Link) alarm(text string, class qsc.Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Alarm = text
	l.status.Class |= class
}

// Close implements quantum.Link.
func (l *Link) Close() error {
	l.cancel()
	l.wg.Wait()
	select {
	case r := <-l.done:
		clear(r.key)
	default:
	}
	return nil
}
