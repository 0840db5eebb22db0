package route

import (
	"fmt"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// lattice is a grid of side×side nodes with uneven costs.
func lattice(tb testing.TB, side int) *Graph {
	tb.Helper()
	var nodes []qsc.NodeID
	var links []Link
	name := func(r, c int) qsc.NodeID { return qsc.NodeID(fmt.Sprintf("n%d-%d", r, c)) }
	join := func(a, b qsc.NodeID) {
		stock := int64(rough(uint64(len(links)))(0)) << 14
		links = append(links, Link{ID: qsc.LinkID(a + "--" + b), Ends: [2]qsc.NodeID{a, b},
			State: State{Up: true, Stock: [2]int64{stock, stock}, Size: 4 << 20, Rate: 1e5}})
	}
	for r := range side {
		for c := range side {
			nodes = append(nodes, name(r, c))
			if r > 0 {
				join(name(r-1, c), name(r, c))
			}
			if c > 0 {
				join(name(r, c-1), name(r, c))
			}
		}
	}
	g, err := Build(nodes, links)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// demandsOf picks n demands of three paths between nodes that follow from i.
func demandsOf(g *Graph, n int) []Demand {
	all := make([]Demand, n)
	for i := range all {
		from := int(rough(uint64(2*i))(0)) * 7919 % len(g.nodes)
		to := (from + 1 + int(rough(uint64(2*i+1))(0))*104729%(len(g.nodes)-1)) % len(g.nodes)
		all[i] = Demand{g.nodes[from], g.nodes[to], 3}
	}
	return all
}

func BenchmarkLatticeFull(b *testing.B) {
	g := lattice(b, 32)
	demands := demandsOf(g, 10_000)
	for b.Loop() {
		if _, err := g.Compute(demands); err != nil {
			b.Fatal(err)
		}
	}
}
