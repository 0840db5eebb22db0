package plan

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/sim/plan/flow"
)

// small draws a network of a few nodes, which need not hang together.
func small(t *rapid.T) (nodes int, links []wire) {
	nodes = rapid.IntRange(2, 6).Draw(t, "nodes")
	for a := range nodes {
		for b := a + 1; b < nodes; b++ {
			if rapid.IntRange(0, 2).Draw(t, "joined") > 0 {
				links = append(links, wire{a, b, rapid.IntRange(1, 50).Draw(t, "rate") * 1000})
			}
		}
	}
	if len(links) == 0 {
		links = []wire{{0, 1, 1000}}
	}
	return nodes, links
}

// simple lists every path between two nodes that goes over none twice, as the set
// of nodes in between and its narrowest link.
func simple(nodes int, links []wire, from, to int) (all []way1) {
	rate := make([][]int, nodes)
	for v := range rate {
		rate[v] = make([]int, nodes)
	}
	for _, l := range links {
		rate[l.a][l.b], rate[l.b][l.a] = l.rate, l.rate
	}
	var walk func(v int, seen uint, least int)
	walk = func(v int, seen uint, least int) {
		for w := range nodes {
			switch {
			case rate[v][w] == 0 || seen&(1<<w) != 0:
			case w == to:
				all = append(all, way1{seen &^ (1 << from), min(least, rate[v][w]), v == from})
			default:
				walk(w, seen|1<<w, min(least, rate[v][w]))
			}
		}
	}
	walk(from, 1<<from, math.MaxInt)
	return all
}

type way1 struct {
	between uint
	least   int
	direct  bool
}

// bestSets returns for k = 1, 2, 3 the best narrowest rate of k paths that share no
// node in between, 0 where there are none.
func bestSets(all []way1) (best [4]int) {
	var pick func(i, k int, used uint, least int)
	pick = func(i, k int, used uint, least int) {
		if k > 0 {
			best[k] = max(best[k], least)
		}
		if k == 3 {
			return
		}
		for j := i; j < len(all); j++ {
			if all[j].between&used == 0 {
				pick(j+1, k+1, used|all[j].between, min(least, all[j].least))
			}
		}
	}
	pick(0, 0, 0, math.MaxInt)
	return best
}

// Every pair's figures against all paths there are.
func TestPairsAgainstAllPaths(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes, links := small(rt)
		p := made(t, Config{Network: described(t, nodes, links), Terminals: 20})
		if p.PairCount != nodes*(nodes-1)/2 || len(p.Pairs) != p.PairCount {
			rt.Fatalf("%d pairs of %d nodes", len(p.Pairs), nodes)
		}
		for _, x := range p.Pairs {
			best := bestSets(simple(nodes, links, numberOf(x.From), numberOf(x.To)))
			most := 0
			for k := 1; k <= 3; k++ {
				if best[k] > 0 {
					most = k
				}
			}
			if float64(x.Single) != float64(best[1]) {
				rt.Errorf("%s-%s: the widest path has %v, want %d", x.From, x.To, x.Single, best[1])
			}
			if x.Paths != most || x.Fewer != (most < 3) {
				rt.Errorf("%s-%s: %d disjoint paths, want %d", x.From, x.To, x.Paths, most)
			}
			if float64(x.Protected) > float64(best[most]) || most > 0 && x.Protected <= 0 {
				rt.Errorf("%s-%s: %v over %d paths, at best %d", x.From, x.To, x.Protected, most, best[most])
			}
		}
	})
}

func numberOf(id qsc.NodeID) (v int) { _, _ = fmt.Sscanf(string(id), "n%d", &v); return v }

// wanted places the demand again, without the planner's code.
func wanted(t testing.TB, net *topology.Network, c Config) map[[2]int]float64 {
	t.Helper()
	apps, pairs, err := net.Applications(topology.ApplicationConfig{Count: c.Terminals, Seed: c.Seed})
	if err != nil {
		t.Fatal(err)
	}
	out := map[[2]int]float64{}
	for _, p := range pairs {
		a, b := numberOf(apps[p.Master].Node), numberOf(apps[p.Slave].Node)
		if a != b {
			out[[2]int{min(a, b), max(a, b)}] += float64(p.Mean) * float64(p.Paths)
		}
	}
	return out
}

// reach numbers the parts of a network by walking it, with a node and a link left out.
func reach(nodes int, links []wire, lostNode, lostLink int) []int {
	part := make([]int, nodes)
	for v := range part {
		part[v] = -1
	}
	for start := range nodes {
		if part[start] >= 0 || start == lostNode {
			continue
		}
		part[start] = start
		for queue := []int{start}; len(queue) > 0; queue = queue[1:] {
			for i, l := range links {
				for _, to := range []int{l.a, l.b} {
					if i != lostLink && l.a+l.b-to == queue[0] && to != lostNode && part[to] < 0 {
						part[to] = start
						queue = append(queue, to)
					}
				}
			}
		}
	}
	return part
}

