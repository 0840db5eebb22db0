package plan

import (
	"cmp"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Pair is what two nodes get of each other when nobody else wants anything.
type Pair struct {
	From      qsc.NodeID  `json:"from"`
	To        qsc.NodeID  `json:"to"`
	Single    qsc.BitRate `json:"single"`          // over the widest path
	Protected qsc.BitRate `json:"protected"`       // over Paths disjoint paths, all of which are needed
	Paths     int         `json:"paths"`           // disjoint paths that there are, at most as many as were asked for
	Fewer     bool        `json:"fewer,omitempty"` // than were asked for
	Hops      int         `json:"hops"`            // of the longest path used
}

// pairs reckons every two nodes; the plan keeps the best and the worst.
func (m *maker) pairs() error {
	g, err := m.graph()
	if err != nil {
		return err
	}
	ids := m.Network.Nodes
	var demands []route.Demand
	for i := range ids {
		for j := i + 1; j < len(ids); j++ {
			demands = append(demands, route.Demand{From: ids[i].ID, To: ids[j].ID, Paths: min(m.Paths, keymgmt.MaxPaths)})
		}
	}
	m.plan.PairCount = len(demands)
	demands = thin(demands)
	routes, err := disjoint(g, demands)
	if err != nil {
		return err
	}
	wide := m.widest()
	for i, d := range demands {
		r := routes[i]
		p := Pair{From: d.From, To: d.To, Single: qsc.BitRate(wide[m.number[d.From]][m.number[d.To]]), Paths: r.Separate, Fewer: r.Separate < d.Paths}
		m.overPaths(&p, r)
		m.plan.Pairs = append(m.plan.Pairs, p)
	}
	slices.SortStableFunc(m.plan.Pairs, func(a, b Pair) int {
		return cmp.Or(-cmp.Compare(a.Paths, b.Paths), -cmp.Compare(a.Protected, b.Protected), -cmp.Compare(a.Single, b.Single))
	})
	if all := m.plan.Pairs; len(all) > maxPairs {
		m.plan.Pairs = slices.Concat(all[:maxPairs/2], all[len(all)-maxPairs/2:])
	}
	return nil
}

// disjoint finds as many disjoint paths as were asked for and, where there are
// fewer, all that there are.
func disjoint(g *route.Graph, demands []route.Demand) ([]route.Routes, error) {
	found, err := g.Compute(demands)
	if err != nil {
		return nil, err
	}
	routes := make([]route.Routes, len(demands))
	var fewer []route.Demand
	var of []int
	for i, d := range demands {
		routes[i] = found.Routes(i)
		if k := routes[i].Separate; k > 0 && k < d.Paths {
			fewer, of = append(fewer, route.Demand{From: d.From, To: d.To, Paths: k}), append(of, i)
		}
	}
	if found, err = g.Compute(fewer); err != nil {
		return nil, err
	}
	for j, i := range of {
		routes[i] = found.Routes(j)
	}
	return routes, nil
}

// maxReckoned bounds for how many pairs paths are sought.
const maxReckoned = 5000

// thin leaves an even sample of very many pairs.
func thin(all []route.Demand) []route.Demand {
	if len(all) <= maxReckoned {
		return all
	}
	out := make([]route.Demand, maxReckoned)
	for i := range out {
		out[i] = all[i*len(all)/maxReckoned]
	}
	return out
}

// graph is the network with rates as they are planned and full rings.
func (m *maker) graph() (*route.Graph, error) {
	nodes := make([]qsc.NodeID, len(m.Network.Nodes))
	for i, n := range m.Network.Nodes {
		nodes[i] = n.ID
	}
	links := make([]route.Link, len(m.Network.Links))
	for i, l := range m.Network.Links {
		links[i] = route.Link{ID: l.ID, Ends: l.Ends, State: route.State{
			Up: m.plan.Links[i].Rate > 0, Stock: [2]int64{l.Pad, l.Pad}, Size: l.Pad, Rate: m.plan.Links[i].Rate,
		}}
	}
	return route.Build(nodes, links)
}

// overPaths fills in what the paths of a pair give. Over one path it is the widest
// that counts.
func (m *maker) overPaths(p *Pair, r route.Routes) {
	least := math.Inf(1)
	for _, path := range r.Paths {
		p.Hops = max(p.Hops, len(path)-1)
		for i := 1; i < len(path); i++ {
			l, ok := m.Network.LinkBetween(path[i-1], path[i])
			if ok {
				least = min(least, float64(m.plan.Links[m.linkNumber[l.ID]].Rate))
			}
		}
	}
	switch {
	case p.Paths == 1:
		p.Protected = p.Single
	case r.Disjoint && !math.IsInf(least, 1):
		p.Protected = qsc.BitRate(least)
	}
}

// widest returns the rate of the widest path between any two nodes, by joining
// them over the widest links first.
func (m *maker) widest() [][]float64 {
	n := len(m.Network.Nodes)
	wide := make([][]float64, n)
	group := make([][]int, n)
	of := make([]int, n)
	for v := range n {
		wide[v], group[v], of[v] = make([]float64, n), []int{v}, v
	}
	order := make([]int, len(m.edges))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(m.edges[a].Capacity, m.edges[b].Capacity) })
	for _, e := range order {
		a, b := of[m.edges[e].A], of[m.edges[e].B]
		if a == b {
			continue
		}
		if len(group[a]) < len(group[b]) {
			a, b = b, a
		}
		for _, v := range group[a] {
			for _, w := range group[b] {
				wide[v][w], wide[w][v] = m.edges[e].Capacity, m.edges[e].Capacity
			}
		}
		for _, w := range group[b] {
			of[w] = a
		}
		group[a] = append(group[a], group[b]...)
	}
	return wide
}
