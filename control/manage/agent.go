package manage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"golang.org/x/sync/errgroup"
)

// AgentConfig sets an Agent up.
type AgentConfig struct {
	Node    qsc.NodeID
	Network *topology.Network
	Dir     durable.FS // of the agent's own; it holds one small file

	// State is what the node has now: Links and Demands are filled in, the rest
	// is the agent's. It must not block.
	State func() control.Report

	Interval time.Duration // between reports; 0: one second
	Log      *slog.Logger  // nil: none
}

// Agent is the node's side of the control layer. It implements
// keymgmt.RouteSource with what the controller pushed and, where it pushed
// nothing, with paths it finds itself. The methods may be called from several
// goroutines.
type Agent struct {
	cfg  AgentConfig
	news chan struct{} // holds one token when a report should not wait

	taking sync.Mutex // one Take at a time, so that files follow each other; before mu

	mu     sync.Mutex
	saved  saved
	seq    uint64
	flows  map[wish]control.Flow
	own    *route.Graph
	down   map[qsc.NodeID]bool // neighbours whose link is down
	found  map[wish]keymgmt.Route
	status AgentStatus
}

// wish is what Route is asked for.
type wish struct {
	to qsc.NodeID
	p  keymgmt.Protection
}

// AgentStatus is what an agent tells of itself.
type AgentStatus struct {
	Epoch    uint64    `json:"epoch"`    // of the table in use; 0: no controller ever spoke
	Version  uint64    `json:"version"`  //
	Boot     uint64    `json:"boot"`     //
	Flows    int       `json:"flows"`    // that the controller gave
	Refused  int64     `json:"refused"`  // flows that claimed what is not so
	Stale    int64     `json:"stale"`    // tables of a former leader, not used
	Reports  int64     `json:"reports"`  // sent
	Unsent   int64     `json:"unsent"`   // that no server took
	Unstored int64     `json:"unstored"` // tables in use that a restart will not know
	Class    qsc.Class `json:"class"`    // of the bus
}

var _ keymgmt.RouteSource = (*Agent)(nil)

// OpenAgent reads what the agent stored and counts a boot. Errors: Invalid when
// the network has no such node; those of the directory.
func OpenAgent(cfg AgentConfig) (*Agent, error) {
	const op = "manage.OpenAgent"
	if cfg.Network == nil || cfg.State == nil || cfg.Dir == nil {
		return nil, qsc.E(op, qsc.Invalid, string(cfg.Node), "an agent needs a network, a directory and the node's state")
	}
	if _, ok := cfg.Network.Node(cfg.Node); !ok {
		return nil, qsc.E(op, qsc.Invalid, string(cfg.Node), "the network description has no such node")
	}
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	s, fresh, err := load(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if fresh && cfg.Log != nil {
		cfg.Log.Info("no stored routes: finding own ones until a controller speaks")
	}
	s.boot++
	if err := save(cfg.Dir, s); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, news: make(chan struct{}, 1), saved: s, own: route.New(cfg.Network)}
	a.status.Boot, a.status.Class = s.boot, BusClass
	a.use(s.table)
	return a, nil
}

// Run reports and takes tables until ctx ends; its error is then of kind
// Timeout. Without a bus (nil) it only follows the node's own links.
func (a *Agent) Run(ctx context.Context, bus control.Bus) error {
	g, ctx := errgroup.WithContext(ctx)
	if bus != nil {
		g.Go(func() error {
			return bus.Tables(ctx, a.cfg.Node, func(t control.Table) { a.hear(t) })
		})
	}
	g.Go(func() error { return a.reportLoop(ctx, bus) })
	return g.Wait()
}

// hear takes a table from the bus and acknowledges it at once.
func (a *Agent) hear(t control.Table) {
	if t.Version > 0 {
		if err := a.Take(t); err != nil && a.cfg.Log != nil {
			a.cfg.Log.Warn("table not taken", "err", err)
		}
	}
	a.Changed()
}

// Changed asks for a report at once: a link went down or came up.
func (a *Agent) Changed() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *Agent) reportLoop(ctx context.Context, bus control.Bus) error {
	tick := time.NewTicker(a.cfg.Interval)
	defer tick.Stop()
	for {
		r := a.Report()
		if bus != nil {
			a.sent(bus.Report(ctx, r))
		}
		select {
		case <-ctx.Done():
			return qsc.E("manage.Run", qsc.Timeout, string(a.cfg.Node), "%w", context.Cause(ctx))
		case <-tick.C:
		case <-a.news:
		}
	}
}

func (a *Agent) sent(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.status.Unsent++
		return
	}
	a.status.Reports++
}

// Report asks the node for its state, takes it into account for the agent's own
// paths and returns it as the report to send.
func (a *Agent) Report() control.Report {
	r := a.cfg.State()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.follow(r.Links)
	a.seq++
	r.Node, r.Boot, r.Seq = a.cfg.Node, a.saved.boot, a.seq
	r.Epoch, r.Version = a.saved.table.Epoch, a.saved.table.Version
	return r
}

// Take uses a table from now on. Flows whose paths are not there, or are not
// what they claim, are left out and counted. The table is used even when it
// cannot be stored.
// Errors: Conflict for a table of a former leader or an older one than is in
// use; Invalid for one that is not for this node or is malformed; those of the
// directory.
func (a *Agent) Take(t control.Table) error {
	const op = "manage.Take"
	if err := checkTable(op, t); err != nil {
		return err
	}
	if t.Node != a.cfg.Node || t.Version == 0 || t.Epoch == 0 {
		return qsc.E(op, qsc.Invalid, string(a.cfg.Node), "the table is not for this node")
	}
	a.taking.Lock()
	defer a.taking.Unlock()
	now, news, err := a.adopt(t)
	if err != nil || !news {
		return err
	}
	if err := save(a.cfg.Dir, now); err != nil {
		a.mu.Lock()
		a.status.Unstored++
		a.mu.Unlock()
		return err
	}
	return nil
}

// adopt puts a table into use unless it is an old one, and returns what to store.
func (a *Agent) adopt(t control.Table) (s saved, news bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	have := a.saved.table
	if t.Epoch < have.Epoch || t.Epoch == have.Epoch && t.Version < have.Version {
		a.status.Stale++
		return s, false, qsc.E("manage.Take", qsc.Conflict, string(a.cfg.Node), "the table is of epoch %d version %d, in use is %d version %d",
			t.Epoch, t.Version, have.Epoch, have.Version)
	}
	if t.Epoch == have.Epoch && t.Version == have.Version {
		return s, false, nil
	}
	a.use(t)
	a.saved.table = t
	return a.saved, true, nil
}

// use makes a table the one that Route answers from.
func (a *Agent) use(t control.Table) {
	a.flows = make(map[wish]control.Flow, len(t.Flows))
	for _, f := range t.Flows {
		if why := verify(a.cfg.Network, a.cfg.Node, f); why != "" {
			a.status.Refused++
			if a.cfg.Log != nil {
				a.cfg.Log.Warn("the controller gave an impossible flow; it is not used", "to", f.To, "why", why)
			}
			continue
		}
		a.flows[wish{f.To, whole(f.Protection)}] = f
	}
	a.found = nil
	a.status.Epoch, a.status.Version, a.status.Flows = t.Epoch, t.Version, len(a.flows)
}

// Status returns the agent's account.
func (a *Agent) Status() AgentStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}