// Shares, bounds and cuts of random networks, each against a reckoning of its own.
func TestFlowsOfSmallNetworks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes, links := small(rt)
		net := described(t, nodes, links)
		c := Config{Network: net, Terminals: rapid.IntRange(2, 60).Draw(rt, "terminals"), Seed: rapid.Uint64Range(0, 9).Draw(rt, "seed")}
		p, demand := made(t, c), wanted(t, net, c)
		d := p.Demand
		if d.AtLeast > d.AtMost || d.Cut < 0 || d.Cut > 1 || math.IsNaN(d.AtMost+d.AtLeast+d.Autonomy+d.Lasts) {
			rt.Errorf("%+v", d)
		}
		prices := 0.0
		for _, l := range p.Links {
			prices += l.Price
			if l.Use < 0 || l.Use > 1+1e-9 || l.Load < 0 || l.Price < 0 || l.Lasts >= 0 && l.Lasts < l.Autonomy*(1-1e-9) {
				rt.Errorf("%+v", l)
			}
		}
		if d.AtMost > 0 && math.Abs(prices-1) > 1e-9 {
			rt.Errorf("prices sum to %g", prices)
		}
		near(t, "cut", d.Cut, cutShare(demand, reach(nodes, links, -1, -1), -1, nil))
		if len(p.Losses) != nodes+len(links) {
			rt.Errorf("%d losses of %d nodes and %d links", len(p.Losses), nodes, len(links))
		}
		for _, l := range p.Losses {
			checkLoss(rt, l, nodes, links, demand)
		}
		for _, a := range p.Advice {
			checkAdvice(rt, p, a, nodes, links, demand)
		}
	})
}

// cutShare is the part of the demand whose ends lie in different parts; before, if
// not nil, says what had a way at all.
func cutShare(demand map[[2]int]float64, part []int, lost int, before []int) float64 {
	cut, all := 0.0, 0.0
	for ends, amount := range demand {
		a, b := ends[0], ends[1]
		if a == lost || b == lost || before != nil && before[a] != before[b] {
			continue
		}
		all += amount
		if part[a] != part[b] {
			cut += amount
		}
	}
	if all == 0 {
		return 0
	}
	return cut / all
}

func checkLoss(t *rapid.T, l Loss, nodes int, links []wire, demand map[[2]int]float64) {
	node, link, edges := -1, -1, wires(links)
	for i, x := range links {
		if l.What == fmt.Sprintf("link n%d-n%d", x.a, x.b) {
			link, edges[i].Capacity = i, 0
		}
	}
	if link < 0 {
		_, _ = fmt.Sscanf(l.What, "node n%d", &node)
	}
	before, after := reach(nodes, links, -1, -1), reach(nodes, links, node, link)
	if want := cutShare(demand, after, node, before); math.Abs(l.Cut-want) > 1e-9 {
		t.Errorf("%s cuts off %g, want %g", l.What, l.Cut, want)
	}
	var left []flow.Demand
	for ends, amount := range demand {
		if a, b := ends[0], ends[1]; a != node && b != node && after[a] == after[b] {
			left = append(left, flow.Demand{From: a, To: b, Amount: amount})
		}
	}
	for i, x := range links {
		if x.a == node || x.b == node {
			edges[i].Capacity = 0
		}
	}
	if len(left) == 0 {
		if l.AtMost != 0 || l.AtLeast != 0 {
			t.Errorf("nothing is left without %s, but %+v", l.What, l)
		}
		return
	}
	overlap(t, l.What, l.AtLeast, l.AtMost, nodes, edges, left)
}

// overlap checks that what is solved again, to two parts in a hundred, lies between the bounds.
func overlap(t *rapid.T, what string, low, high float64, nodes int, edges []flow.Edge, demand []flow.Demand) {
	slices.SortFunc(demand, func(a, b flow.Demand) int { return (a.From-b.From)*nodes + a.To - b.To })
	r := flow.Solve(nodes, edges, demand, flow.Config{Gap: 0.02, Phases: 3000})
	const rounding = 1 + 1e-9
	if low > r.Upper*rounding || high*rounding < r.Lower || low > high*rounding {
		t.Errorf("%s: %g to %g, but it is %g to %g", what, low, high, r.Lower, r.Upper)
	}
}

func wires(links []wire) (edges []flow.Edge) {
	for _, l := range links {
		edges = append(edges, flow.Edge{A: l.a, B: l.b, Capacity: float64(l.rate)})
	}
	return edges
}

func checkAdvice(t *rapid.T, p *Plan, a Advice, nodes int, links []wire, demand map[[2]int]float64) {
	edges, part := wires(links), reach(nodes, links, -1, -1)
	for _, id := range a.Double {
		i := slices.IndexFunc(p.Links, func(l Link) bool { return l.ID == id })
		edges[i].Capacity *= 2
	}
	if len(a.Between) == 2 {
		edges = append(edges, flow.Edge{A: numberOf(a.Between[0]), B: numberOf(a.Between[1]), Capacity: float64(a.Rate)})
	}
	var left []flow.Demand
	for ends, amount := range demand {
		if part[ends[0]] == part[ends[1]] {
			left = append(left, flow.Demand{From: ends[0], To: ends[1], Amount: amount})
		}
	}
	overlap(t, a.What, a.AtLeast, 1.09*a.AtLeast, nodes, edges, left)
	if math.Abs(a.Gain*p.Demand.AtLeast-a.AtLeast) > 1e-9*a.AtLeast || a.Gain < 1.02 {
		t.Errorf("%s: a gain of %g", a.What, a.Gain)
	}
}
