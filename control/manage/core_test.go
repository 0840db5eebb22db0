package manage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

const full = 1 << 20 // bytes of a link's ring in these tests

// netOf makes a network of links "a-b". Rates are 1 Mbit/s.
func netOf(links ...string) *topology.Network {
	n := &topology.Network{Name: "test"}
	seen := map[string]bool{}
	node := func(id string) {
		if !seen[id] {
			seen[id] = true
			n.Sites = append(n.Sites, topology.Site{ID: qsc.SiteID(id)})
			n.Nodes = append(n.Nodes, topology.Node{ID: qsc.NodeID(id), Site: qsc.SiteID(id)})
		}
	}
	for _, l := range links {
		a, b := l[:1], l[2:]
		node(a)
		node(b)
		n.Links = append(n.Links, topology.Link{ID: qsc.LinkID(l), Kind: "simulated", Ends: [2]qsc.NodeID{qsc.NodeID(a), qsc.NodeID(b)},
			Rate: 1e6, Pad: full, Block: 1 << 16})
	}
	return n
}

// Two ways round and a detour: a-b-d, a-c-d, a-e-f-d.
func diamond() *topology.Network {
	return netOf("a-b", "b-d", "a-c", "c-d", "a-e", "e-f", "f-d")
}

// plant is all nodes of a network as a controller sees them.
type plant struct {
	t       *testing.T
	net     *topology.Network
	core    *Core
	now     time.Duration
	seq     map[qsc.NodeID]uint64
	boot    map[qsc.NodeID]uint64
	state   map[qsc.LinkID]*control.LinkState // send is from the first end
	demands map[qsc.NodeID][]control.Demand
	silent  map[qsc.NodeID]bool
	tables  map[qsc.NodeID]control.Table // as last received
	deaf    map[qsc.NodeID]bool          // gets no tables
}

func newPlant(t *testing.T, net *topology.Network, epoch uint64) *plant {
	p := &plant{t: t, net: net, seq: map[qsc.NodeID]uint64{}, boot: map[qsc.NodeID]uint64{}, state: map[qsc.LinkID]*control.LinkState{},
		demands: map[qsc.NodeID][]control.Demand{}, silent: map[qsc.NodeID]bool{}, tables: map[qsc.NodeID]control.Table{}, deaf: map[qsc.NodeID]bool{}}
	for _, l := range net.Links {
		p.state[l.ID] = &control.LinkState{Link: l.ID, Up: true, Send: full, Recv: full, Size: full, Rate: l.Rate, Kind: l.Kind}
	}
	p.lead(epoch)
	return p
}

// lead puts a new controller in the place of the old one.
func (p *plant) lead(epoch uint64) {
	p.t.Helper()
	p.core = got(NewCore(CoreConfig{Network: p.net, Epoch: epoch}))(p.t)
}

func (p *plant) want(from, to qsc.NodeID, m, need int) {
	p.demands[from] = append(p.demands[from], control.Demand{From: from, To: to, Protection: keymgmt.Protection{Paths: m, Need: need}})
}

func (p *plant) report(id qsc.NodeID) control.Report {
	p.seq[id]++
	r := control.Report{Node: id, Boot: 1 + p.boot[id], Seq: p.seq[id], Demands: slices.Clone(p.demands[id])}
	for _, l := range p.net.LinksOf(id) {
		s := *p.state[l.ID]
		if l.Ends[1] == id {
			s.Send, s.Recv = s.Recv, s.Send
		}
		r.Links = append(r.Links, s)
	}
	if t, ok := p.tables[id]; ok {
		r.Epoch, r.Version = t.Epoch, t.Version
	}
	return r
}

// hear lets the nodes named report, all of them without names.
func (p *plant) hear(ids ...qsc.NodeID) {
	p.t.Helper()
	if len(ids) == 0 {
		for _, n := range p.net.Nodes {
			ids = append(ids, n.ID)
		}
	}
	for _, id := range ids {
		if !p.silent[id] {
			must(p.t, p.core.Report(p.report(id)))
		}
	}
}

// pass lets time go by and delivers the tables.
func (p *plant) pass(d time.Duration) []control.Table {
	p.now += d
	out := p.core.Tables(p.now)
	for _, t := range out {
		if !p.deaf[t.Node] {
			p.tables[t.Node] = t
		}
	}
	return out
}

