package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// site is a live node: an agent on a bus, with links that a test can cut.
type site struct {
	home
	mu      sync.Mutex
	demands []control.Demand
	agent   *Agent
}

func (s *site) report() control.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.state()
	r.Demands = slices.Clone(s.demands)
	return r
}

func (s *site) cut(l qsc.LinkID) {
	s.mu.Lock()
	s.down[l] = true
	s.mu.Unlock()
	s.agent.Changed()
}

// startSites runs an agent for every node; bus gives each its connection.
func startSites(t *testing.T, net *topology.Network, bus func(qsc.NodeID) *Bus) map[qsc.NodeID]*site {
	t.Helper()
	sites := make(map[qsc.NodeID]*site)
	for _, n := range net.Nodes {
		s := &site{home: home{net: net, node: n.ID, down: map[qsc.LinkID]bool{}}}
		s.agent = got(OpenAgent(AgentConfig{Node: n.ID, Network: net, Dir: durable.Mem(8 << 20), State: s.report, Interval: 200 * time.Millisecond}))(t)
		b := bus(n.ID)
		collect(t, func(ctx context.Context) error { return s.agent.Run(ctx, b) })
		sites[n.ID] = s
	}
	return sites
}

// want makes a node ask for key.
func (s *site) want(to qsc.NodeID, m, need int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demands = append(s.demands, control.Demand{From: s.node, To: to, Protection: keymgmt.Protection{Paths: m, Need: need}})
}

func (s *site) route(t *testing.T, to qsc.NodeID, m, need int) keymgmt.Route {
	t.Helper()
	return got(s.agent.Route(to, keymgmt.Protection{Paths: m, Need: need}))(t)
}

