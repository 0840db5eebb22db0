package coding

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func name(i int) qsc.NodeID { return qsc.NodeID(fmt.Sprintf("n%d", i)) }

// connected draws a connected graph.
func connected(r *rand.Rand, nodes, extra int, cost func() float64) (links []Link) {
	for i := 1; i < nodes; i++ {
		links = append(links, Link{[2]qsc.NodeID{name(i), name(r.IntN(i))}, cost()})
	}
	for range extra {
		a, b := r.IntN(nodes), r.IntN(nodes)
		if a != b {
			links = append(links, Link{[2]qsc.NodeID{name(a), name(b)}, cost()})
		}
	}
	return links
}

func one() float64 { return 1 }

// groups returns every set of two members or more.
func groups(nodes int) (all [][]qsc.NodeID) {
	for set := range 1 << nodes {
		var g []qsc.NodeID
		for i := range nodes {
			if set>>i&1 == 1 {
				g = append(g, name(i))
			}
		}
		if len(g) >= 2 {
			all = append(all, g)
		}
	}
	return all
}

func plan(t *testing.T, links []Link, members []qsc.NodeID) *Plan {
	t.Helper()
	p, err := Group(links, members)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every member, and every relay of the tree, comes by the same key.
func TestMembersComputeTheKey(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		links := connected(r, 7, 5, func() float64 { return 1 + r.Float64() })
		for _, members := range groups(7) {
			p := plan(t, links, members)
			keys := make([]byte, len(links))
			for i := range keys {
				keys[i] = byte(r.Uint32())
			}
			said := make([]byte, len(p.Announce))
			for i, a := range p.Announce {
				if !touches(links[p.Links[a.Known]], a.Node) || !touches(links[p.Links[a.Next]], a.Node) {
					t.Fatalf("%s announces a link that is not its own", a.Node)
				}
				said[i] = keys[p.Links[a.Known]] ^ keys[p.Links[a.Next]]
			}
			if !touches(links[p.Links[0]], members[0]) || len(p.Announce) != len(p.Links)-1 {
				t.Fatal("the group key is not a link key of the first member, or announcements are missing")
			}
			for _, n := range append(p.Relays(), members...) {
				link, sum, err := p.Sum(n)
				if err != nil || !touches(links[p.Links[link]], n) {
					t.Fatalf("%s begins at a link that is not its own: %v", n, err)
				}
				k := keys[p.Links[link]]
				for _, i := range sum {
					k ^= said[i]
				}
				if k != keys[p.Links[0]] {
					t.Fatalf("%s computes another key", n)
				}
			}
		}
	}
}

func touches(l Link, n qsc.NodeID) bool { return l.Ends[0] == n || l.Ends[1] == n }

// By rank, for all sets of nodes: who is on the tree knows the key, everybody
// else together with all announcements knows nothing.
func TestOnlyTheTreeLearnsTheKey(t *testing.T) {
	const nodes = 6
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		links := connected(r, nodes, 4, one)
		for _, members := range groups(nodes) {
			p := plan(t, links, members)
			on := append(p.Relays(), members...)
			for set := range 1 << nodes {
				var pool []qsc.NodeID
				tree := false
				for i := range nodes {
					if set>>i&1 == 1 {
						pool = append(pool, name(i))
						tree = tree || slices.Contains(on, name(i))
					}
				}
				if p.Learns(pool...) != tree {
					t.Fatalf("nodes %v of which on the tree: %t; learn the key: %t", pool, tree, !tree)
				}
			}
		}
	}
}

// By enumeration of all keys: given everything that was announced, the group key
// is 0 and 1 equally often. So the rank means what it says.
func TestEavesdropperByEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		links := connected(r, 7, 3, one)
		p := plan(t, links, groups(7)[r.IntN(100)])
		count := map[uint64][2]int{}
		for keys := range uint64(1) << len(p.Links) {
			var said uint64
			for i, a := range p.Announce {
				said |= (keys>>a.Known ^ keys>>a.Next) & 1 << i
			}
			c := count[said]
			c[keys&1]++
			count[said] = c
		}
		for _, c := range count {
			if c[0] != c[1] {
				t.Fatal("the announcements tell something of the group key")
			}
		}
	}
}

// A key that was announced to death: the rank sees a leak.
func TestLearnsSeesALeak(t *testing.T) {
	links := []Link{{[2]qsc.NodeID{"a", "r"}, 1}, {[2]qsc.NodeID{"r", "b"}, 1}}
	p := plan(t, links, []qsc.NodeID{"a", "b"})
	if p.Learns() || p.Learns("x") || !p.Learns("r") {
		t.Fatal("the rank is wrong for a single path")
	}
	p.Announce = append(p.Announce, Announcement{"r", 0, 0})
	if p.Learns() {
		t.Fatal("zero tells nothing")
	}
	p.ends = append(p.ends, [2]qsc.NodeID{"x", "y"})
	p.Links = append(p.Links, 2)
	p.Announce = append(p.Announce, Announcement{"r", 1, 2})
	if p.Learns() || !p.Learns("x") {
		t.Fatal("a stranger's link that was added to the others is not seen")
	}
}

// best is the cheapest tree by trying all sets of links.
func best(g *graph) float64 {
	least := math.Inf(1)
	for set := range 1 << len(g.links) {
		var pick []int
		cost := 0.0
		for i := range g.links {
			if set>>i&1 == 1 {
				pick = append(pick, i)
				cost += g.links[i].Cost
			}
		}
		if cost < least && g.joined(pick) {
			least = cost
		}
	}
	return least
}

