package coding

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
)

// Costs compares a plan with what else could be done, for one bit of key.
type Costs struct {
	Tree     float64 // Plan.Cost
	Separate float64 // the best dealer among the members sends it to each of the others over a separate key
	Least    float64 // no scheme whatever spends less, with free public announcements and trusted relays; a bound, seldom reached
}

// Compare computes Costs. Errors as Group.
func Compare(links []Link, members []qsc.NodeID) (Costs, error) {
	g, err := newGraph(links, members)
	if err != nil {
		return Costs{}, err
	}
	tree, err := g.steiner()
	if err != nil {
		return Costs{}, err
	}
	c := Costs{Separate: math.Inf(1)}
	for _, l := range tree {
		c.Tree += g.links[l].Cost
	}
	for i := range g.members {
		sum := 0.0
		for _, m := range g.members {
			sum += g.dist[i][m]
		}
		c.Separate = min(c.Separate, sum)
	}
	k := float64(len(g.members))
	spanning, _ := g.closure()
	cheapest := math.Inf(1)
	for _, l := range links {
		cheapest = min(cheapest, l.Cost)
	}
	c.Least = max(spanning/(2*(1-1/k)), (k-1)*cheapest)
	return c, nil
}

// Pairs returns what it costs to give each pair of nodes one bit of key of its
// own over the cheapest paths, and what no scheme whatever does it below: the
// cuts at all distances from the best of the nodes share no link, and each pair
// that a cut separates costs a bit of key across it. The two are equal where one
// node is in every pair. Errors: Invalid, NotFound when no path joins a pair.
func Pairs(links []Link, pairs [][2]qsc.NodeID) (paths, least float64, err error) {
	g, err := number(links)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range pairs {
		if g.node(p[0]) == g.node(p[1]) {
			return 0, 0, qsc.E("coding.Pairs", qsc.Invalid, string(p[0]), "a node is paired with itself")
		}
	}
	for from := range g.names {
		dist, _ := g.shortest(from)
		across := 0.0
		for _, p := range pairs {
			a, b := g.numbers[p[0]], g.numbers[p[1]]
			if a == from {
				paths += dist[b]
			}
			if !math.IsInf(dist[a], 1) && !math.IsInf(dist[b], 1) {
				across += math.Abs(dist[a] - dist[b])
			}
		}
		least = max(least, across)
	}
	if math.IsInf(paths, 1) {
		return 0, 0, qsc.E("coding.Pairs", qsc.NotFound, "", "no path joins one of the pairs")
	}
	return paths, least, nil
}
