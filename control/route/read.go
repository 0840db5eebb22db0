package route

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// found is what a search found, in numbers: the arcs of all paths one after the
// other, cheapest path first.
type found struct {
	arcs     []int32
	cost     int64
	paths    int8
	separate int8 // disjoint paths that there are, at most as many as were asked for
	whole    bool // as many disjoint paths as were asked for
}

// read takes the paths out of the flow. A path that another unit takes as well
// counts once.
func (w *search) read(units, separate, m int) found {
	f := found{separate: int8(separate), whole: separate == m}
	var paths [keymgmt.MaxPaths][]int32
	n := 0
	for range units {
		p := w.walk()
		if slices.ContainsFunc(paths[:n], func(q []int32) bool { return slices.Equal(p, q) }) {
			continue
		}
		paths[n] = p
		n++
	}
	slices.SortStableFunc(paths[:n], func(a, b []int32) int { return int(w.g.sum(a) - w.g.sum(b)) })
	for _, p := range paths[:n] {
		f.arcs = append(f.arcs, p...)
	}
	f.cost, f.paths = w.g.sum(f.arcs), int8(n)
	return f
}

// walk reads one unit from the source to the destination. Where units meet it
// leaves by the arc that was left by least, so that paths differ if they can.
func (w *search) walk() []int32 {
	var p []int32
	for v := w.from; v != w.to; {
		best := int32(-1)
		for _, e := range w.g.of(v) {
			if w.flow[e.arc] > w.taken[e.arc] && (best < 0 || w.taken[e.arc] < w.taken[best]) {
				best = e.arc
			}
		}
		w.taken[best]++
		p = append(p, best)
		v = w.g.head(best)
	}
	return p
}

func (g *Graph) sum(arcs []int32) int64 {
	var total int64
	for _, a := range arcs {
		total += int64(g.cost[a])
	}
	return total
}

// paths spells out what was found.
func (g *Graph) paths(d demand, f found) []keymgmt.Path {
	all := make([]keymgmt.Path, 0, f.paths)
	p := keymgmt.Path{g.nodes[d.from]}
	for _, a := range f.arcs {
		v := g.head(a)
		p = append(p, g.nodes[v])
		if v == d.to {
			all = append(all, p)
			p = keymgmt.Path{g.nodes[d.from]}
		}
	}
	return all
}
