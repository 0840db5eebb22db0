package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"pgregory.net/rapid"
)

// score is what a set of paths is judged by, in this order.
type score struct{ nodes, links, cost int64 }

func (a score) compare(b score) int {
	return cmp.Or(cmp.Compare(a.nodes, b.nodes), cmp.Compare(a.links, b.links), cmp.Compare(a.cost, b.cost))
}

// oracle finds the best paths by looking at all of them.
type oracle struct {
	g     *Graph
	paths [][]int32 // every simple path, as arcs
}

func newOracle(g *Graph, from, to int32) *oracle {
	o := &oracle{g: g}
	seen := make([]bool, len(g.nodes))
	var walk func(v int32, arcs []int32)
	walk = func(v int32, arcs []int32) {
		if v == to {
			o.paths = append(o.paths, slices.Clone(arcs))
			return
		}
		seen[v] = true
		for _, e := range g.of(v) {
			if !seen[e.other] && g.cost[e.arc] != unusable {
				walk(e.other, append(arcs, e.arc))
			}
		}
		seen[v] = false
	}
	walk(from, nil)
	return o
}

// of judges paths; a path counts as often as it is listed.
func (o *oracle) of(paths [][]int32) score {
	var s score
	nodes, arcs := map[int32]int{}, map[int32]int{}
	for _, p := range paths {
		for i, a := range p {
			s.cost += int64(o.g.cost[a])
			if arcs[a]++; arcs[a] > 1 {
				s.links++
			}
			if v := o.g.head(a); i < len(p)-1 {
				if nodes[v]++; nodes[v] > 1 {
					s.nodes++
				}
			}
		}
	}
	return s
}

// best returns the best score of m paths; copies of one are allowed, but not of
// a single link. ok is false when there are not so many.
func (o *oracle) best(m int) (best score, ok bool) {
	chosen := make([][]int32, 0, m)
	var choose func(from int)
	choose = func(from int) {
		if len(chosen) == m {
			if s := o.of(chosen); !ok || s.compare(best) < 0 {
				best, ok = s, true
			}
			return
		}
		for i := from; i < len(o.paths); i++ {
			next := i
			if len(o.paths[i]) == 1 {
				next = i + 1
			}
			chosen = append(chosen, o.paths[i])
			choose(next)
			chosen = chosen[:len(chosen)-1]
		}
	}
	choose(0)
	return best, ok
}

// compare holds what a search finds against the oracle, for m from 1 to most.
func compare(t rapid.TB, g *Graph, from, to int32, most int) {
	t.Helper()
	o := newOracle(g, from, to)
	w := newSearch(g)
	w.plant(from, to)
	separate := 0
	for m := 1; m <= most; m++ {
		best, ok := o.best(m)
		if ok && best.nodes == 0 && best.links == 0 {
			separate = m
		}
		f := w.find(to, m)
		paths := cut(g, f, to)
		switch {
		case len(paths) != int(f.paths) || (f.paths > 0) != (len(o.paths) > 0):
			t.Fatalf("%s: m = %d: %d paths, the graph has %d", draw(g), m, f.paths, len(o.paths))
		case int(f.separate) != separate || f.whole != (separate == m):
			t.Fatalf("%s: m = %d: %d disjoint, whole %t; the graph has %d", draw(g), m, f.separate, f.whole, separate)
		case f.whole && o.of(paths) != best:
			t.Fatalf("%s: m = %d: %+v, there is %+v", draw(g), m, o.of(paths), best)
		}
		checkShared(t, o, paths, best, m, ok)
	}
}

// checkShared judges paths that may share: as they stand when there are m of
// them, and no better than the best when copies were left out.
func checkShared(t rapid.TB, o *oracle, paths [][]int32, best score, m int, ok bool) {
	t.Helper()
	s := o.of(paths)
	if ok && len(paths) == m && s != best {
		t.Fatalf("%s: m = %d: %+v, there is %+v", draw(o.g), m, s, best)
	}
	if len(paths) < m && ok && best.compare(s) < 0 {
		t.Fatalf("%s: m = %d: left out %d copies, and %+v is still worse than %+v", draw(o.g), m, m-len(paths), s, best)
	}
	for i, p := range paths {
		if slices.ContainsFunc(paths[:i], func(q []int32) bool { return slices.Equal(p, q) }) {
			t.Fatalf("%s: a path is given twice", draw(o.g))
		}
		if !slices.ContainsFunc(o.paths, func(q []int32) bool { return slices.Equal(p, q) }) {
			t.Fatalf("%s: %v is no path", draw(o.g), p)
		}
	}
}

func cut(g *Graph, f found, to int32) (paths [][]int32) {
	begin := 0
	for i, a := range f.arcs {
		if g.head(a) == to {
			paths = append(paths, f.arcs[begin:i+1])
			begin = i + 1
		}
	}
	return paths
}

func draw(g *Graph) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d nodes", len(g.nodes))
	for l, e := range g.ends {
		fmt.Fprintf(&s, " %d-%d(%d,%d)", e[0], e[1], g.cost[2*l], g.cost[2*l+1])
	}
	return s.String()
}

// graphOf builds the graph of n nodes whose links are the set bits of mask, in
// the order 0-1, 0-2, ..., and gives every arc a cost.
func graphOf(n int, mask uint64, cost func(arc int) int32) *Graph {
	nodes := make([]qsc.NodeID, n)
	for i := range nodes {
		nodes[i] = qsc.NodeID(fmt.Sprint(i))
	}
	var links []Link
	bit := 0
	for a := range n {
		for b := a + 1; b < n; b++ {
			if mask>>bit&1 == 1 {
				links = append(links, Link{ID: qsc.LinkID(fmt.Sprintf("%d-%d", a, b)), Ends: [2]qsc.NodeID{nodes[a], nodes[b]}})
			}
			bit++
		}
	}
	g, err := Build(nodes, links)
	if err != nil {
		panic(err)
	}
	for a := range g.cost {
		g.cost[a] = cost(a)
	}
	return g
}

// rough gives different costs that follow from the seed.
func rough(seed uint64) func(arc int) int32 {
	return func(arc int) int32 {
		x := (seed + uint64(arc) + 1) * 0x9e3779b97f4a7c15
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		return int32(x>>40)%200 + 1
	}
}

// All graphs of up to five nodes, with costs that differ by direction.
func TestAllSmallGraphs(t *testing.T) {
	for n := 2; n <= 5; n++ {
		for mask := range uint64(1) << (n * (n - 1) / 2) {
			compare(t, graphOf(n, mask, rough(mask)), 0, int32(n-1), 4)
			compare(t, graphOf(n, mask, func(int) int32 { return 16 }), 0, int32(n-1), 3)
		}
	}
}

func TestSharingPricesFit(t *testing.T) {
	most := int64(keymgmt.MaxPaths)
	if all := most * MaxNodes * maxCost; all >= sharedLink {
		t.Errorf("all arcs cost %d, a shared link %d", all, sharedLink)
	}
	if all := (most-1)*MaxNodes*sharedLink + sharedLink; all >= sharedNode {
		t.Errorf("all shared links cost %d, a shared node %d", all, sharedNode)
	}
	if all := float64(sharedNode) * float64(most-1) * MaxNodes; all >= 1<<63 {
		t.Error("the costs do not fit an int64")
	}
}
