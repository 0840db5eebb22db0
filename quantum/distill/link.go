package distill

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

const (
	defaultRoom = 64 << 20
	minBlock    = 128 // bytes

	firstRest = 20 * time.Millisecond // after an abort, doubling
	longRest  = 5 * time.Second
	calm      = 500 * time.Millisecond // longest pause between looks at unwanted blocks
	ahead     = 512                    // numbers not made yet that Next asks for

	leastRoom = 64 // blocks that wait at least before one is lost
)

// Config describes one end of a link.
type Config struct {
	Link  qsc.LinkID
	Epoch uint32 // rises when the link is provisioned anew; numbers of blocks then begin at 0
	Role  Role
	Block int64 // bytes in a block: a multiple of 16, from 128 on

	FS     durable.FS                              // this end's own directory, founded (Found); stays the caller's
	Listen net.Listener                            // Alice; closed by the link
	Dial   func(context.Context) (net.Conn, error) // Bob

	Protocol   Protocol   // closed by the link
	Reconciler Reconciler // nil where the protocol reconciles itself (Sifted.Agreed)

	Device    string      // name of the preset, for records and status
	Kind      string      // "bb84", "cv", …
	Class     qsc.Class   // of all that comes of the protocol
	Predicted qsc.BitRate // what Status says before the first round

	Random io.Reader        // seeds, keys of verification, names; nil: the operating system's, which shows in the class
	Room   int64            // bytes of finished blocks that wait at most, but for one round's, and no less than 64 blocks; 0: 64 MiB
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: none
}

// Link is one end of a link that distils its key. It implements quantum.Link and
// quantum.Attackable.
type Link struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	jobs   sync.WaitGroup // the rounds
	ending sync.WaitGroup // the end of a round, beside the next round
	spare  buffers        // of rounds
	tamper atomic.Uint64  // probability times 2³²
	wake   chan struct{}  // blocks are there
	room   chan struct{}  // blocks are gone

	disk sync.Mutex // one writer of the directory; before mu

	mu      sync.Mutex
	state   *state
	told    time.Time          // raw data before it may have been told, in rounds that came to nothing
	left    *leftover          // by pointer, so that no way of printing walks down to it
	skips   int                // sifts in a row that failed, of a device whose time runs ahead of the clock
	waiting []quantum.KeyBlock // rising
	hungry  bool               // somebody wants what is not made yet
	refused uint64             // of the waiting, those below this number were looked at last and not wanted
	frozen  uint64             // those below this number are not to be had while the ends agree on what to lose
	resting bool               // there is no room for more
	account account
	closed  bool
}

var (
	_ quantum.Link       = (*Link)(nil)
	_ quantum.Attackable = (*Link)(nil)
)

func (c *Config) complete() error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, qsc.E("distill.Open", qsc.Invalid, string(c.Link), format, args...))
		}
	}
	need(c.Role <= Bob, "role %d is none", c.Role)
	need(c.Block >= minBlock && c.Block%16 == 0 && c.Block <= maxBits/8, "blocks of %d bytes: a multiple of 16, from %d on, is needed", c.Block, minBlock)
	need(c.FS != nil, "a directory is needed")
	need(c.Protocol != nil, "a protocol is needed")
	need(c.Role != Alice || c.Listen != nil, "Alice needs a listener")
	need(c.Role != Bob || c.Dial != nil, "Bob needs Alice's address")
	need(c.Room >= 0, "room of %d bytes", c.Room)
	if c.Room == 0 {
		c.Room = defaultRoom
	}
	c.Room = max(c.Room, leastRoom*c.Block)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
		c.Class |= qsc.OSRandom
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(faults...)
}

// Open opens one end and begins to distil as soon as the other end is there.
//
// Errors: Invalid for an impossible configuration, every fault named; NotFound for
// a directory that was never founded; Conflict for one of a later epoch; Corrupt
// and NoSpace of the directory. After an error the listener and the protocol are
// closed.
func Open(cfg Config) (*Link, error) {
	l, err := open(cfg)
	if err == nil {
		return l, nil
	}
	if cfg.Listen != nil {
		_ = cfg.Listen.Close()
	}
	if cfg.Protocol != nil {
		_ = cfg.Protocol.Close()
	}
	return nil, err
}

