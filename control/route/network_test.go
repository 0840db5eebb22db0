package route

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"pgregory.net/rapid"
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

// What docs/design/routes.md says of the generated networks holds.
func TestGeneratedNetworksHavePaths(t *testing.T) {
	for _, size := range []int{100, 1000} {
		n, g := generated(t, size)
		demands := applications(t, n, 10_000, 3)
		p, err := g.Compute(demands)
		if err != nil {
			t.Fatal(err)
		}
		three, far := 0, 0
		for i, d := range demands {
			r := p.Routes(i)
			checkRoutes(t, g, d, r)
			shortest, longest := r.Paths[0].Hops(), 0
			for _, q := range r.Paths {
				shortest, longest = min(shortest, q.Hops()), max(longest, q.Hops())
			}
			if r.Separate < 2 || longest > 40 {
				t.Fatalf("%s to %s: %d disjoint paths, %d hops", d.From, d.To, r.Separate, longest)
			}
			if r.Disjoint {
				three++
				if shortest >= 5 {
					far++
				}
			}
		}
		if three*10 < len(demands)*6 || far*10 < len(demands)*4 {
			t.Errorf("%d nodes: of %d pairs %d have three disjoint paths, %d of five hops or more", size, len(demands), three, far)
		}
	}
}

// checkRoutes holds routes against the graph by their names alone.
func checkRoutes(t rapid.TB, g *Graph, d Demand, r Routes) {
	t.Helper()
	met := map[qsc.NodeID]int{}
	links := map[int32]bool{}
	shared := false
	for _, p := range r.Paths {
		if p[0] != d.From || p[len(p)-1] != d.To {
			t.Fatalf("%+v: path %v", d, p)
		}
		own := map[qsc.NodeID]bool{}
		for i, v := range p {
			if own[v] {
				t.Fatalf("%+v: %v passes %s twice", d, p, v)
			}
			own[v] = true
			if met[v]++; met[v] > 1 && v != d.From && v != d.To {
				shared = true
			}
			if i > 0 {
				arc := g.arc(p[i-1], v)
				if arc < 0 || g.cost[arc] == unusable {
					t.Fatalf("%+v: %v uses a link that is not there or down", d, p)
				}
				shared = shared || links[arc>>1]
				links[arc>>1] = true
			}
		}
	}
	if r.Disjoint != (!shared && len(r.Paths) == max(d.Paths, 1)) {
		t.Fatalf("%+v: disjoint %t, %d paths, shared %t", d, r.Disjoint, len(r.Paths), shared)
	}
}

func (g *Graph) arc(a, b qsc.NodeID) int32 {
	for _, e := range g.of(g.index[a]) {
		if g.nodes[e.other] == b {
			return e.arc
		}
	}
	return -1
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

// busiest returns the link that most paths use.
func busiest(p *Plan) int32 {
	uses := make([]int, p.g.Links())
	best := 0
	var links []int32
	for i := range p.demands {
		links = p.Links(i, links[:0])
		for _, l := range links {
			if uses[l]++; uses[l] > uses[best] {
				best = int(l)
			}
		}
	}
	return int32(best)
}

// BenchmarkCut1000Nodes cuts the busiest link and computes what used it, then
// brings it back.
func BenchmarkCut1000Nodes(b *testing.B) {
	n, g := generated(b, 1000)
	p, err := g.Compute(applications(b, n, 10_000, 3))
	if err != nil {
		b.Fatal(err)
	}
	id := g.Link(busiest(p))
	up, _ := g.State(id)
	moved := 0
	for b.Loop() {
		g.SetLink(id, State{})
		moved = len(p.Update())
		b.StopTimer()
		g.SetLink(id, up)
		p.Refresh(p.Len())
		b.StartTimer()
	}
	b.ReportMetric(float64(moved), "moved/op")
}