// second is one round of reports and the tables that follow.
func (p *plant) second() []control.Table {
	p.t.Helper()
	p.hear()
	return p.pass(time.Second)
}

func (p *plant) flow(from, to qsc.NodeID) control.Flow {
	p.t.Helper()
	for _, f := range p.tables[from].Flows {
		if f.To == to {
			return f
		}
	}
	p.t.Fatalf("%s has no flow to %s: %+v", from, to, p.tables[from])
	return control.Flow{}
}

func nodesOf(tables []control.Table) []qsc.NodeID {
	var ids []qsc.NodeID
	for _, t := range tables {
		ids = append(ids, t.Node)
	}
	return ids
}

func passes(f control.Flow, n qsc.NodeID) bool {
	return slices.ContainsFunc(f.Paths, func(p keymgmt.Path) bool { return slices.Contains(p, n) })
}

func TestCoreListensFirst(t *testing.T) {
	p := newPlant(t, diamond(), 7)
	p.want("a", "d", 1, 1)
	p.hear("a", "b", "c", "d", "e")
	if out := p.pass(time.Second); len(out) != 0 || p.core.Urgent() {
		t.Fatalf("spoke before it had heard f: %+v", out)
	}
	p.hear("f")
	out := p.pass(100 * time.Millisecond)
	same(t, "tables", nodesOf(out), []qsc.NodeID{"a", "b", "d", "c", "e", "f"})
	f := p.flow("a", "d")
	if len(f.Paths) != 1 || f.Paths[0].Hops() != 2 || !f.Disjoint || f.Rate != 1e6 {
		t.Fatalf("flow %+v", f)
	}
	for _, table := range out {
		if table.Epoch != 7 || table.Version == 0 {
			t.Fatalf("table %+v", table)
		}
	}
}

// A node that never speaks does not keep the others waiting for ever.
func TestCoreSettles(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	p.want("a", "d", 3, 2)
	p.silent["b"] = true
	p.second()
	p.second()
	p.second()
	f := p.flow("a", "d")
	if len(f.Paths) != 2 || f.Disjoint || passes(f, "b") {
		t.Fatalf("flow %+v", f)
	}
}

// Only what changed is sent, and again until it is acknowledged.
func TestCorePushesChangesOnly(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	p.want("a", "d", 1, 1)
	p.deaf["e"] = true
	p.second()
	if out := p.second(); len(out) != 0 {
		t.Fatalf("sent %v again at once", nodesOf(out))
	}
	same(t, "sent again", nodesOf(p.second()), []qsc.NodeID{"e"})
	p.deaf["e"] = false
	p.second()
	p.second()
	for range 20 {
		if out := p.second(); len(out) != 0 {
			t.Fatalf("nothing changed, yet %+v", out)
		}
	}
	// A node that lost its table says so and gets it.
	delete(p.tables, "a")
	p.boot["a"], p.seq["a"] = 1, 0
	p.second()
	p.flow("a", "d")
}

func TestCoreReroutesACut(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	p.want("a", "d", 1, 1)
	p.want("c", "a", 1, 1)
	p.want("e", "f", 1, 1)
	p.second()
	p.second()
	over := p.flow("a", "d").Paths[0][1]
	p.state[qsc.LinkID("a-"+over)].Up = false
	p.hear(over) // one end is enough
	if !p.core.Urgent() {
		t.Fatal("a cut is not urgent")
	}
	out := p.pass(time.Millisecond)
	if f := p.flow("a", "d"); passes(f, over) || f.Paths[0].Hops() != 2 {
		t.Fatalf("flow %+v", f)
	}
	if slices.Contains(nodesOf(out), "e") {
		t.Fatal("a node whose flows do not change was told")
	}
	// Back again: nothing moves in haste.
	p.state[qsc.LinkID("a-"+over)].Up = true
	p.second()
	if p.core.Urgent() {
		t.Fatal("still urgent")
	}
}

func TestCoreTakesASilentNodeForDown(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	p.want("a", "d", 2, 1)
	p.second()
	first := p.flow("a", "d").Paths
	gone := first[0][1]
	p.silent[gone] = true
	for range 6 {
		p.second()
	}
	if f := p.flow("a", "d"); passes(f, gone) || !f.Disjoint {
		t.Fatalf("flow %+v", f)
	}
	// It comes back from a lost directory, counting its boots anew.
	p.silent[gone], p.seq[gone] = false, 0
	delete(p.tables, gone)
	p.second()
	if p.tables[gone].Version == 0 {
		t.Fatal("the node was not told its table")
	}
}