func (g *graph) joined(pick []int) bool {
	root := make([]int, len(g.names))
	for i := range root {
		root[i] = i
	}
	find := func(v int) int {
		for root[v] != v {
			v = root[v]
		}
		return v
	}
	for _, l := range pick {
		root[find(g.ends[l][0])] = find(g.ends[l][1])
	}
	return !slices.ContainsFunc(g.members, func(m int) bool { return find(m) != find(g.members[0]) })
}

// The tree against the cheapest there is, and the bound below both.
func TestTreeAndBoundAgainstTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 25 {
		links := connected(r, 6, 4, func() float64 { return float64(1 + r.IntN(4)) })
		for _, members := range groups(6) {
			g, err := newGraph(links, members)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Compare(links, members)
			if err != nil {
				t.Fatal(err)
			}
			k, opt := float64(len(members)), best(g)
			const slack = 1e-9
			if c.Tree > 2*(1-1/k)*opt+slack || c.Tree < opt-slack || c.Least > opt+slack || c.Separate < c.Tree-slack {
				t.Fatalf("%d members: tree %v, best %v, bound %v, separate %v", len(members), c.Tree, opt, c.Least, c.Separate)
			}
			if len(members) == 2 && (c.Tree != opt || c.Least != opt || c.Separate != opt) {
				t.Fatalf("a pair: tree %v, best %v, bound %v, separate %v", c.Tree, opt, c.Least, c.Separate)
			}
			if p := plan(t, links, members); p.Cost != c.Tree {
				t.Fatalf("the plan costs %v, the comparison says %v", p.Cost, c.Tree)
			}
		}
	}
}

// The proof that one source with an independent key for each of many saves
// nothing: the cuts between the levels of distance share no link, and what must
// cross them adds up to the sum of all paths.
func TestLevelsBoundOneSourceToMany(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 200 {
		links := connected(r, 12, 8, one)
		g, err := newGraph(links, []qsc.NodeID{name(0), name(1)})
		if err != nil {
			t.Fatal(err)
		}
		cuts := make([]int, len(links))
		sum, bound := 0.0, 0.0
		for level := range 12 {
			for l, e := range g.ends {
				if (g.dist[0][e[0]] > float64(level)) != (g.dist[0][e[1]] > float64(level)) {
					cuts[l]++
				}
			}
			for _, d := range g.dist[0] {
				if d > float64(level) {
					bound++ // one independent bit crosses this cut
				}
			}
		}
		for _, d := range g.dist[0] {
			sum += d
		}
		if slices.Max(cuts) > 1 || sum != bound {
			t.Fatalf("a link lies in %d cuts; the paths cost %v, the cuts demand %v", slices.Max(cuts), sum, bound)
		}
	}
}

// What pairs cost, and what they cannot cost less than.
func TestPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 100 {
		links := connected(r, 10, 6, func() float64 { return float64(1 + r.IntN(3)) })
		var star, mesh [][2]qsc.NodeID
		for i := range 10 {
			for j := range i {
				mesh = append(mesh, [2]qsc.NodeID{name(i), name(j)})
			}
			if i != 4 {
				star = append(star, [2]qsc.NodeID{name(i), name(4)})
			}
		}
		if paths, least, err := Pairs(links, star); err != nil || paths != least {
			t.Fatalf("one source to all: %v, at least %v, %v", paths, least, err)
		}
		if paths, least, err := Pairs(links, mesh); err != nil || paths < least || least <= 0 {
			t.Fatalf("all pairs: %v, at least %v, %v", paths, least, err)
		}
	}
	path := connected(rand.New(rand.NewPCG(1, 1)), 2, 0, one)
	if _, _, err := Pairs(path, [][2]qsc.NodeID{{"n0", "x"}}); !qsc.IsKind(err, qsc.NotFound) {
		t.Error(err)
	}
	if _, _, err := Pairs(path, [][2]qsc.NodeID{{"n0", "n0"}}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error(err)
	}
}

func TestGroupRefuses(t *testing.T) {
	ab := []Link{{[2]qsc.NodeID{"a", "b"}, 1}, {[2]qsc.NodeID{"c", "d"}, 1}}
	for _, c := range []struct {
		links   []Link
		members []qsc.NodeID
		want    qsc.Kind
	}{
		{ab, nil, qsc.Invalid}, {ab, []qsc.NodeID{"a"}, qsc.Invalid}, {ab, []qsc.NodeID{"a", "a"}, qsc.Invalid},
		{ab, []qsc.NodeID{"a", "b", "c"}, qsc.NotFound}, {ab, []qsc.NodeID{"a", "x"}, qsc.NotFound},
		{[]Link{{[2]qsc.NodeID{"a", "b"}, 0}}, []qsc.NodeID{"a", "b"}, qsc.Invalid},
		{[]Link{{[2]qsc.NodeID{"a", "b"}, math.NaN()}}, []qsc.NodeID{"a", "b"}, qsc.Invalid},
		{[]Link{{[2]qsc.NodeID{"a", "a"}, 1}}, []qsc.NodeID{"a", "b"}, qsc.Invalid},
	} {
		if _, err := Group(c.links, c.members); !qsc.IsKind(err, c.want) {
			t.Errorf("%v: %v, want %v", c.members, err, c.want)
		}
		if _, err := Compare(c.links, c.members); !qsc.IsKind(err, c.want) {
			t.Errorf("compare %v: %v, want %v", c.members, err, c.want)
		}
	}
	if _, _, err := plan(t, ab, []qsc.NodeID{"a", "b"}).Sum("c"); !qsc.IsKind(err, qsc.NotFound) {
		t.Error(err)
	}
}
