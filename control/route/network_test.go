package route

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/control/topology"
)

func generated(tb testing.TB, nodes int) (*topology.Network, *Graph) {
	tb.Helper()
	n, err := topology.Generate(topology.GenerateConfig{Nodes: nodes, Simulated: nodes <= 256})
	if err != nil {
		tb.Fatal(err)
	}
	return n, New(n)
}

// applications are the demands of so many applications, one for each pair of
// nodes and number of paths.
func applications(tb testing.TB, n *topology.Network, count, paths int) []Demand {
	tb.Helper()
	apps, pairs, err := n.Applications(topology.ApplicationConfig{Count: count})
	if err != nil {
		tb.Fatal(err)
	}
	seen := map[Demand]bool{}
	var all []Demand
	for _, p := range pairs {
		d := Demand{apps[p.Master].Node, apps[p.Slave].Node, paths}
		if paths == 0 {
			d.Paths = p.Paths
		}
		if !seen[d] {
			seen[d] = true
			all = append(all, d)
		}
	}
	return all
}

func TestX(t *testing.T) {
	for _, size := range []int{100, 1000} {
		n, g := generated(t, size)
		ds := applications(t, n, 10000, 3)
		p, err := g.Compute(ds)
		if err != nil {
			t.Fatal(err)
		}
		whole, far, hops, links := 0, 0, map[int]int{}, 0
		maxh := 0
		for i := range ds {
			r := p.Routes(i)
			if r.Disjoint {
				whole++
			}
			hops[r.Separate]++
			least := 1000
			for _, q := range r.Paths {
				least = min(least, q.Hops())
				maxh = max(maxh, q.Hops())
				links += q.Hops()
			}
			if r.Disjoint && least >= 5 {
				far++
			}
		}
		t.Log(size, len(ds), "whole", whole, "least>=5", far, hops, "longest", maxh, "arcs", links)
	}
}

func BenchmarkRoute1000Nodes(b *testing.B) {
	n, g := generated(b, 1000)
	demands := applications(b, n, 10_000, 3)
	for b.Loop() {
		if _, err := g.Compute(demands); err != nil {
			b.Fatal(err)
		}
	}
}