// startServer runs a controller; stop ends it as a kill would.
func startServer(t *testing.T, c ServerConfig) (s *Server, stop func()) {
	t.Helper()
	s = got(NewServer(c))(t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.run(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return s, stop
}

// steady gives a controller so much time that no stall of a slow machine costs it
// its lease, or has it speak before it has heard all nodes.
func steady(c ServerConfig) ServerConfig {
	c.Lease, c.Core = time.Minute, CoreConfig{Patience: time.Minute, Settle: time.Minute}
	return c
}

func crosses(r keymgmt.Route, a, b qsc.NodeID) bool {
	return slices.ContainsFunc(r.Paths, func(p keymgmt.Path) bool {
		for i := 1; i < len(p); i++ {
			if p[i-1] == a && p[i] == b || p[i-1] == b && p[i] == a {
				return true
			}
		}
		return false
	})
}

// From a node's word that its link is cut to the new table at a node three hops
// away that used it, through bus, controller and bus.
func TestServerReroutesACut(t *testing.T) {
	net := netOf("a-b", "b-d", "a-c", "c-d", "d-e")
	b := startBroker(t, BrokerConfig{Name: "c1"})
	in := func(id qsc.NodeID) *Bus { return dial(t, BusConfig{Name: string(id), Broker: b}) }
	s, _ := startServer(t, steady(ServerConfig{Name: "c1", Network: net, Store: opened(t)(OpenSQLite(t.TempDir() + "/c.db")), Bus: in("c1")}))
	sites := startSites(t, net, in)
	sites["e"].want("a", 1, 1)
	until(t, "the controller gives e a route", func() bool { return sites["e"].route(t, "a", 1, 1).Epoch == 1 })
	over := sites["e"].route(t, "a", 1, 1).Paths[0][2]
	begin := time.Now()
	sites["a"].cut(qsc.LinkID("a-" + over))
	until(t, "e is told another way", func() bool { return !crosses(sites["e"].route(t, "a", 1, 1), "a", over) })
	t.Logf("re-routed after %v", time.Since(begin))
	st := s.Status()
	if !st.Leads || !st.Settled || st.Heard != 5 || st.Epoch != 1 || st.Refused != 0 || st.Demands != 1 || st.Class != qsc.Computational {
		t.Fatalf("status %+v", st)
	}
	until(t, "the event is there", func() bool {
		list := got(s.Events(t.Context(), 0))(t)
		return slices.ContainsFunc(list, func(e control.Event) bool {
			return e.Kind == control.EventLinkDown && e.Link == qsc.LinkID("a-"+over)
		})
	})
}

// Two controllers on one store, each with its own broker, joined under TLS. The
// leader is killed, broker and all: the other takes over, under a
// higher epoch, and what the old one still sends is refused.
func TestControllerIsKilled(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		net, ca := diamond(), newAuthority(t)
		names := []string{"c1", "c2"}
		isNode := func(n string) bool { _, ok := net.Node(qsc.NodeID(n)); return ok }
		config := func(name string, routes ...string) BrokerConfig {
			return BrokerConfig{Name: name, Listen: "127.0.0.1:0", Cluster: "127.0.0.1:0", Routes: routes, Controllers: names,
				TLS: ca.issue(t, name), Node: isNode}
		}
		b1 := startBroker(t, config("c1"))
		b2 := startBroker(t, config("c2", b1.ClusterAddr()))
		controller := func(name string, b *Broker) ServerConfig {
			return steady(ServerConfig{Name: name, Network: net, Store: open(t), Bus: dial(t, BusConfig{Name: name, Broker: b})})
		}
		s1, kill := startServer(t, controller("c1", b1))
		until(t, "c1 leads", func() bool { return s1.Status().Leads })
		second, begun := controller("c2", b2), time.Now()
		var died atomic.Int64 // when c1 was killed, since begun: c2's clock stands until then
		second.Lease, second.clock = 500*time.Millisecond, func() time.Duration {
			if at := died.Load(); at > 0 {
				return time.Since(begun) - time.Duration(at)
			}
			return 0
		}
		s2, _ := startServer(t, second)
		sites := startSites(t, net, func(id qsc.NodeID) *Bus {
			return dial(t, BusConfig{Name: string(id), Servers: []string{b1.Addr(), b2.Addr()}, TLS: ca.issue(t, string(id)), Controllers: names})
		})
		sites["a"].want("d", 3, 2)
		until(t, "c1 gives a route", func() bool { return sites["a"].route(t, "d", 3, 2).Epoch == 1 })
		if s2.Status().Leads {
			t.Fatal("both lead")
		}
		late := control.Table{Node: "a", Epoch: 1, Version: 1 << 40, Flows: []control.Flow{pathsTo(keymgmt.Protection{Paths: 3, Need: 2}, false, "abd")}}
		kill()
		b1.Close()
		died.Store(int64(time.Since(begun)))
		until(t, "nodes go on meanwhile", func() bool { return len(sites["a"].route(t, "d", 3, 2).Paths) == 3 })
		until(t, "c2 gives the route", func() bool { return sites["a"].route(t, "d", 3, 2).Epoch > 1 }) // more than 2 where the store was slow
		t.Logf("taken over after %v", time.Since(begun)-time.Duration(died.Load()))
		stale := sites["a"].agent.Status().Stale
		until(t, "the old leader's late table is refused", func() bool {
			must(t, s2.cfg.Bus.push(t.Context(), late))
			return sites["a"].agent.Status().Stale > stale
		})
		if r := sites["a"].route(t, "d", 3, 2); r.Epoch < 2 || len(r.Paths) != 3 {
			t.Fatalf("route %+v", r)
		}
	})
}

// A controller that stops in order hands over at once.
func TestControllerResigns(t *testing.T) {
	path := t.TempDir() + "/c.db"
	net := netOf("a-b")
	b := startBroker(t, BrokerConfig{Name: "c"})
	config := func(name string) ServerConfig {
		return ServerConfig{Name: name, Network: net, Store: opened(t)(OpenSQLite(path)), Bus: dial(t, BusConfig{Broker: b}), Lease: time.Minute}
	}
	s1 := got(NewServer(config("c1")))(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s1.Run(ctx); !qsc.IsKind(err, qsc.Timeout) {
			t.Error(err)
		}
	})
	until(t, "c1 leads", func() bool { return s1.Status().Leads })
	stop()
	running.Wait()
	s2, _ := startServer(t, config("c2"))
	until(t, "c2 leads", func() bool { return s2.Status().Leads })
	same(t, "epoch", s2.Status().Epoch, uint64(2))
}

// The store was set back: most nodes know a later epoch. The leader goes above.
func TestStoreSetBack(t *testing.T) {
	net := netOf("a-b", "b-c")
	b := startBroker(t, BrokerConfig{Name: "c"})
	in := func(qsc.NodeID) *Bus { return dial(t, BusConfig{Broker: b}) }
	sites := startSites(t, net, in)
	for id, s := range sites {
		must(t, s.agent.Take(control.Table{Node: id, Epoch: 50, Version: 3}))
	}
	sites["a"].want("c", 1, 1)
	startServer(t, ServerConfig{Name: "c", Network: net, Store: opened(t)(OpenSQLite(t.TempDir() + "/c.db")), Bus: in("c"), Lease: 2 * time.Second})
	until(t, "the nodes take its tables", func() bool { return sites["a"].route(t, "c", 1, 1).Epoch > 50 })
}

