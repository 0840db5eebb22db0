package measure

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Computed is how long the controller computes.
type Computed struct {
	Demands int
	Full    time.Duration // all routes of the network
	Cut     time.Duration // what changes when the busiest link is cut
	Changed int           // demands that were given other paths
}

// Routes computes the routes of ten thousand applications on a network of
// a thousand nodes.
func Routes() (Computed, error) {
	net, err := topology.Load("backbone-1000")
	if err != nil {
		return Computed{}, err
	}
	apps, pairs, err := net.Applications(topology.ApplicationConfig{Count: 10_000, Seed: 1})
	if err != nil {
		return Computed{}, err
	}
	var all []route.Demand
	for _, p := range pairs {
		all = append(all, route.Demand{From: apps[p.Master].Node, To: apps[p.Slave].Node, Paths: 3})
	}
	g := route.New(net)
	start := time.Now()
	plan, err := g.Compute(all)
	if err != nil {
		return Computed{}, err
	}
	r := Computed{Demands: len(all), Full: time.Since(start)}
	id := g.Link(busiest(g, plan))
	st, err := g.State(id)
	if err != nil {
		return Computed{}, err
	}
	st.Up = false
	start = time.Now()
	if _, err := g.SetLink(id, st); err != nil {
		return Computed{}, err
	}
	r.Changed = len(plan.Update())
	r.Cut = time.Since(start)
	return r, nil
}

func busiest(g *route.Graph, plan *route.Plan) int32 {
	use := make([]int, g.Links())
	var links []int32
	for i := range plan.Len() {
		links = plan.Links(i, links[:0])
		for _, l := range links {
			use[l]++
		}
	}
	best := 0
	for l, n := range use {
		if n > use[best] {
			best = l
		}
	}
	return int32(best)
}

// site is a node's agent without the rest of the node.
type site struct {
	mu    sync.Mutex
	net   *topology.Network
	node  qsc.NodeID
	to    []qsc.NodeID
	down  qsc.LinkID
	agent *manage.Agent
}

func (s *site) state() control.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := control.Report{Node: s.node}
	for _, l := range s.net.LinksOf(s.node) {
		r.Links = append(r.Links, control.LinkState{Link: l.ID, Up: l.ID != s.down, Send: l.Pad, Recv: l.Pad, Size: l.Pad, Rate: l.Rate, Kind: l.Kind})
	}
	for _, to := range s.to {
		r.Demands = append(r.Demands, control.Demand{From: s.node, To: to, Protection: keymgmt.Protection{Paths: 3, Need: 2}, Min: 1000})
	}
	return r
}

// Reroute measures how long it takes from the word of a node that its link is cut
// until every node of backbone-100 that used it has other paths: node, bus,
// controller, bus, nodes, all in this process.
func Reroute(ctx context.Context, dir string) (took time.Duration, moved int, err error) {
	net, err := topology.Load("backbone-100")
	if err != nil {
		return 0, 0, err
	}
	broker, err := manage.StartBroker(manage.BrokerConfig{Name: "bench"})
	if err != nil {
		return 0, 0, err
	}
	defer broker.Close()
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	if err := startController(ctx, &work, net, broker, dir); err != nil {
		return 0, 0, err
	}
	sites, err := startSites(ctx, &work, net, broker)
	if err != nil {
		return 0, 0, err
	}
	if err := until(ctx, sites, func(r keymgmt.Route) bool { return r.Epoch > 0 }); err != nil {
		return 0, 0, err
	}
	p, err := sites[0].agent.Route(sites[0].to[0], keymgmt.Protection{Paths: 3, Need: 2})
	if err != nil {
		return 0, 0, err
	}
	a, b := p.Paths[0][1], p.Paths[0][2]
	for _, s := range sites {
		for _, to := range s.to {
			if r, err := s.agent.Route(to, keymgmt.Protection{Paths: 3, Need: 2}); err == nil && crosses(r, a, b) {
				moved++
			}
		}
	}
	l, _ := net.LinkBetween(a, b)
	start := time.Now()
	for _, s := range sites {
		if s.node == a || s.node == b {
			s.mu.Lock()
			s.down = l.ID
			s.mu.Unlock()
			s.agent.Changed()
		}
	}
	err = until(ctx, sites, func(r keymgmt.Route) bool { return !crosses(r, a, b) })
	return time.Since(start), moved, err
}

func startController(ctx context.Context, work *sync.WaitGroup, net *topology.Network, broker *manage.Broker, dir string) error {
	store, err := manage.OpenSQLite(filepath.Join(dir, "control.db"))
	if err != nil {
		return err
	}
	bus, err := manage.Dial(manage.BusConfig{Name: "controller", Broker: broker})
	if err != nil {
		return err
	}
	s, err := manage.NewServer(manage.ServerConfig{Name: "controller", Network: net, Store: store, Bus: bus})
	if err != nil {
		return err
	}
	work.Go(func() {
		_ = s.Run(ctx) // ends with ctx
		_ = bus.Close()
		_ = store.Close()
	})
	return nil
}

func startSites(ctx context.Context, work *sync.WaitGroup, net *topology.Network, broker *manage.Broker) ([]*site, error) {
	var all []*site
	n := len(net.Nodes)
	for i, v := range net.Nodes {
		s := &site{net: net, node: v.ID, to: []qsc.NodeID{net.Nodes[(i+n/2)%n].ID, net.Nodes[(i+n/3)%n].ID}}
		bus, err := manage.Dial(manage.BusConfig{Name: string(v.ID), Broker: broker})
		if err != nil {
			return nil, err
		}
		disk := durable.Mem(1 << 20)
		if s.agent, err = manage.OpenAgent(manage.AgentConfig{Node: v.ID, Network: net, Dir: disk, State: s.state, Log: slog.New(slog.DiscardHandler)}); err != nil {
			return nil, err
		}
		work.Go(func() {
			_ = s.agent.Run(ctx, bus) // ends with ctx
			_ = bus.Close()
		})
		all = append(all, s)
	}
	return all, nil
}

// until asks until every site's every route is as wanted.
func until(ctx context.Context, sites []*site, good func(keymgmt.Route) bool) error {
	t := time.NewTicker(2 * time.Millisecond)
	defer t.Stop()
	for _, s := range sites {
		for _, to := range s.to {
			for {
				if r, err := s.agent.Route(to, keymgmt.Protection{Paths: 3, Need: 2}); err == nil && good(r) {
					break
				}
				select {
				case <-ctx.Done():
					return qsc.E("measure.Reroute", qsc.Timeout, string(s.node), "%w", context.Cause(ctx))
				case <-t.C:
				}
			}
		}
	}
	return nil
}

func crosses(r keymgmt.Route, a, b qsc.NodeID) bool {
	for _, p := range r.Paths {
		for i := 1; i < len(p); i++ {
			if p[i-1] == a && p[i] == b || p[i-1] == b && p[i] == a {
				return true
			}
		}
	}
	return false
}