// A flow leaves a link while there is still key in it.
func TestCoreLeavesADrainingLink(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	p.want("a", "d", 1, 1)
	p.second()
	over := p.flow("a", "d").Paths[0][1]
	l := p.state[qsc.LinkID("a-"+over)]
	for range 60 {
		l.Send -= full / 64
		p.second()
		if !passes(p.flow("a", "d"), over) {
			if l.Send < full/4 {
				t.Fatalf("left with %d of %d bytes", l.Send, full)
			}
			return
		}
	}
	t.Fatal("the flow stayed until the link was dry")
}

func TestCoreTellsOfUnmetMinima(t *testing.T) {
	p := newPlant(t, netOf("a-b", "b-c"), 1)
	for i, min := range []qsc.BitRate{6e5, 6e5} {
		from := []qsc.NodeID{"a", "c"}[i]
		p.demands[from] = []control.Demand{{From: from, To: "b", Protection: keymgmt.Protection{Paths: 1}, Min: min}}
	}
	p.demands["a"] = append(p.demands["a"], control.Demand{From: "a", To: "c", Protection: keymgmt.Protection{Paths: 1}, Min: 6e5, Priority: 1})
	p.second()
	if f := p.flow("a", "c"); f.Short || f.Rate < 6e5 {
		t.Fatalf("the flow of higher priority: %+v", f)
	}
	if f := p.flow("a", "b"); !f.Short || f.Rate != 4e5 {
		t.Fatalf("what is left: %+v", f)
	}
	if n := len(p.core.Short()); n != 2 {
		t.Fatalf("%d short", n)
	}
	p.state["a-b"].Rate, p.state["b-c"].Rate = 5e6, 5e6
	p.core.Happened()
	p.second()
	var kinds []control.EventKind
	for _, e := range p.core.Happened() {
		kinds = append(kinds, e.Kind)
	}
	same(t, "events", kinds, []control.EventKind{control.EventEnough, control.EventEnough})
}

