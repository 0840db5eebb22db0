package flow

import "math"

// graph is a network in rows of arcs: those of node v are first[v] to first[v+1].
type graph struct {
	first    []int32
	arcs     []arc
	capacity []float64
}

type arc struct{ to, edge int32 }

func newGraph(nodes int, edges []Edge) *graph {
	g := &graph{first: make([]int32, nodes+1), capacity: make([]float64, len(edges))}
	for i, e := range edges {
		if e.Capacity > 0 && e.A != e.B {
			g.capacity[i] = e.Capacity
			g.first[e.A+1]++
			g.first[e.B+1]++
		}
	}
	for v := range nodes {
		g.first[v+1] += g.first[v]
	}
	g.arcs = make([]arc, g.first[nodes])
	next := append([]int32(nil), g.first...)
	put := func(from, to, edge int) {
		g.arcs[next[from]] = arc{int32(to), int32(edge)}
		next[from]++
	}
	for i, e := range edges {
		if g.capacity[i] > 0 {
			put(e.A, e.B, i)
			put(e.B, e.A, i)
		}
	}
	return g
}

// tree is the shortest ways from one node to all, and the room to find them.
type tree struct {
	dist  []float64 // +Inf where there is no way
	from  []int32   // the node before
	via   []int32   // the edge from there
	order []int32   // nodes reached, nearest first
	turn  []int32   // of each node, its place in an order
	heap  []entry
}

type entry struct {
	dist float64
	node int32
}

func newTree(nodes int) *tree {
	return &tree{dist: make([]float64, nodes), from: make([]int32, nodes), via: make([]int32, nodes), turn: make([]int32, nodes)}
}

// shortest fills the tree from a source (Dijkstra; entries that are out of date
// stay in the heap until they come up).
func (g *graph) shortest(t *tree, source int, length []float64) {
	for v := range t.dist {
		t.dist[v] = math.Inf(1)
	}
	t.order, t.heap = t.order[:0], append(t.heap[:0], entry{0, int32(source)})
	t.dist[source] = 0
	for len(t.heap) > 0 {
		top := t.pop()
		v := top.node
		if top.dist > t.dist[v] {
			continue
		}
		t.order = append(t.order, v)
		for _, a := range g.arcs[g.first[v]:g.first[v+1]] {
			if d := top.dist + length[a.edge]; d < t.dist[a.to] {
				t.dist[a.to], t.from[a.to], t.via[a.to] = d, v, a.edge
				t.push(entry{d, a.to})
			}
		}
	}
}

// mostPasses is how often again goes over all nodes before it gives up.
const mostPasses = 8

// again fills the tree as shortest does, from the order in which the nodes were
// reached by lengths that were not much different: a few passes over the nodes in
// that order take the place of the heap. The order, of all nodes that can be
// reached, is changed into the new one.
func (g *graph) again(t *tree, source int, length []float64, order []int32) {
	for v := range t.dist {
		t.dist[v] = math.Inf(1)
	}
	t.dist[source] = 0
	for pass := 0; g.relax(t, length, order); pass++ {
		if pass == mostPasses {
			g.afresh(t, source, length, order)
			return
		}
	}
	if !t.sorted(order) {
		g.afresh(t, source, length, order)
		return
	}
	t.order = append(t.order[:0], order...)
}

func (g *graph) afresh(t *tree, source int, length []float64, order []int32) {
	g.shortest(t, source, length)
	copy(order, t.order)
}

// relax goes over the nodes once and reports whether a node became nearer after
// its own turn.
func (g *graph) relax(t *tree, length []float64, order []int32) (late bool) {
	for i, v := range order {
		t.turn[v] = int32(i)
	}
	for i, v := range order {
		dv := t.dist[v]
		for _, a := range g.arcs[g.first[v]:g.first[v+1]] {
			if d := dv + length[a.edge]; d < t.dist[a.to] {
				t.dist[a.to], t.from[a.to], t.via[a.to] = d, v, a.edge
				late = late || t.turn[a.to] <= int32(i)
			}
		}
	}
	return late
}

// sorted puts the order right, which it nearly is, and reports whether every node
// stands behind the one before it on its way: not so where a length is lost in
// rounding.
func (t *tree) sorted(order []int32) bool {
	for i := 1; i < len(order); i++ {
		v, d, j := order[i], t.dist[order[i]], i
		for ; j > 0 && t.dist[order[j-1]] > d; j-- {
			order[j] = order[j-1]
		}
		order[j] = v
	}
	for i, v := range order {
		t.turn[v] = int32(i)
	}
	for i, v := range order {
		if i > 0 && !math.IsInf(t.dist[v], 1) && t.turn[t.from[v]] >= int32(i) {
			return false
		}
	}
	return true
}

func (t *tree) push(e entry) {
	t.heap = append(t.heap, e)
	h, i := t.heap, len(t.heap)-1
	for i > 0 {
		up := (i - 1) / 4
		if h[up].dist <= e.dist {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

func (t *tree) pop() entry {
	h := t.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	t.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		best, c := -1, 4*i+1
		for j := c; j < min(c+4, len(h)); j++ {
			if best < 0 || h[j].dist < h[best].dist {
				best = j
			}
		}
		if best < 0 || h[best].dist >= last.dist {
			break
		}
		h[i] = h[best]
		i = best
	}
	h[i] = last
	return top
}
