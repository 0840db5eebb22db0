package manage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"golang.org/x/sync/errgroup"
)

// ServerConfig sets a controller's process up. Zero durations mean the defaults
// named.
type ServerConfig struct {
	Name    string // of this controller in the lease, unlike any other's
	Network *topology.Network
	Store   *Store
	Bus     *Bus

	Lease time.Duration // after it without a sign of life another takes over; 3 s
	Tick  time.Duration // between computations when nothing is urgent; 250 ms
	Core  CoreConfig    // its durations only
	Log   *slog.Logger  // nil: none

	clock func() time.Duration // of a test; nil: the time since NewServer
}

// Server is one controller of a network: it leads while it holds the lease, and
// waits for it otherwise. It implements control.Northbound.
type Server struct {
	cfg    ServerConfig
	start  time.Time
	urgent chan struct{}

	elector *elector // of one goroutine: elect, and resign after it

	mu     sync.Mutex
	lead   uint64 // epoch in which this controller leads, 0: it does not
	until  time.Duration
	core   *Core
	pins   []Pin
	faults map[control.VirtualID]string
	hops   []control.Hop
	apps   []Application
	pairs  []Pair
	events events
	status ServerStatus
}

// ServerStatus is what a controller tells of itself.
type ServerStatus struct {
	Name    string        `json:"name"`
	Leads   bool          `json:"leads"`
	Epoch   uint64        `json:"epoch"` // in which it leads
	Settled bool          `json:"settled"`
	Heard   int           `json:"heard"` // nodes that report
	Nodes   int           `json:"nodes"`
	Demands int           `json:"demands"`
	Short   int           `json:"short"`   // demands whose minimum cannot be met
	Ahead   uint64        `json:"ahead"`   // epoch that most nodes know; above Epoch: the store was set back
	Reports int64         `json:"reports"` // taken
	Refused int64         `json:"refused"` // reports that cannot be
	Pushed  int64         `json:"pushed"`  // tables
	Unsent  int64         `json:"unsent"`  // tables that no server of the bus took
	Took    time.Duration `json:"took"`    // longest computation of tables
	Class   qsc.Class     `json:"class"`   // of the bus
	Fault   string        `json:"fault,omitempty"`
}

var _ control.Northbound = (*Server)(nil)

// NewServer returns a controller that does not run yet. Errors: Invalid.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Name == "" || cfg.Network == nil || cfg.Store == nil || cfg.Bus == nil {
		return nil, qsc.E("manage.NewServer", qsc.Invalid, cfg.Name, "a controller needs a name, a network, a store and a bus")
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 3 * time.Second
	}
	if cfg.Tick <= 0 {
		cfg.Tick = 250 * time.Millisecond
	}
	s := &Server{cfg: cfg, start: time.Now(), urgent: make(chan struct{}, 1)}
	s.elector = &elector{store: cfg.Store, holder: cfg.Name, ttl: cfg.Lease, now: s.now}
	s.events.init()
	s.status = ServerStatus{Name: cfg.Name, Nodes: len(cfg.Network.Nodes), Class: BusClass}
	return s, nil
}

// now is the controller's monotonic clock.
func (s *Server) now() time.Duration {
	if s.cfg.clock != nil {
		return s.cfg.clock()
	}
	return time.Since(s.start)
}

// Run contends for the lease and leads while it has it, until ctx ends; then the
// lease is given back. The error is of kind Timeout.
func (s *Server) Run(ctx context.Context) error {
	err := s.run(ctx)
	return errors.Join(err, s.resign())
}

// run is Run up to what a killed process would still have done.
func (s *Server) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.cfg.Bus.reports(ctx, s.take) })
	g.Go(func() error { return s.push(ctx) })
	g.Go(func() error { return s.elect(ctx) })
	return g.Wait()
}

// take hands a report to the core.
func (s *Server) take(r control.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core == nil {
		return
	}
	if err := s.core.Report(r); err != nil {
		s.status.Refused++
		s.warn("report refused", err)
		return
	}
	s.status.Reports++
	if s.core.Urgent() {
		s.hurry()
	}
}

func (s *Server) hurry() {
	select {
	case s.urgent <- struct{}{}:
	default:
	}
}

// push computes tables, at once when something is urgent, and sends them.
func (s *Server) push(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return qsc.E("manage.Run", qsc.Timeout, s.cfg.Name, "%w", context.Cause(ctx))
		case <-tick.C:
		case <-s.urgent:
		}
		begin := s.now()
		for _, t := range s.tables() {
			s.sent(s.cfg.Bus.push(ctx, t))
		}
		s.rest(ctx, s.now()-begin)
	}
}

// rest waits as long as the last computation took, so that a link that flaps
// costs half a core at most.
func (s *Server) rest(ctx context.Context, took time.Duration) {
	t := time.NewTimer(min(took, s.cfg.Tick))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// tables computes what to send, nothing while another may lead.
func (s *Server) tables() []control.Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core == nil || s.now() >= s.until {
		return nil
	}
	begin := s.now()
	out := s.core.Tables(begin)
	s.status.Took = max(s.status.Took, s.now()-begin)
	for _, e := range s.core.Happened() {
		s.events.add(e)
	}
	return out
}

func (s *Server) sent(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.status.Unsent++
		s.warn("table not sent", err)
		return
	}
	s.status.Pushed++
}

func (s *Server) warn(what string, err error) {
	if s.cfg.Log != nil {
		s.cfg.Log.Warn(what, "err", err)
	}
}

// Status returns the controller's account.
func (s *Server) Status() ServerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Leads = s.core != nil && s.now() < s.until
	if s.core == nil {
		return st
	}
	st.Epoch, st.Settled, st.Ahead = s.core.Epoch(), s.core.settled, s.core.Ahead()
	st.Demands, st.Short = len(s.core.flows.demands), len(s.core.Short())
	for i := range s.core.members {
		if s.core.members[i].heard {
			st.Heard++
		}
	}
	return st
}
