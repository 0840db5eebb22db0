package route

import (
	"fmt"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"pgregory.net/rapid"
)

// reference computes the same flow the plain way: an explicit graph of halves,
// every further unit with its own price, and Bellman-Ford for each unit.
type reference struct {
	halves int
	arcs   []residual
}

type residual struct {
	from, to, room int
	cost           int64
}

// newReference makes the graph in which node v is 2v in and 2v+1 out. Pairs of
// arcs 2i and 2i+1 are each other's way back.
func newReference(g *Graph, from, to int32, m int) *reference {
	r := &reference{halves: 2 * len(g.nodes)}
	for v := range g.nodes {
		if int32(v) != from && int32(v) != to {
			r.add(2*v, 2*v+1, 1, 0)
			r.add(2*v, 2*v+1, m-1, sharedNode)
		}
	}
	for a, c := range g.cost {
		if c == unusable {
			continue
		}
		u, v := g.head(int32(a)^1), g.head(int32(a))
		r.add(int(2*u+1), int(2*v), 1, int64(c))
		if u != from || v != to {
			r.add(int(2*u+1), int(2*v), m-1, int64(c)+sharedLink)
		}
	}
	return r
}

func (r *reference) add(from, to, room int, cost int64) {
	r.arcs = append(r.arcs, residual{from, to, room, cost}, residual{to, from, 0, -cost})
}

// send sends up to m units and returns what they cost together.
func (r *reference) send(from, to, m int) (units int, total int64) {
	for ; units < m; units++ {
		dist := make([]int64, r.halves)
		by := make([]int, r.halves)
		for x := range dist {
			dist[x] = unreached
		}
		dist[from] = 0
		for again := true; again; {
			again = false
			for i, a := range r.arcs {
				if a.room > 0 && dist[a.from] != unreached && dist[a.from]+a.cost < dist[a.to] {
					dist[a.to], by[a.to], again = dist[a.from]+a.cost, i, true
				}
			}
		}
		if dist[to] == unreached {
			break
		}
		for x := to; x != from; x = r.arcs[by[x]].from {
			r.arcs[by[x]].room--
			r.arcs[by[x]^1].room++
		}
		total += dist[to]
	}
	return units, total
}

// price is what the units of the last find cost, sharing included.
func (w *search) price() (total int64) {
	for a, n := range w.flow {
		total += int64(n)*int64(w.g.cost[a]) + int64(max(n-1, 0))*sharedLink
	}
	for _, n := range w.through {
		total += int64(max(n-1, 0)) * sharedNode
	}
	return total
}

// lattice is a grid of side×side nodes.
func lattice(t rapid.TB, side int) *Graph {
	t.Helper()
	var nodes []qsc.NodeID
	var links []Link
	name := func(r, c int) qsc.NodeID { return qsc.NodeID(fmt.Sprintf("n%d-%d", r, c)) }
	join := func(a, b qsc.NodeID) {
		links = append(links, Link{ID: qsc.LinkID(a + "--" + b), Ends: [2]qsc.NodeID{a, b}})
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
		t.Fatal(err)
	}
	return g
}

// sparse draws a lattice or eleven nodes with few links, of uneven costs, some
// directions shut: graphs with narrow places anywhere.
func sparse(t *rapid.T) *Graph {
	var g *Graph
	if rapid.Bool().Draw(t, "lattice") {
		g = lattice(t, rapid.IntRange(2, 7).Draw(t, "side"))
	} else {
		var mask uint64
		for range rapid.IntRange(8, 24).Draw(t, "links") {
			mask |= 1 << rapid.IntRange(0, 54).Draw(t, "link")
		}
		g = graphOf(11, mask, func(int) int32 { return 0 })
	}
	cost := rough(rapid.Uint64().Draw(t, "costs"))
	shut := rapid.IntRange(0, 3).Draw(t, "shut")
	for a := range g.cost {
		if g.cost[a] = cost(a); int(cost(a+9999))%16 < shut {
			g.cost[a] = unusable
		}
	}
	return g
}

// One tree serves all destinations of a source, whatever its shortcuts: every
// demand costs what the plain way finds.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := sparse(t)
		n := int32(len(g.nodes))
		from := rapid.Int32Range(0, n-1).Draw(t, "from")
		to := rapid.SliceOfN(rapid.Int32Range(0, n-1), 1, 4).Draw(t, "to")
		w := newSearch(g)
		w.plant(from, to...)
		for _, v := range to {
			if v == from {
				continue
			}
			m := rapid.IntRange(1, 5).Draw(t, "m")
			f := w.find(v, m)
			units, total := newReference(g, from, v, m).send(int(2*from+1), int(2*v), m)
			separate, _ := newReference(g, from, v, 1).send(int(2*from+1), int(2*v), m)
			if got := w.price(); got != total || (units > 0) != (f.paths > 0) || int(f.separate) != separate {
				t.Fatalf("%s: %d to %d, m = %d: price %d and %d disjoint, the plain way finds %d units for %d and %d disjoint",
					draw(g), from, v, m, got, f.separate, units, total, separate)
			}
		}
	})
}
