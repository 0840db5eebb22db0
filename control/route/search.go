package route

import "math"

// search is the workspace of one worker: it finds disjoint paths as a cheapest
// flow of whole units. Every node v but the ends is cut in two, v in = 2v and v
// out = 2v+1, joined by an inner arc that carries one unit; a unit of flow is a
// path, and no two share a node.
//
// Units are added one by one along a cheapest path in the residual graph. Two
// things make that fast. Prices are reduced by the tree of cheapest paths from
// the source, which all its demands share, so that what lies on the tree is
// free. And the search runs backwards from the destination: it meets the tree
// after a few steps and then follows it home for nothing.
//
// Where no further unit fits, the inner arcs and the arcs take more than one,
// at a price that puts fewest shared nodes before fewest shared links before
// cost.
type search struct {
	g    *Graph
	tree []int64 // of each node: cost of the cheapest path from the source
	heap heap

	flat  []int32 // halves to look at, at the distance level
	level int64

	from, to int32
	sharing  bool

	halves   []half
	shifted  []int32 // the halves with a shift
	round    uint32  // of seen and done
	bound    int64   // what the source is known to cost at most
	settled  []int32
	wanted   []bool
	flow     []int8 // units on each arc
	taken    []int8 // of them, those that a path has been read from
	used     []int32
	through  []int8 // units through each node
	throughs []int32
}

// half is one side of a node.
type half struct {
	shift      int64  // what its potential is above the tree's
	dist       int64  // reduced cost from there to the destination
	via        int32  // the step towards the destination
	seen, done uint32 // the round in which dist was set, and was final
}

const unreached = math.MaxInt64

// Prices of sharing. With MaxNodes, keymgmt.MaxPaths and maxCost as they are,
// all arcs together cost less than one shared link and all links together less
// than one shared node, and the sum of all stays below 2^63.
const (
	sharedLink int64 = 1_000_000_000
	sharedNode int64 = 71_000_000_000_000
)

// Steps that are not arcs: an arc a is 2a along and 2a+1 against it.
const (
	inward  = -1 // from v in to v out
	outward = -2 // from v out to v in, giving a unit back
)

func newSearch(g *Graph) *search {
	n, arcs := len(g.nodes), len(g.cost)
	return &search{
		g: g, tree: make([]int64, n), halves: make([]half, 2*n),
		flow: make([]int8, arcs), taken: make([]int8, arcs), through: make([]int8, n), wanted: make([]bool, n),
	}
}

// find returns up to m paths from the planted source, and how many of them are
// disjoint.
func (w *search) find(to int32, m int) found {
	w.to = to
	w.reset()
	if w.tree[to] == unreached {
		return found{}
	}
	units := 0
	for limit := min(m, w.g.ways(w.from, to)); units < limit && w.augment(); {
		units++
	}
	separate := units
	if units > 0 && units < m {
		w.sharing = true
		for units < m {
			w.tighten()
			if !w.augment() {
				break
			}
			units++
		}
	}
	return w.read(units, separate, m)
}

// reset forgets the flow of the demand before.
func (w *search) reset() {
	w.sharing = false
	for _, x := range w.shifted {
		w.halves[x].shift = 0
	}
	for _, a := range w.used {
		w.flow[a], w.taken[a] = 0, 0
	}
	for _, v := range w.throughs {
		w.through[v] = 0
	}
	w.shifted, w.used, w.throughs = w.shifted[:0], w.used[:0], w.throughs[:0]
}

// augment adds one unit along the cheapest path of the residual graph, and
// returns false when there is none.
func (w *search) augment() bool {
	w.nextRound()
	goal := 2*w.from + 1
	w.reach(2*w.to, 0, 0)
	for {
		x, ok := w.nearest()
		if !ok {
			return false
		}
		if w.halves[x].done == w.round {
			continue
		}
		w.halves[x].done = w.round
		if x == goal {
			w.lift(w.level)
			w.push()
			return true
		}
		w.settled = append(w.settled, x)
		if v := x >> 1; x&1 == 0 {
			w.intoIn(v, w.level)
		} else {
			w.intoOut(v, w.level)
		}
	}
}