// An operator's path is used, shown, set aside while it is cut, and given up.
func TestVirtualLink(t *testing.T) {
	net := diamond()
	b := startBroker(t, BrokerConfig{Name: "c"})
	in := func(qsc.NodeID) *Bus { return dial(t, BusConfig{Broker: b}) }
	s, _ := startServer(t, steady(ServerConfig{Name: "c", Network: net, Store: opened(t)(OpenSQLite(t.TempDir() + "/c.db")), Bus: in("c")}))
	sites := startSites(t, net, in)
	sites["a"].want("d", 1, 1)
	sites["d"].want("a", 1, 1)
	until(t, "there is a route", func() bool {
		return sites["a"].route(t, "d", 1, 1).Epoch == 1 && sites["d"].route(t, "a", 1, 1).Epoch == 1
	})
	detour := func(from, to qsc.NodeID) func() bool {
		return func() bool { return crosses(sites[from].route(t, to, 1, 1), "e", "f") }
	}
	hop := control.Hop{Link: control.VirtualID{7}, Node: "a", From: "a", To: "d", Next: []qsc.NodeID{"e"}}
	must(t, s.PutHop(t.Context(), hop))
	v := got(s.Hops(t.Context(), "a"))(t)
	if len(v) != 1 || v[0].Active || v[0].Fault == "" {
		t.Fatalf("half a virtual link: %+v", v)
	}
	must(t, s.PutHop(t.Context(), control.Hop{Link: hop.Link, Node: "e", From: "a", To: "d", Prev: "a", Next: []qsc.NodeID{"f", "d"}}))
	until(t, "the pinned path is used", detour("a", "d"))
	until(t, "the pinned path is used the other way", detour("d", "a"))
	if v := got(s.Hops(t.Context(), "e"))(t); len(v) != 1 || !v[0].Active {
		t.Fatalf("%+v", v)
	}
	sites["f"].cut("e-f")
	until(t, "the cut path is set aside", func() bool { return !detour("a", "d")() })
	if v := got(s.Hops(t.Context(), "a"))(t); v[0].Active || v[0].Fault != "" {
		t.Fatalf("%+v", v)
	}
	must(t, s.DropHop(t.Context(), hop.Link, "e"))
	want(t, s.DropHop(t.Context(), hop.Link, "e"), qsc.NotFound)
	bad := hop
	bad.Next = []qsc.NodeID{"d"}
	want(t, s.PutHop(t.Context(), bad), qsc.Invalid)
	bad = hop
	bad.Node, bad.Prev = "b", "c"
	want(t, s.PutHop(t.Context(), bad), qsc.Invalid)
	bad.To = "z"
	want(t, s.PutHop(t.Context(), bad), qsc.Invalid)
	_, err := s.Hops(t.Context(), "z")
	want(t, err, qsc.NotFound)
}

