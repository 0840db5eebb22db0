package sim

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// plain is a controller that knows fewest hops only.
type plain struct {
	net     *topology.Network
	epoch   uint64
	down    map[qsc.LinkID]bool
	demands map[qsc.NodeID][]control.Demand
	sent    map[qsc.NodeID][]control.Flow
}

func newPlain(net *topology.Network) func(uint64) control.Controller {
	return func(epoch uint64) control.Controller {
		return &plain{net: net, epoch: epoch, down: map[qsc.LinkID]bool{}, demands: map[qsc.NodeID][]control.Demand{}, sent: map[qsc.NodeID][]control.Flow{}}
	}
}

func (p *plain) Report(r control.Report) error {
	for _, l := range r.Links {
		p.down[l.Link] = !l.Up
	}
	p.demands[r.Node] = r.Demands
	return nil
}

func (p *plain) Tables(time.Duration) (all []control.Table) {
	for _, n := range p.net.Nodes {
		t := control.Table{Node: n.ID, Epoch: p.epoch}
		for _, d := range p.demands[n.ID] {
			f := control.Flow{To: d.To, Protection: d.Protection, Rate: 1e6, Disjoint: true}
			if path := p.shortest(n.ID, d.To); path != nil {
				f.Paths = []keymgmt.Path{path}
			}
			t.Flows = append(t.Flows, f)
		}
		if !reflect.DeepEqual(t.Flows, p.sent[n.ID]) {
			p.sent[n.ID] = t.Flows
			all = append(all, t)
		}
	}
	return all
}

func (p *plain) shortest(from, to qsc.NodeID) keymgmt.Path {
	seen := map[qsc.NodeID]bool{from: true}
	for paths := []keymgmt.Path{{from}}; len(paths) > 0; paths = paths[1:] {
		last := paths[0][len(paths[0])-1]
		if last == to {
			return paths[0]
		}
		for _, l := range p.net.LinksOf(last) {
			if next := l.Other(last); !p.down[l.ID] && !seen[next] {
				seen[next] = true
				paths = append(paths, append(slices.Clone(paths[0]), next))
			}
		}
	}
	return nil
}

func tokyo(t testing.TB) Config {
	net, err := topology.Load("tokyo-simulated")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Network: net, Days: 0.2, Seed: 1, Control: newPlain(net), Faults: Faults{
		LinkEvery: 20 * time.Minute, LinkFor: 2 * time.Minute, NodeEvery: 30 * time.Minute, NodeFor: time.Minute,
		Controller: time.Hour, Takeover: 5 * time.Second,
	}}
	for _, a := range net.Nodes {
		for _, b := range net.Nodes {
			if a.ID != b.ID {
				c.Pairs = append(c.Pairs, Pair{Master: qsc.AppID("app-" + a.ID), Slave: qsc.AppID("app-" + b.ID), From: a.ID, To: b.ID, KeysPerDay: 10_000_000, Batch: 64})
			}
		}
	}
	return c
}

func TestDayWithFaults(t *testing.T) {
	r, err := Run(t.Context(), tokyo(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Violations != 0 {
		t.Errorf("%d violations: %q", r.Violations, r.Examples)
	}
	if r.Cuts == 0 || r.Crashes == 0 || r.Takeovers == 0 || r.Reroutes == 0 || r.Failed == 0 {
		t.Errorf("nothing happened: %+v", r)
	}
	if r.Fetched == 0 || r.Issued < r.Fetched+r.Expired || float64(r.Refused) > 0.2*float64(r.Requests) {
		t.Errorf("%d of %d keys fetched, %d expired, %d of %d requests refused", r.Fetched, r.Issued, r.Expired, r.Refused, r.Requests)
	}
}

func TestSameSeedSameLife(t *testing.T) {
	a, errA := Run(t.Context(), tokyo(t))
	b, errB := Run(t.Context(), tokyo(t))
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	a.Seconds, b.Seconds, a.Memory, b.Memory = 0, 0, 0, 0
	if !reflect.DeepEqual(a, b) {
		t.Errorf("one seed, two lives:\n%+v\n%+v", a, b)
	}
}

// The oracle sees what it is for.
func TestOracle(t *testing.T) {
	for name, harm := range map[string]func(w *world){
		"lane goes back":     func(w *world) { w.links[0].lanes[0].next -= 4096 },
		"issue mark is lost": func(w *world) { f := &w.flows[0]; f.near[0].next -= 4 },
		"ends differ": func(w *world) {
			for _, s := range w.flows[0].far {
				s.named++
			}
		},
		"fetched again": func(w *world) {
			for _, s := range w.flows[0].far {
				for i := range s.fetched {
					s.fetched[i] = ^uint64(0)
				}
			}
		},
	} {
		c := tokyo(t)
		c.Days, c.Faults = 0.2, Faults{}
		w := newWorld(c)
		if err := w.build(); err != nil {
			t.Fatal(err)
		}
		w.end /= 2
		if err := w.live(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := w.rep.Violations
		w.end *= 2
		harm(w)
		if err := w.live(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.finish()
		if before != 0 || w.rep.Violations == 0 {
			t.Errorf("%s: %d violations before, %d after", name, before, w.rep.Violations)
		}
	}
}

// The built-in networks live with the controller that real nodes use.
func TestBuiltinNetworks(t *testing.T) {
	for _, name := range []string{"tokyo", "tokyo-simulated", "tohoku", "backbone-100"} {
		c, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		c.Days, c.Seed, c.Faults = 0.1, 3, DefaultFaults()
		c.Faults.LinkEvery /= 20
		r, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if r.Violations != 0 || r.Fetched == 0 || r.Fetched+r.Expired > r.Issued {
			t.Errorf("%s: %d violations (%q), %d of %d keys fetched", name, r.Violations, r.Examples, r.Fetched, r.Issued)
		}
	}
}

func BenchmarkBackboneHour(b *testing.B) {
	for b.Loop() {
		c, err := Load("backbone-1000")
		if err != nil {
			b.Fatal(err)
		}
		c.Days, c.Seed, c.Faults = 1.0/24, 1, DefaultFaults()
		if r, err := Run(b.Context(), c); err != nil || r.Violations != 0 {
			b.Fatal(err, r.Violations)
		}
	}
}