// nearest takes out a half that is not farther than any other. What lies at the
// distance reached never enters the heap; taken last in, first out, it leads
// straight down the tree.
func (w *search) nearest() (x int32, ok bool) {
	if n := len(w.flat); n > 0 {
		x, w.flat = w.flat[n-1], w.flat[:n-1]
		return x, true
	}
	if len(w.heap) == 0 {
		return 0, false
	}
	top := w.heap.pop()
	w.level = top.key
	return top.at, true
}

func (w *search) nextRound() {
	w.round++
	if w.round == 0 { // after 2^32 rounds old marks would count
		for x := range w.halves {
			w.halves[x].seen, w.halves[x].done = 0, 0
		}
		w.round = 1
	}
	w.heap, w.flat, w.settled, w.level = w.heap[:0], w.flat[:0], w.settled[:0], 0
	w.bound = unreached
}

// reach notes a way from half x to the destination.
func (w *search) reach(x int32, d int64, via int32) {
	h := &w.halves[x]
	if d >= w.bound || h.done == w.round || h.seen == w.round && h.dist <= d {
		return
	}
	h.seen, h.dist, h.via = w.round, d, via
	if x == 2*w.from+1 {
		w.bound = d
	}
	if d == w.level {
		w.flat = append(w.flat, x)
	} else {
		w.heap.push(item{d, x})
	}
}

// intoIn looks at what leads into v in: free arcs, and v out where a unit can be
// given back.
func (w *search) intoIn(v int32, d int64) {
	here := w.tree[v] + w.halves[2*v].shift
	for _, e := range w.g.of(v) {
		arc, u := e.arc^1, e.other
		c := int64(w.g.cost[arc])
		if c == unusable || u == w.to || w.tree[u] == unreached {
			continue
		}
		if w.flow[arc] > 0 {
			if !w.sharing || u == w.from && v == w.to {
				continue // a second key over the same single link would be the same path
			}
			c += sharedLink
		}
		w.reach(2*u+1, d+c+w.tree[u]+w.halves[2*u+1].shift-here, 2*arc)
	}
	if n := w.through[v]; n > 0 {
		w.reach(2*v+1, d-nodePrice(n-1)+w.halves[2*v+1].shift-w.halves[2*v].shift, outward)
	}
}

// intoOut looks at what leads into v out: v in where a unit fits through, and
// the heads of its arcs where a unit can be given back.
func (w *search) intoOut(v int32, d int64) {
	if n := w.through[v]; n == 0 || w.sharing {
		w.reach(2*v, d+nodePrice(n)+w.halves[2*v].shift-w.halves[2*v+1].shift, inward)
	}
	here := w.tree[v] + w.halves[2*v+1].shift
	for _, e := range w.g.of(v) {
		n := w.flow[e.arc]
		if n == 0 {
			continue
		}
		c := int64(w.g.cost[e.arc])
		if n > 1 {
			c += sharedLink
		}
		w.reach(2*e.other, d-c+w.tree[e.other]+w.halves[2*e.other].shift-here, 2*e.arc+1)
	}
}

// nodePrice is what the next unit pays at a node with n units.
func nodePrice(n int8) int64 {
	if n == 0 {
		return 0
	}
	return sharedNode
}

// lift raises the potentials of what lies nearer than the source, so that no
// reduced price is negative once the path's arcs can be given back.
func (w *search) lift(total int64) {
	for _, x := range w.settled {
		if up := total - w.halves[x].dist; up > 0 {
			w.move(x, up)
		}
	}
}

func (w *search) move(x int32, by int64) {
	if w.halves[x].shift == 0 {
		w.shifted = append(w.shifted, x)
	}
	w.halves[x].shift += by
}

// push moves a unit along the path that augment found.
func (w *search) push() {
	x := 2*w.from + 1
	for x != 2*w.to {
		v := x >> 1
		switch via := w.halves[x].via; {
		case via == inward:
			w.through[v]++
			w.throughs = append(w.throughs, v)
			x = 2*v + 1
		case via == outward:
			w.through[v]--
			x = 2 * v
		case via&1 == 0:
			w.flow[via>>1]++
			w.used = append(w.used, via>>1)
			x = 2 * w.g.head(via>>1)
		default: // against the arc: to its tail
			w.flow[via>>1]--
			x = 2*w.g.head(via>>1^1) + 1
		}
	}
}