func open(cfg Config) (*Link, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s, err := loadState(cfg.FS)
	switch {
	case qsc.IsKind(err, qsc.NotFound):
		return nil, qsc.E("distill.Open", qsc.NotFound, string(cfg.Link), "the link has no key to authenticate with yet: found it (both ends at once): %w", err)
	case err != nil:
		return nil, err
	case s.epoch > cfg.Epoch:
		return nil, qsc.E("distill.Open", qsc.Conflict, string(cfg.Link), "the directory is of epoch %d, the link of epoch %d: no number may serve twice", s.epoch, cfg.Epoch)
	case s.epoch < cfg.Epoch:
		s.epoch, s.next = cfg.Epoch, 0
	}
	// What an earlier process told in rounds that came to nothing, nobody knows.
	l := &Link{cfg: cfg, state: s, told: cfg.Now().Round(0), left: new(leftover), wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	l.log = cfg.Logger.With("link", string(cfg.Link), "role", cfg.Role.String())
	l.account.begin(cfg)
	if err := l.account.load(cfg.FS); err != nil {
		return nil, err
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.jobs.Go(l.run)
	return l, nil
}

// String returns "alice" or "bob".
func (r Role) String() string {
	if r == Alice {
		return "alice"
	}
	return "bob"
}

func (r Role) other() Role { return Bob - r }

// Next implements quantum.Link. Unwanted blocks are kept, and while they fill the
// room that there is for them the link makes no more.
func (l *Link) Next(ctx context.Context, want func(uint64) bool) (quantum.KeyBlock, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, calm) {
		switch {
		case l.ctx.Err() != nil:
			return quantum.KeyBlock{}, qsc.E("distill.Next", qsc.Unreachable, string(l.cfg.Link), "the link is closed")
		case ctx.Err() != nil:
			return quantum.KeyBlock{}, qsc.E("distill.Next", qsc.Timeout, string(l.cfg.Link), "%w", context.Cause(ctx))
		}
		if b, ok := l.pick(want); ok {
			return b, nil
		}
		t := time.NewTimer(pause)
		select {
		case <-l.wake:
			pause = time.Millisecond
		case <-t.C:
		case <-ctx.Done():
		case <-l.ctx.Done():
		}
		t.Stop()
	}
}

// pick takes the first wanted block, and finds out whether more are wanted than
// there are.
func (l *Link) pick(want func(uint64) bool) (quantum.KeyBlock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range l.waiting {
		if b.Seq >= l.frozen && want(b.Seq) {
			l.waiting = slices.Delete(l.waiting, i, i+1)
			l.hungry = false // until the next look, which may never come
			nudge(l.room)
			return b, true
		}
	}
	hungry := false
	for seq := l.state.next; seq < l.state.next+ahead && !hungry; seq++ {
		hungry = want(seq)
	}
	if hungry && !l.hungry {
		nudge(l.room)
	}
	l.hungry = hungry
	if k := len(l.waiting); k > 0 {
		l.refused = l.waiting[k-1].Seq + 1
	}
	return quantum.KeyBlock{}, false
}

// nudge wakes who waits on c.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Accept implements quantum.Link. The link keeps no copy of what it hands out.
func (l *Link) Accept(quantum.KeyBlock) error { return nil }

// Close implements quantum.Link. Blocks that nobody has taken are erased.
func (l *Link) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	if l.cfg.Listen != nil && first {
		_ = l.cfg.Listen.Close()
	}
	l.jobs.Wait()
	l.ending.Wait()
	if !first {
		return nil
	}
	l.mu.Lock()
	l.state.until = l.used()
	l.mu.Unlock()
	l.disk.Lock()
	_ = l.persist() // for a device that runs ahead of the clock: no key rests on it
	l.disk.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.waiting {
		b.Key.Zeroise()
	}
	l.waiting = nil
	clear(l.left.words)
	l.state.zeroise()
	return l.cfg.Protocol.Close()
}

// Attack implements quantum.Attackable: Tampering is done here, on messages that
// this end receives; the rest is the protocol's.
func (l *Link) Attack(a quantum.Attack) error {
	if !(a.Strength >= 0 && a.Strength <= 1) {
		return qsc.E("distill.Attack", qsc.Invalid, string(l.cfg.Link), "strength %v is not from 0 to 1", a.Strength)
	}
	p, ok := l.cfg.Protocol.(quantum.Attackable)
	switch {
	case a.Kind == quantum.Tampering:
		l.tamper.Store(uint64(a.Strength * (1 << 32)))
		if ok && a.Strength > 0 {
			_ = p.Attack(quantum.Attack{Kind: quantum.Noise}) // replaces what was under way
		}
		return nil
	case !ok:
		return qsc.E("distill.Attack", qsc.Unsupported, string(l.cfg.Link), "this link's device has no attacker in it: %q is none of its attacks", a.Kind)
	}
	if err := p.Attack(a); err != nil {
		return err
	}
	l.tamper.Store(0)
	return nil
}
