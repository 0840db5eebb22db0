// Package supply gives applications key that they share with applications at
// other nodes. It keeps streams of key, each made by relay rounds from a master's
// node to a slave's, and hands every byte out once at either end. Formats, state
// machine and the order of persisting are in docs/design/supply.md.
//
// It makes no key (keymgmt.Relay does), chooses no paths and no rates (control
// does), speaks no foreign protocol (gateway/ does) and authenticates nobody: it
// believes the names it is called with.
package supply

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Source is physical randomness; keymgmt/pool has one.
type Source interface {
	Fill(b []byte) error // Exhausted when there is not enough; then b is worth nothing
	Class() qsc.Class
}

// Config describes a node's supply. Node, FS and Directory are needed.
type Config struct {
	Node      qsc.NodeID
	FS        durable.FS // the supply's own directory; stays the caller's
	Directory keymgmt.Directory
	Relay     keymgmt.Relay // may be given later: see Use
	Physical  Source        // nil: none
	// Pace returns the rate at which key may be made for a node, 0 for no bound;
	// nil: none. Control fills it. It must not block.
	Pace func(to qsc.NodeID, p keymgmt.Protection) qsc.BitRate
	// Floor returns how many relays must come together, at least, to know key
	// between this node and peer under p; nil: one. It must not block.
	Floor   func(peer qsc.NodeID, p keymgmt.Protection) int
	Limits  keymgmt.Limits // zero fields: DefaultLimits
	First   int            // bytes of a pair's first segment; 0: 4 KiB
	Segment int            // most bytes of a pool segment; 0: 64 KiB
	Chunk   int            // bytes of an application stream's segment; 0: 1 MiB
	Max     int64          // bytes of stock for a pair of nodes, most; 0: 16 MiB
	Disk    int64          // bytes of all stock, most; 0: 64 GiB
	TTL     time.Duration  // of unfetched key whose policy names none; 0: 24 h
	Wait    time.Duration  // how long Issue waits for key, at most; 0: 2 s
	Rounds  int            // relay rounds at once; 0: 32
	Logger  *slog.Logger   // nil: nothing is logged
	Now     func() time.Time
	room    int64         // of the journal; 0: journalRoom
	tick    time.Duration // 0: 250 ms; negative: the test calls what the clock would
}

// DefaultLimits are the limits of a supply whose Config names none.
var DefaultLimits = keymgmt.Limits{KeySize: 256, MinSize: 64, MaxSize: 4096, MaxPerRequest: 128, MaxSlaves: 8}

// Supply implements keymgmt.Supply and keymgmt.Sink on a directory.
//
// Locks: mu guards all state in memory. A record goes into the journal under mu,
// so that the journal's order is that of the changes. Nobody waits for a disk or
// the network under mu.
type Supply struct {
	cfg  Config
	boot uint64 // this start: its number in the upper half, a random number in the lower
	j    *journal
	pool *slab // segments of pool streams
	apps *slab // segments of application streams
	head *slab // identifier keys

	mu      sync.Mutex
	relay   keymgmt.Relay
	streams map[streamKey]*stream
	byNum   map[uint32]*stream
	pools   map[poolKey]*stream      // as master, the one that issues
	slaves  map[qsc.NodeID][]*stream // as slave, pool streams by master's node
	lastNum uint32
	pairs   map[pairName]*pairUse
	gifts   map[qsc.KeyID]*gift
	told    map[giftKey]*gift
	asks    map[giftKey]chan bool // our own gifts waiting for the slave's node
	retries retries
	alarms  []string
	expired int64 // bytes, over all streams and time
	past    Books // of streams that have ended in this process
	random  randomState
	closed  bool

	ctx   context.Context
	stop  context.CancelFunc
	work  sync.WaitGroup
	poke  chan struct{} // wakes the maker
	stir  chan struct{} // wakes the syncer: a stream is new
	inbox chan told
	slots chan struct{} // relay rounds under way
}

type poolKey struct {
	peer qsc.NodeID
	prot keymgmt.Protection
}

var (
	_ keymgmt.Supply = (*Supply)(nil)
	_ keymgmt.Sink   = (*Supply)(nil)
)

// Open opens the supply in cfg.FS, or makes it. What a crash may have given out
// is burnt. Making and reconciling begin when a relay is there. Errors: Invalid
// for a wrong cfg; NoSpace; Corrupt when marks are missing (nothing is served
// then).
func Open(cfg Config) (*Supply, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Supply{cfg: cfg, streams: map[streamKey]*stream{}, byNum: map[uint32]*stream{}, pools: map[poolKey]*stream{},
		slaves: map[qsc.NodeID][]*stream{}, pairs: map[pairName]*pairUse{}, gifts: map[qsc.KeyID]*gift{}, told: map[giftKey]*gift{},
		asks: map[giftKey]chan bool{}, poke: make(chan struct{}, 1), stir: make(chan struct{}, 1), inbox: make(chan told, 1024), slots: make(chan struct{}, cfg.Rounds)}
	s.retries.init()
	s.random.init()
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.restore(); err != nil {
		s.release()
		return nil, err
	}
	if cfg.tick >= 0 {
		s.work.Go(s.ticker)
		s.work.Go(s.reader)
	}
	if cfg.Relay != nil {
		s.Use(cfg.Relay)
	}
	return s, nil
}

