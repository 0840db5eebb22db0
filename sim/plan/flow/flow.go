// Package flow shares the capacity of a network's links out among many demands at
// once: the most that every demand can have in the same proportion (maximum
// concurrent multi-commodity flow), by multiplicative weights, with a bound on
// either side.
//
// A link's capacity is one for both directions, as a QKD link's key is. The
// package is pure; it knows no kinds of link, no stocks and no disjoint paths.
package flow

import (
	"math"
	"slices"
)

// Edge joins two nodes, numbered from 0.
type Edge struct {
	A, B     int
	Capacity float64 // ≥ 0, both directions together
}

// Demand is what two nodes want of each other.
type Demand struct {
	From, To int
	Amount   float64 // > 0, in the unit of the capacities
}

// Config says how exactly to solve.
type Config struct {
	Gap    float64 // stop when Upper ≤ (1+Gap) Lower; 0: 0.05
	Phases int     // stop after so many at the latest; 0: 600

	// Price, if not nil, is that of a network which differs little: what to begin
	// with, in smaller steps. Good prices close the bounds sooner, bad ones later;
	// they hold by any.
	Price []float64
	// Least ends the search when the upper bound has fallen to it: what is not
	// better is not wanted.
	Least float64
}

// Result is a flow that carries Lower times every demand, and the proof that no
// flow carries more than Upper times.
type Result struct {
	Lower, Upper float64   // +Inf both, without demands
	Use          []float64 // of each edge's capacity, 0 to 1, when Lower times every demand flows
	Price        []float64 // of each edge in the bound: the part of Upper's cost that lies there; sums to 1
	Phases       int
}

// The weight's exponent for a load of the whole capacity: large steps find the way,
// small ones are exact (Garg and Könemann 1998, Fleischer 2000).
const (
	firstStep = 1.0
	stepDown  = 0.5 // at every restart, down to a quarter of the gap
)

// Solve returns a flow and its bounds. A demand between nodes that are not joined
// makes both bounds 0. Demands of nodes with themselves and edges without capacity
// are left out.
//
// Source: N. Garg and J. Könemann, FOCS 1998; L. Fleischer, SIAM J. Discrete Math.
// 13 (2000), with whole shortest-path trees routed at once and the bounds
// computed, not derived from the number of phases.
func Solve(nodes int, edges []Edge, demands []Demand, cfg Config) Result {
	if cfg.Gap <= 0 {
		cfg.Gap = 0.05
	}
	if cfg.Phases <= 0 {
		cfg.Phases = 600
	}
	s := newSolver(nodes, edges, demands)
	s.leastStep = cfg.Gap / 4
	s.begin(cfg.Price)
	if len(s.groups) == 0 {
		return Result{Lower: math.Inf(1), Upper: math.Inf(1), Use: make([]float64, len(edges)), Price: make([]float64, len(edges))}
	}
	if !s.scale() {
		return Result{Use: make([]float64, len(edges)), Price: make([]float64, len(edges))}
	}
	r := Result{Upper: math.Inf(1)}
	for r.Phases < cfg.Phases && !(r.Upper <= (1+cfg.Gap)*r.Lower) && !(r.Upper*s.unit <= cfg.Least) {
		s.phase()
		r.Phases++
		s.bounds(&r)
		if r.Phases == s.restartAt {
			s.restart()
		}
	}
	s.exact(&r)
	r.Lower, r.Upper = r.Lower*s.unit, max(r.Lower, r.Upper)*s.unit // they may meet, but for rounding
	return r
}

type solver struct {
	g      *graph
	groups []group
	unit   float64 // demands were multiplied by it

	length []float64 // of each edge: the weight over the capacity
	load   []float64 // of each edge since the last restart
	rounds float64   // phases since then
	tree   *tree
	below  []float64 // demand that a tree carries to a node and beyond
	flow   []float64 // of one tree

	step      float64
	leastStep float64
	cost      float64 // Σ demand × distance, in the phase
	restartAt int
}

func newSolver(nodes int, edges []Edge, demands []Demand) *solver {
	g := newGraph(nodes, edges)
	s := &solver{
		g: g, groups: groupBySource(nodes, demands), unit: 1, tree: newTree(nodes), restartAt: 8, step: firstStep,
		length: make([]float64, len(edges)), load: make([]float64, len(edges)), below: make([]float64, nodes), flow: make([]float64, len(edges)),
	}
	for i, e := range edges {
		if e.Capacity > 0 {
			s.length[i] = 1 / e.Capacity
		}
	}
	return s
}