func TestCoreRefusesReports(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	good := p.report("a")
	for name, spoil := range map[string]func(*control.Report){
		"node":    func(r *control.Report) { r.Node, r.Demands = "z", nil },
		"link":    func(r *control.Report) { r.Links[0].Link = "x-y" },
		"other's": func(r *control.Report) { r.Links[0].Link = "c-d" },
		"stock":   func(r *control.Report) { r.Links[0].Send = -5 },
		"destination": func(r *control.Report) {
			r.Demands = []control.Demand{{From: "a", To: "z", Protection: keymgmt.Protection{Paths: 1}}}
		},
		"sender": func(r *control.Report) {
			r.Demands = []control.Demand{{From: "b", To: "d", Protection: keymgmt.Protection{Paths: 1}}}
		},
	} {
		r := good
		r.Links = slices.Clone(good.Links)
		spoil(&r)
		if err := p.core.Report(r); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	p.second()
	old := good // overtaken on the way: says the links are as they were
	p.state["a-b"].Up = false
	p.hear("a")
	must(t, p.core.Report(old))
	p.pass(time.Millisecond)
	if p.core.links[0].state.Up {
		t.Fatal("an old report was believed")
	}
}

// The same reports in the same order give the same tables; a controller that
// starts later comes to the same routes from the nodes' reports alone.
func TestCoreIsRebuiltFromReports(t *testing.T) {
	run := func() *plant {
		p := newPlant(t, diamond(), 1)
		for i, from := range []qsc.NodeID{"a", "b", "c", "d", "e", "f"} {
			for j, to := range []qsc.NodeID{"f", "d", "a", "e", "c", "b"} {
				if from != to {
					p.want(from, to, 1+(i+j)%3, 1)
				}
			}
		}
		p.state["b-d"].Up = false
		for range 5 {
			p.second()
		}
		return p
	}
	p, q := run(), run()
	same(t, "tables of two runs", p.tables, q.tables)
	before := p.tables
	p.tables = map[qsc.NodeID]control.Table{}
	p.lead(2)
	p.second()
	for id, was := range before {
		now := p.tables[id]
		if now.Epoch != 2 {
			t.Fatalf("%s: epoch %d", id, now.Epoch)
		}
		same(t, fmt.Sprint("flows of ", id), now.Flows, was.Flows)
	}
}

func TestCoreAhead(t *testing.T) {
	p := newPlant(t, netOf("a-b", "b-c"), 2)
	p.tables["a"] = control.Table{Epoch: maxEpoch, Version: 1} // lies
	p.second()
	if a := p.core.Ahead(); a > 2 {
		t.Fatalf("one node moved the epoch to %d", a)
	}
	p = newPlant(t, netOf("a-b", "b-c"), 2)
	p.tables["a"], p.tables["b"] = control.Table{Epoch: 9, Version: 1}, control.Table{Epoch: 8, Version: 1}
	p.second()
	same(t, "ahead", p.core.Ahead(), uint64(8))
	p.core.SetEpoch(9)
	p.tables = map[qsc.NodeID]control.Table{}
	p.second()
	for _, id := range []qsc.NodeID{"a", "b", "c"} {
		if p.tables[id].Epoch != 9 {
			t.Fatalf("%s was not told of the new epoch", id)
		}
	}
}

// Routes are told at once, rates alone at most once a second.
func TestCoreHoldsRatesBack(t *testing.T) {
	p := newPlant(t, netOf("a-b", "b-c"), 1)
	p.want("a", "c", 1, 1)
	p.second()
	p.second()
	p.state["b-c"].Rate = 2e5
	p.hear("b")
	told := p.pass(10 * time.Millisecond) // more than a second after the last table
	if len(told) != 1 || p.flow("a", "c").Rate != 2e5 {
		t.Fatalf("told %+v", told)
	}
	p.state["b-c"].Rate = 3e5
	p.hear("b")
	if told := p.pass(10 * time.Millisecond); len(told) != 0 {
		t.Fatalf("told %+v", told)
	}
	p.hear()
	if p.pass(time.Second); p.flow("a", "c").Rate != 3e5 {
		t.Fatal("the rate was never told")
	}
}

// A link that makes no key any more is left for good, though both links of the way
// around it are drained by the relay's rounds and filled again, and though its own ring
// takes key that was made before; its rest is not spread over a day.
func TestCoreLeavesAHaltedLink(t *testing.T) {
	p := newPlant(t, netOf("a-b", "a-c", "c-b"), 1)
	p.want("a", "b", 1, 1)
	p.second()
	const size = 32 << 10
	for _, l := range p.state {
		l.Send, l.Recv, l.Size, l.Rate = size, size, size, 1e5
	}
	p.second()
	if passes(p.flow("a", "b"), "c") {
		t.Fatal("the flow does not go straight")
	}
	around := 0
	straight := p.state["a-b"]
	straight.Rate, straight.Halted = 0, true
	for i := range 120 {
		for _, id := range []qsc.LinkID{"a-c", "c-b"} {
			p.state[id].Send = size / 2 * int64(1+i%2)
		}
		straight.Send = size / 8 * int64(1+i%4) // never enough for a round
		p.second()
		switch f := p.flow("a", "b"); {
		case passes(f, "c") && f.Rate >= 4e4:
			around++
		case i > 2:
			t.Fatalf("after %d s: %+v", i, f)
		}
	}
	if around < 117 {
		t.Errorf("around for %d s of 120", around)
	}
	straight.Send, straight.Rate, straight.Halted = size, 1e5, false
	for range 90 {
		p.second()
	}
	if passes(p.flow("a", "b"), "c") {
		t.Error("the flow never came back")
	}
}

// Even for a way that is much longer; and it comes back when there is key again.
func TestCoreLeavesForALongWay(t *testing.T) {
	p := newPlant(t, netOf("a-b", "b-c", "a-d", "d-e", "e-f", "f-g", "g-h", "h-i", "i-c"), 1)
	p.want("a", "c", 1, 1)
	p.second()
	l := p.state["a-b"]
	for passes(p.flow("a", "c"), "b") {
		l.Send -= full / 128
		if l.Send < full/16 {
			t.Fatalf("the flow stays with %d of %d bytes left", l.Send, full)
		}
		p.second()
	}
	for range 5 { // it is not taken again at once
		p.second()
		if passes(p.flow("a", "c"), "b") {
			t.Fatal("the flow swings")
		}
		l.Send = min(l.Send, full/8)
	}
	l.Send = full
	for range 90 {
		p.second()
	}
	if !passes(p.flow("a", "c"), "b") {
		t.Fatal("the flow never came back")
	}
}
