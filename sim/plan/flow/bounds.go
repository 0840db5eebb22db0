package flow

import (
	"math"
	"slices"
)

// Bounds answers how much is left at most of a network that loses something, many
// times over. It may be used by several goroutines.
type Bounds struct {
	g      *graph
	groups []group
	length []float64
}

// NewBounds takes a network, its demands and the prices of a solution of the whole.
// Demands of which an end cannot be reached count as cut off, always.
func NewBounds(nodes int, edges []Edge, demands []Demand, price []float64) *Bounds {
	s := newSolver(nodes, edges, demands)
	b := &Bounds{g: s.g, groups: s.groups, length: s.length}
	for e, c := range b.g.capacity {
		if c > 0 {
			b.length[e] = max(price[e], 1e-9) / c
		}
	}
	for i, g := range b.groups {
		b.g.shortest(s.tree, g.source, b.length)
		b.groups[i].order = slices.Clone(s.tree.order)
	}
	return b
}

// Without returns what every demand can have at most when these edges and a node
// (or none: -1) are gone, +Inf when nobody is left who wants anything, and the part
// of the demand that has no way any more. Neither counts demands that begin or end
// at the node, the first not those that are cut off either.
//
// The bound is that of linear programming's dual: with any lengths of the edges,
// Σ length × capacity ÷ Σ demand × distance.
func (b *Bounds) Without(gone []int, node int) (most, cut float64) {
	length, total := slices.Clone(b.length), 0.0
	for _, e := range gone {
		length[e] = math.Inf(1)
	}
	for e, c := range b.g.capacity {
		if !math.IsInf(length[e], 1) {
			total += length[e] * c
		}
	}
	t, order := newTree(len(b.g.first)-1), make([]int32, len(b.g.first)-1)
	cost, wanted := 0.0, 0.0
	for _, g := range b.groups {
		if g.source == node {
			continue
		}
		b.g.again(t, g.source, length, order[:copy(order, g.order)])
		for i, to := range g.to {
			switch {
			case to == node:
			case math.IsInf(t.dist[to], 1):
				cut += g.amounts[i]
			default:
				cost += g.amounts[i] * t.dist[to]
				wanted += g.amounts[i]
			}
		}
	}
	if cut > 0 {
		cut /= cut + wanted
	}
	if cost == 0 {
		return math.Inf(1), cut
	}
	return total / cost, cut
}

// Distances returns the price of the cheapest way between any two nodes for one
// unit of flow: what a new edge there would save. Unjoined nodes are +Inf apart.
func Distances(nodes int, edges []Edge, price []float64) [][]float64 {
	g := newGraph(nodes, edges)
	length := make([]float64, len(edges))
	for e, c := range g.capacity {
		if c > 0 {
			length[e] = price[e] / c
		}
	}
	t, out := newTree(nodes), make([][]float64, nodes)
	for v := range nodes {
		g.shortest(t, v, length)
		out[v] = append([]float64(nil), t.dist...)
	}
	return out
}