// evenly is the part of the prices to begin with that is spread over all edges: a
// change may have moved what limits the whole to where there was no price.
const evenly = 0.1

// begin sets the lengths by prices that were good for a like network.
func (s *solver) begin(price []float64) {
	if price == nil {
		return
	}
	for e, c := range s.g.capacity {
		if c > 0 {
			s.length[e] = evenly / float64(len(price)) / c
			if e < len(price) {
				s.length[e] += price[e] / c
			}
		}
	}
	s.step, s.restartAt = firstStep/4, 4
}

// scale multiplies the demands so that one phase fills the fullest edge about
// once. It reports whether all demands can be met at all.
func (s *solver) scale() bool {
	used := make([]float64, len(s.load))
	for i, g := range s.groups {
		s.g.shortest(s.tree, g.source, s.length)
		if !s.spread(g, used) {
			return false
		}
		s.groups[i].order = slices.Clone(s.tree.order)
	}
	worst := 0.0
	for e, u := range used {
		if u > 0 {
			worst = max(worst, u/s.g.capacity[e])
		}
	}
	s.unit = 1 / worst
	for _, g := range s.groups {
		for i := range g.amounts {
			g.amounts[i] /= worst
		}
	}
	return true
}

// spread adds a group's flow along the tree to into and reports whether every
// demand's end is in it.
func (s *solver) spread(g group, into []float64) bool {
	clear(s.below)
	for i, to := range g.to {
		if math.IsInf(s.tree.dist[to], 1) {
			return false
		}
		s.below[to] += g.amounts[i]
	}
	for _, v := range slices.Backward(s.tree.order) { // farthest first
		if f := s.below[v]; f > 0 && int(v) != g.source {
			into[s.tree.via[v]] += f
			s.below[s.tree.from[v]] += f
		}
	}
	return true
}

// phase routes every demand once.
func (s *solver) phase() {
	s.cost = 0
	for _, g := range s.groups {
		s.route(g)
	}
	s.rounds++
}

// route sends a group's demands along shortest trees, no more at a time than an
// edge's capacity.
func (s *solver) route(g group) {
	for left := 1.0; left > 1e-12; {
		s.g.again(s.tree, g.source, s.length, g.order)
		clear(s.flow)
		s.spread(g, s.flow)
		part := left
		for e, f := range s.flow {
			if f > 0 {
				part = min(part, s.g.capacity[e]/f)
			}
		}
		for i, to := range g.to {
			s.cost += part * g.amounts[i] * s.tree.dist[to]
		}
		for e, f := range s.flow {
			if f > 0 {
				s.load[e] += part * f
				s.length[e] *= math.Exp(s.step * part * f / s.g.capacity[e])
			}
		}
		left -= part
	}
}

// bounds improves the result's bounds by the flow so far and by the lengths now.
func (s *solver) bounds(r *Result) {
	worst := 0.0
	for e, l := range s.load {
		if l > 0 {
			worst = max(worst, l/s.g.capacity[e])
		}
	}
	if lower := s.rounds / worst; lower > r.Lower {
		r.Lower, r.Use = lower, make([]float64, len(s.load))
		for e, l := range s.load {
			if l > 0 {
				r.Use[e] = l / s.g.capacity[e] / worst
			}
		}
	}
	// Distances only grew in the phase, so its cost is at most that of the lengths
	// now: total over cost is an upper bound still, if not the best.
	total := s.dual(r)
	if total > 1e100 {
		for e := range s.length {
			s.length[e] /= total
		}
	}
}

// dual takes the lengths' total over the demands' cost for a bound, if it is
// better, and returns the total.
func (s *solver) dual(r *Result) (total float64) {
	for e, l := range s.length {
		total += l * s.g.capacity[e]
	}
	if upper := total / s.cost; upper < r.Upper {
		r.Upper, r.Price = upper, make([]float64, len(s.length))
		for e, l := range s.length {
			r.Price[e] = l * s.g.capacity[e] / total
		}
	}
	return total
}

// exact reckons the bound of the lengths as they are at the end.
func (s *solver) exact(r *Result) {
	s.cost = 0
	for _, g := range s.groups {
		s.g.again(s.tree, g.source, s.length, g.order)
		for i, to := range g.to {
			s.cost += g.amounts[i] * s.tree.dist[to]
		}
	}
	s.dual(r)
}

// restart forgets the flow, but not what was learnt: the first phases went by
// lengths that knew nothing.
func (s *solver) restart() {
	clear(s.load)
	s.rounds = 0
	s.restartAt *= 2
	s.step = max(s.step*stepDown, s.leastStep)
}