func TestNodeView(t *testing.T) {
	net := netOf("a-b", "b-c")
	b := startBroker(t, BrokerConfig{Name: "c"})
	in := func(qsc.NodeID) *Bus { return dial(t, BusConfig{Broker: b}) }
	store := opened(t)(OpenSQLite(t.TempDir() + "/c.db"))
	must(t, store.PutApplication(t.Context(), Application{App: "x", Node: "a"}))
	must(t, store.PutApplication(t.Context(), Application{App: "y", Node: "c"}))
	idle := got(NewServer(ServerConfig{Name: "idle", Network: net, Store: store, Bus: in("c")}))(t)
	_, err := idle.Node(t.Context(), "a")
	want(t, err, qsc.Busy)
	s, _ := startServer(t, steady(ServerConfig{Name: "c", Network: net, Store: store, Bus: in("c")}))
	sites := startSites(t, net, in)
	sites["a"].want("c", 1, 1)
	until(t, "there is a route", func() bool { return sites["a"].route(t, "c", 1, 1).Epoch == 1 })
	until(t, "the records were read once", func() bool { return s.recordsAt() > 0 }) // what is new later is told
	must(t, store.PutPair(t.Context(), Pair{Master: "x", Slave: "y", Policy: keymgmt.Policy{Priority: 3}}))
	must(t, s.Reload(t.Context()))
	v := got(s.Node(t.Context(), "a"))(t)
	if !v.Heard || len(v.Links) != 1 || len(v.Flows) != 1 || len(v.Apps) != 1 || v.Apps[0].Peer != "c" {
		t.Fatalf("view %+v", v)
	}
	if l := v.Links[0]; l.Peer != "b" || !l.Up || !l.First || l.Taken != 1e6 || l.Free != 0 || l.State.Send != full || l.Far != 0 {
		t.Fatalf("link %+v", l)
	}
	soon, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	list := got(s.Events(soon, 0))(t)
	if !slices.ContainsFunc(list, func(e control.Event) bool { return e.Kind == control.EventAppNew && e.App[0] == "x" && e.Node == "a" }) {
		t.Fatalf("events %+v", list)
	}
	until(t, "the last event is told", func() bool {
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer stop()
		more, err := s.Events(ctx, list[len(list)-1].Seq)
		if err == nil {
			list = more
			return false
		}
		want(t, err, qsc.Timeout)
		return true
	})
	_, err = s.Node(t.Context(), "z")
	want(t, err, qsc.NotFound)
}

// reroute-cut, in the small: 50 nodes with their agents, every one asking two
// others for key over two paths. The clock stops when every node that used the
// cut link has a table without it.
func TestRerouteCutOf50Nodes(t *testing.T) {
	var links []string
	id := func(i int) string { return string(rune('A' + i)) }
	for i := range 50 {
		links = append(links, id(i)+"-"+id((i+1)%50), id(i)+"-"+id((i+7)%50))
	}
	net := parsed(t, links)
	b := startBroker(t, BrokerConfig{Name: "c"})
	in := func(qsc.NodeID) *Bus { return dial(t, BusConfig{Broker: b}) }
	startServer(t, steady(ServerConfig{Name: "c", Network: net, Store: opened(t)(OpenSQLite(t.TempDir() + "/c.db")), Bus: in("c")}))
	sites := startSites(t, net, in)
	n := len(net.Nodes)
	for i, v := range net.Nodes {
		for _, far := range []int{n / 2, n / 3} {
			sites[v.ID].want(net.Nodes[(i+far)%n].ID, 2, 1)
		}
	}
	var cut topology.Link
	all := func(ok func(keymgmt.Route) bool) func() bool {
		return func() bool {
			for i, v := range net.Nodes {
				for _, far := range []int{n / 2, n / 3} {
					if !ok(sites[v.ID].route(t, net.Nodes[(i+far)%n].ID, 2, 1)) {
						return false
					}
				}
			}
			return true
		}
	}
	until(t, "all have their routes", all(func(r keymgmt.Route) bool { return r.Epoch == 1 }))
	p := sites[net.Nodes[0].ID].route(t, net.Nodes[n/2].ID, 2, 1).Paths[0]
	cut, _ = net.LinkBetween(p[1], p[2])
	begin := time.Now()
	sites[cut.Ends[0]].cut(cut.ID)
	until(t, "all are off the cut link", all(func(r keymgmt.Route) bool { return !crosses(r, cut.Ends[0], cut.Ends[1]) }))
	t.Logf("reroute-cut: %v until all of %d nodes use other paths", time.Since(begin), n)
}

// parsed makes a network whose node names netOf cannot spell, and gives it an index.
func parsed(t *testing.T, links []string) *topology.Network {
	t.Helper()
	var text strings.Builder
	seen := map[string]bool{}
	name := func(s string) string { return fmt.Sprintf("n%d", []rune(s)[0]) }
	for _, l := range links {
		r := []rune(l)
		for _, s := range []string{name(string(r[0])), name(string(r[2]))} {
			if !seen[s] {
				seen[s] = true
				fmt.Fprintf(&text, "[[site]]\nid = %q\n[[node]]\nid = %q\n", s, s)
			}
		}
	}
	for _, l := range links {
		r := []rune(l)
		fmt.Fprintf(&text, "[[link]]\nkind = \"simulated\"\nends = [%q, %q]\nrate = \"1 Mbit/s\"\npad = \"1 MiB\"\nblock = \"64 KiB\"\n", name(string(r[0])), name(string(r[2])))
	}
	return got(topology.Parse("test", []byte("name = \"test\"\n"+text.String())))(t)
}
