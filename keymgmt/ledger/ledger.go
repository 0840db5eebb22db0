// Package ledger keeps the key of one link end on disk: a preallocated ring of
// key blocks for each lane, a table that says what lies in each slot, and marks
// that say what was used. Formats, the order of system calls and what erasure
// does and does not promise are in docs/design/keymgmt.md.
//
// It seals and opens nothing (package its/otp), talks to no peer (package
// transport) and makes no key (package quantum).
package ledger

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Bounds of the geometry, in bytes.
const (
	MinBlock = 2 << 10
	MaxBlock = 64 << 20
	MaxPad   = 1 << 40
)

// Config describes one link end. FS, Link, Block, Pad and Source are needed.
type Config struct {
	FS     durable.FS    // the ledger's own directory; stays the caller's
	Link   qsc.LinkID    // at most 255 bytes
	Ends   [2]qsc.NodeID // the nodes at ends A and B, for messages; may be empty
	End    int           // 0: this is end A, 1: end B
	Epoch  uint32        // of the link's provisioning
	Block  int64         // bytes in a key block, a multiple of 16
	Pad    int64         // bytes of key that each data lane's ring holds
	Source quantum.Link  // used until Close; stays the caller's
	Logger *slog.Logger  // nil: nothing is logged
	Idle   time.Duration // after it exact marks are stored and erasures synced; 0: 1 s
	Wait   time.Duration // how long View waits for a block on its way; 0: 2 s
	Retry  time.Duration // how often an empty or failing source is asked again; 0: 500 ms
}

// Ledger implements keymgmt.Ledger on a directory.
//
// Locks, in this order: sweepMu (one sweep at a time), fillMu (blocks come in, or
// marks are reconciled), commitMu (one writer of marks), table.mu (one writer of
// the table), mu (all that is in memory). No system call that waits for the disk
// is made under mu.
type Ledger struct {
	cfg   Config
	u     uint64 // pad bytes in a block
	table *table
	marks *marksFile

	sweepMu  sync.Mutex
	fillMu   sync.Mutex
	commitMu sync.Mutex

	mu      sync.Mutex
	lanes   [keymgmt.Lanes]*lane
	class   qsc.Class
	saved   record        // the marks that are durable
	changed chan struct{} // closed and replaced when something comes or goes
	dry     bool          // the source is a finite stock with nothing for us
	freed   uint64        // counts the times that slots came free
	fault   string        // what is wrong with the source, in words
	broken  string        // what is wrong with the directory
	waiters int
	waiting time.Time // since when the first of them waits
	flushes int       // Flush calls that want to hear of every erasure
	closed  bool

	stop   context.CancelFunc
	ctx    context.Context
	work   sync.WaitGroup
	sweepC chan struct{} // wakes the sweeper
	fillC  chan struct{} // wakes the filler
}

var _ keymgmt.Ledger = (*Ledger)(nil)

// Open opens the ledger in cfg.FS, or makes it: all space it will ever need is
// reserved now. What a crash left is repaired first: bytes that may have been
// used are burnt and erased. The source is drained from here on until Close.
//
// Errors: Invalid for a wrong cfg; NoSpace when the rings do not fit; Conflict
// when the directory belongs to another link, end, epoch or geometry; Corrupt
// when files are cut short or damaged (nothing of them is ever served).
func Open(cfg Config) (*Ledger, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := &Ledger{cfg: cfg, u: uint64(keymgmt.PadSize(cfg.Block)), changed: make(chan struct{}),
		sweepC: make(chan struct{}, 1), fillC: make(chan struct{}, 1)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	if err := l.load(); err != nil {
		l.release()
		return nil, err
	}
	l.work.Go(l.fill)
	l.work.Go(l.sweeper)
	return l, nil
}

func (c *Config) check() error {
	bad := func(format string, args ...any) error {
		return qsc.E("ledger.Open", qsc.Invalid, string(c.Link), format, args...)
	}
	switch {
	case c.FS == nil || c.Source == nil:
		return bad("a ledger needs a directory and a source")
	case c.Link == "" || len(c.Link) > maxLink:
		return bad("the link's name has %d bytes, not 1 to %d", len(c.Link), maxLink)
	case c.End != 0 && c.End != 1:
		return bad("end %d: a link has ends 0 and 1", c.End)
	case c.Block < MinBlock || c.Block > MaxBlock || c.Block%16 != 0:
		return bad("key blocks of %d bytes: give a multiple of 16 from %d to %d", c.Block, MinBlock, MaxBlock)
	case c.Pad < c.Block || c.Pad > MaxPad:
		return bad("pad stock of %d bytes per lane: give at least a block (%d) and at most %d", c.Pad, c.Block, int64(MaxPad))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Idle <= 0 {
		c.Idle = time.Second
	}
	if c.Wait <= 0 {
		c.Wait = 2 * time.Second
	}
	if c.Retry <= 0 {
		c.Retry = 500 * time.Millisecond
	}
	return nil
}

// slots returns how many blocks the ring of a lane holds. Control lanes get
// the share of the stream that LaneOf gives them.
func (c *Config) slots(id otp.Lane) uint64 {
	n := uint64(c.Pad / c.Block)
	if control(id) {
		return max(2, (n+127)/128)
	}
	return max(2, n)
}

func control(id otp.Lane) bool { return id == keymgmt.ControlAB || id == keymgmt.ControlBA }

// sends reports whether end sends on the lane.
func sends(id otp.Lane, end int) bool {
	return id == keymgmt.SendData(end) || id == keymgmt.SendControl(end)
}

// Close implements keymgmt.Ledger. Waiting calls end with Unreachable. When it
// fails the next Open burns what was uncertain; nothing else is lost.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.notify()
	l.mu.Unlock()
	l.stop()
	l.work.Wait()
	l.settleReceivers()
	err := l.sweep(everyLane)
	l.sweepMu.Lock()
	l.commitMu.Lock()
	defer l.sweepMu.Unlock()
	defer l.commitMu.Unlock()
	l.release()
	return l.wrap("ledger.Close", err)
}

// settleReceivers gives up the gaps below what was received: their frames
// belong to a session that ends with this process.
func (l *Ledger) settleReceivers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.lanes {
		if n.win != nil {
			n.raise(n.win.Next())
		}
	}
}

// release closes the files. A ring is unmapped only when the last pad that
// points into it is gone, see ring.
func (l *Ledger) release() {
	if l.table != nil {
		l.table.f.Close()
	}
	if l.marks != nil {
		l.marks.f.Close()
	}
}

// notify wakes all who wait for a change. mu is held.
func (l *Ledger) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wrap names the operation and keeps the kind.
func (l *Ledger) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if q, ok := err.(*qsc.Error); ok && q.Op == "" {
		return &qsc.Error{Op: op, Kind: q.Kind, Node: string(l.cfg.Link), Err: q.Err}
	} else if ok && q.Op == op {
		return q
	}
	return qsc.E(op, qsc.KindOf(err), string(l.cfg.Link), "%w", err)
}

// await waits until the ledger changes. It returns Timeout when ctx ends and
// Unreachable when the ledger closes.
func (l *Ledger) await(ctx context.Context, op string, changed <-chan struct{}) error {
	select {
	case <-changed:
	case <-ctx.Done():
		return qsc.E(op, qsc.Timeout, string(l.cfg.Link), "no key came in time: %w", context.Cause(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open(op)
}

// open fails when the ledger is closed. mu is held.
func (l *Ledger) open(op string) error {
	if l.closed {
		return qsc.E(op, qsc.Unreachable, string(l.cfg.Link), "the key ledger is closed: the node is stopping")
	}
	return nil
}
