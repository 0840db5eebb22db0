package plan

import (
	"cmp"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc/sim/plan/flow"
)

// Loss is what it costs to lose one node or one link.
type Loss struct {
	What    string  `json:"what"`            // "node otemachi", "link a-b"
	Cut     float64 `json:"cut"`             // part of the demand, that of a lost node's own terminals left out, that has no way any more
	AtMost  float64 `json:"served_at_most"`  // every pair that still has a way, at once, times what it wants; 0: no pair is left
	AtLeast float64 `json:"served_at_least"` // the same, proved from below; for the dearest losses only, else 0
	most    float64 // AtMost, or +Inf when no pair is left
	edges   []int   // that are gone with it
	node    int
}

// How many losses are looked into, those of the dearest nodes and links, and how
// many of them are solved from both sides; fewer in networks of many hundred nodes.
const (
	looked  = 600
	dearest = 8
)

func (m *maker) losses() error {
	var all []Loss
	for v, n := range m.Network.Nodes {
		var gone []int
		for i, e := range m.edges {
			if e.A == v || e.B == v {
				gone = append(gone, i)
			}
		}
		all = append(all, Loss{What: "node " + string(n.ID), edges: gone, node: v})
	}
	for i, l := range m.Network.Links {
		all = append(all, Loss{What: "link " + string(l.ID), edges: []int{i}, node: -1})
	}
	all = m.dear(all)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	bounds := flow.NewBounds(len(m.Network.Nodes), m.edges, m.demands, m.result.Price)
	for i := range all {
		l := &all[i]
		g.Go(func() error {
			l.most, l.Cut = bounds.Without(l.edges, l.node)
			l.AtMost = finite(l.most)
			return nil
		})
	}
	_ = g.Wait()
	dear := func(a, b Loss) int {
		return cmp.Or(-cmp.Compare(a.Cut, b.Cut), cmp.Compare(a.most, b.most))
	}
	slices.SortStableFunc(all, dear)
	for i := range all[:min(m.solved(), len(all))] {
		g.Go(func() error { m.solve(&all[i]); return nil })
	}
	_ = g.Wait()
	slices.SortStableFunc(all, dear)
	m.plan.Losses = all
	return nil
}

// solved is how many losses are solved from both sides: all in a small network.
func (m *maker) solved() int {
	if len(m.Network.Nodes) <= 24 {
		return looked
	}
	return m.part(dearest, 0)
}

// dear keeps those losses that take most of what the network's limit rests on.
func (m *maker) dear(all []Loss) []Loss {
	weight := func(l Loss) (sum float64) {
		for _, e := range l.edges {
			sum += m.result.Price[e]
		}
		return sum
	}
	if most := m.part(looked, 60); len(all) > most {
		slices.SortStableFunc(all, func(a, b Loss) int { return -cmp.Compare(weight(a), weight(b)) })
		all = all[:most]
	}
	return all
}

// left is the demand that a loss leaves a way to, and the part that it cuts off.
func (m *maker) left(l *Loss) (kept []flow.Demand, cut float64) {
	of := m.components(l)
	total := 0.0
	for _, d := range m.demands {
		if d.From == l.node || d.To == l.node {
			continue
		}
		total += d.Amount
		if of[d.From] != of[d.To] {
			cut += d.Amount
			continue
		}
		kept = append(kept, d)
	}
	if total > 0 {
		cut /= total
	}
	return kept, cut
}

// components numbers the parts into which a loss cuts the network.
func (m *maker) components(l *Loss) []int {
	of := make([]int, len(m.Network.Nodes))
	for v := range of {
		of[v] = v
	}
	root := func(v int) int {
		for of[v] != v {
			of[v] = of[of[v]]
			v = of[v]
		}
		return v
	}
	for i, e := range m.edges {
		if e.Capacity > 0 && !slices.Contains(l.edges, i) {
			of[root(e.A)] = root(e.B)
		}
	}
	for v := range of {
		of[v] = root(v)
	}
	return of
}

// solve finds what is really left, from both sides.
func (m *maker) solve(l *Loss) {
	kept, _ := m.left(l)
	r := flow.Solve(len(m.Network.Nodes), m.without(l), kept, flow.Config{Gap: 0.15, Phases: m.phases(100, 100)})
	l.most = min(l.most, r.Upper)
	l.AtLeast, l.AtMost = finite(r.Lower), finite(l.most)
}

func (m *maker) without(l *Loss) []flow.Edge {
	edges := slices.Clone(m.edges)
	for _, e := range l.edges {
		edges[e].Capacity = 0
	}
	return edges
}