func (c *Config) check() error {
	bad := func(format string, args ...any) error {
		return qsc.E("supply.Open", qsc.Invalid, string(c.Node), format, args...)
	}
	if c.Node == "" || c.FS == nil || c.Directory == nil {
		return bad("a supply needs its node's name, a directory of its own and the directory of applications")
	}
	c.defaults()
	l := c.Limits
	switch {
	case c.First < 512 || c.First > c.Segment || c.First%unit != 0:
		return bad("first segment of %d bytes: give a multiple of 8 from 512 to %d", c.First, c.Segment)
	case c.Segment > keymgmt.MaxRound || c.Segment%4096 != 0 || c.Chunk > keymgmt.MaxRound || c.Chunk < 4096 || c.Chunk%4096 != 0:
		return bad("segments of %d and %d bytes: give multiples of 4096 up to %d", c.Segment, c.Chunk, keymgmt.MaxRound)
	case l.MinSize < 8 || l.MinSize%8 != 0 || l.KeySize%8 != 0 || l.MaxSize%8 != 0 || l.KeySize < l.MinSize || l.MaxSize < l.KeySize:
		return bad("key sizes %d ≤ %d ≤ %d bits: give multiples of 8 in this order", l.MinSize, l.KeySize, l.MaxSize)
	case int64(stride(int(l.MaxSize.Bytes()))) > int64(c.First) || l.MaxSize.Bytes() > maxKey || l.MaxPerRequest < 1 || l.MaxSlaves < 0:
		return bad("keys of %d bits, %d in a request, %d slaves are outside what the supply can do", l.MaxSize, l.MaxPerRequest, l.MaxSlaves)
	}
	return nil
}

func (c *Config) defaults() {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&c.Segment, 64<<10)
	set(&c.First, min(4<<10, c.Segment))
	set(&c.Chunk, 1<<20)
	set(&c.Rounds, 32)
	if c.Max == 0 {
		c.Max = 16 << 20
	}
	if c.Disk == 0 {
		c.Disk = 64 << 30
	}
	if c.room == 0 {
		c.room = journalRoom
	}
	if c.TTL == 0 {
		c.TTL = 24 * time.Hour
	}
	if c.Wait == 0 {
		c.Wait = 2 * time.Second
	}
	if c.Limits == (keymgmt.Limits{}) {
		c.Limits = DefaultLimits
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.tick == 0 {
		c.tick = 250 * time.Millisecond
	}
}

// Use gives the supply its relay, once. Streams to this node itself need none but
// begin then, too.
func (s *Supply) Use(r keymgmt.Relay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.relay != nil || s.closed {
		return
	}
	s.relay = &loop{s: s, relay: r}
	if s.cfg.tick >= 0 {
		s.work.Go(s.maker)
		s.work.Go(s.syncer)
	}
}

// Limits implements keymgmt.Supply.
func (s *Supply) Limits() keymgmt.Limits { return s.cfg.Limits }

// Close records the exact marks: after it a start burns nothing. Waiting calls
// end with Unreachable. When it fails, the next Open burns what was uncertain.
func (s *Supply) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, st := range s.streams {
		st.notify()
	}
	s.mu.Unlock()
	s.stop()
	s.work.Wait()
	s.retries.clear()
	err := s.sweep(true)
	s.release()
	return err
}

func (s *Supply) release() {
	s.stop()
	if s.j != nil {
		s.j.close()
	}
	for _, b := range []*slab{s.pool, s.apps, s.head} {
		if b != nil {
			_ = b.f.Close()
		}
	}
}

// start runs f as part of the supply unless it is closing. mu is held.
func (s *Supply) start(f func()) bool {
	if s.closed {
		return false
	}
	s.work.Go(f)
	return true
}

func (s *Supply) slabOf(st *stream) *slab {
	if st.purpose == forApp {
		return s.apps
	}
	return s.pool
}

func (s *Supply) alarm(format string, args ...any) {
	text := qsc.E("", qsc.Other, string(s.cfg.Node), format, args...).Error()
	s.cfg.Logger.Warn("supply: " + text)
	if len(s.alarms) >= 16 {
		s.alarms = s.alarms[1:]
	}
	s.alarms = append(s.alarms, text)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
