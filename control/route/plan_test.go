package route

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"pgregory.net/rapid"
)

func drawGraph(t *rapid.T, most int) *Graph {
	n := rapid.IntRange(2, most).Draw(t, "nodes")
	pairs := n * (n - 1) / 2
	mask := rapid.Uint64Range(0, 1<<pairs-1).Draw(t, "links")
	if rapid.Bool().Draw(t, "dense") {
		mask |= rapid.Uint64Range(0, 1<<pairs-1).Draw(t, "more")
	}
	return graphOf(n, mask, rough(rapid.Uint64().Draw(t, "costs")))
}

// Larger graphs, by chance, with directions that are shut.
func TestRandomGraphs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := drawGraph(rt, 7)
		for _, a := range rapid.SliceOfN(rapid.IntRange(0, max(0, len(g.cost)-1)), 0, 4).Draw(rt, "shut") {
			if len(g.cost) > 0 {
				g.cost[a] = unusable
			}
		}
		if len(newOracle(g, 0, int32(len(g.nodes)-1)).paths) > 90 {
			return // the oracle is slow
		}
		compare(rt, g, 0, int32(len(g.nodes)-1), 3)
	})
}

func drawState(t *rapid.T) State {
	return State{
		Up:    rapid.IntRange(0, 3).Draw(t, "up") > 0,
		Stock: [2]int64{rapid.Int64Range(0, 4).Draw(t, "there") << 20, rapid.Int64Range(0, 4).Draw(t, "back") << 20},
		Size:  4 << 20,
		Rate:  rapid.SampledFrom([]qsc.BitRate{0, 1e3, 1e6}).Draw(t, "rate"),
		Avoid: [2]bool{rapid.Bool().Draw(t, "avoid"), false},
	}
}

// Whatever happens to links and nodes, after Update every path is there, demands
// that need not change do not, and Disjoint tells the truth of the graph as it
// is now.
func TestUpdateKeepsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := drawGraph(rt, 6)
		for l := range g.ids {
			g.SetLink(g.ids[l], State{Up: true, Stock: [2]int64{1 << 20, 1 << 20}, Size: 4 << 20, Rate: 1e6})
		}
		var demands []Demand
		for a := range g.nodes {
			for b := range g.nodes {
				if a != b {
					demands = append(demands, Demand{g.nodes[a], g.nodes[b], rapid.IntRange(1, 3).Draw(rt, "paths")})
				}
			}
		}
		p, err := g.Compute(demands)
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			for range rapid.IntRange(1, 3).Draw(rt, "changes") {
				disturb(rt, g)
			}
			before := snapshot(p)
			changed := p.Update()
			checkUpdate(rt, p, demands, before, changed)
		}
		p.Refresh(len(demands))
		fresh, _ := g.Compute(demands)
		if !reflect.DeepEqual(snapshot(p), snapshot(fresh)) {
			rt.Fatal("Refresh of all differs from Compute")
		}
	})
}

func disturb(t *rapid.T, g *Graph) {
	if len(g.ids) == 0 || rapid.IntRange(0, 4).Draw(t, "node") == 0 {
		g.SetNode(rapid.SampledFrom(g.nodes).Draw(t, "which"), rapid.Bool().Draw(t, "answers"))
		return
	}
	g.SetLink(rapid.SampledFrom(g.ids).Draw(t, "link"), drawState(t))
}

func snapshot(p *Plan) []Routes {
	all := make([]Routes, p.Len())
	for i := range all {
		all[i] = p.Routes(i)
		all[i].Cost, all[i].Separate = 0, 0 // as of when they were computed
	}
	return all
}

func checkUpdate(t *rapid.T, p *Plan, demands []Demand, before []Routes, changed []int) {
	w := newSearch(p.g)
	for i, d := range demands {
		now := p.Routes(i)
		checkRoutes(t, p.g, d, now)
		w.plant(p.g.index[d.From], p.g.index[d.To])
		fresh := w.find(p.g.index[d.To], d.Paths)
		if now.Disjoint != fresh.whole || (len(now.Paths) == 0) != (fresh.paths == 0) {
			t.Fatalf("%+v: %d paths, disjoint %t; anew %d, %t", d, len(now.Paths), now.Disjoint, fresh.paths, fresh.whole)
		}
		same := reflect.DeepEqual(before[i].Paths, now.Paths) && before[i].Disjoint == now.Disjoint
		if same == slices.Contains(changed, i) {
			t.Fatalf("%+v: changed %t, reported %t", d, !same, same)
		}
	}
}

// A cut moves those that used the link and nobody else.
func TestCutTouchesItsUsers(t *testing.T) {
	n, g := generated(t, 100)
	demands := applications(t, n, 2_000, 3)
	p, err := g.Compute(demands)
	if err != nil {
		t.Fatal(err)
	}
	l := busiest(p)
	users := map[int]bool{}
	for i := range demands {
		if slices.Contains(p.Links(i, nil), l) {
			users[i] = true
		}
	}
	before := snapshot(p)
	if changed, err := g.SetLink(g.Link(l), State{}); !changed || err != nil {
		t.Fatal(changed, err)
	}
	moved := p.Update()
	if len(moved) != len(users) || len(users) == 0 {
		t.Errorf("%d used the link, %d moved", len(users), len(moved))
	}
	for i, r := range snapshot(p) {
		checkRoutes(t, g, demands[i], r)
		if !users[i] && !reflect.DeepEqual(r, before[i]) {
			t.Fatalf("demand %d did not use the link and moved", i)
		}
	}
	if again := p.Update(); again != nil {
		t.Errorf("nothing happened and %d moved", len(again))
	}
}

// The number of workers does not show.
func TestWorkersDoNotShow(t *testing.T) {
	n, g := generated(t, 100)
	demands := applications(t, n, 1_000, 0)
	p, _ := g.Compute(demands)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	q, _ := g.Compute(demands)
	if !reflect.DeepEqual(snapshot(p), snapshot(q)) {
		t.Error("one worker finds other paths than many")
	}
}

func TestComputeRefuses(t *testing.T) {
	g := graphOf(3, 1, func(int) int32 { return 1 }) // 0-1, and 2 alone
	for _, c := range []struct {
		d    Demand
		kind qsc.Kind
	}{
		{Demand{"0", "9", 1}, qsc.NotFound}, {Demand{"9", "0", 1}, qsc.NotFound}, {Demand{"0", "0", 1}, qsc.Invalid},
		{Demand{"0", "1", -1}, qsc.Invalid}, {Demand{"0", "1", keymgmt.MaxPaths + 1}, qsc.Invalid},
	} {
		if _, err := g.Compute([]Demand{{"0", "1", 1}, c.d}); !qsc.IsKind(err, c.kind) {
			t.Errorf("%+v: %v", c.d, err)
		}
		if _, err := g.Route(c.d); !qsc.IsKind(err, c.kind) {
			t.Errorf("%+v: %v", c.d, err)
		}
	}
	if _, err := g.Route(Demand{"0", "2", 1}); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("no path: %v", err)
	}
	if r, err := g.Route(Demand{From: "0", To: "1"}); err != nil || len(r.Paths) != 1 || !r.Disjoint {
		t.Errorf("no number of paths is one: %+v, %v", r, err)
	}
	if r, err := g.Route(Demand{"0", "1", 3}); err != nil || len(r.Paths) != 1 || r.Disjoint || r.Separate != 1 {
		t.Errorf("a single link is one path: %+v, %v", r, err)
	}
	_, errLink := g.SetLink("0-2", State{})
	_, errState := g.State("0-2")
	_, errNode := g.SetNode("9", true)
	for _, err := range []error{errLink, errState, errNode} {
		if !qsc.IsKind(err, qsc.NotFound) {
			t.Errorf("unknown: %v", err)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	ab := Link{ID: "l", Ends: [2]qsc.NodeID{"a", "b"}}
	for name, c := range map[string]struct {
		nodes []qsc.NodeID
		links []Link
	}{
		"node twice":    {[]qsc.NodeID{"a", "a"}, nil},
		"link twice":    {[]qsc.NodeID{"a", "b", "c"}, []Link{ab, {ID: "l", Ends: [2]qsc.NodeID{"b", "c"}}}},
		"joined twice":  {[]qsc.NodeID{"a", "b"}, []Link{ab, {ID: "m", Ends: [2]qsc.NodeID{"b", "a"}}}},
		"unknown end":   {[]qsc.NodeID{"a"}, []Link{ab}},
		"to itself":     {[]qsc.NodeID{"a"}, []Link{{ID: "l", Ends: [2]qsc.NodeID{"a", "a"}}}},
		"too many":      {make([]qsc.NodeID, MaxNodes+1), nil},
		"too many more": {nil, make([]Link, MaxLinks+1)},
	} {
		if _, err := Build(c.nodes, c.links); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCost(t *testing.T) {
	full := State{Up: true, Stock: [2]int64{64 << 20, 64 << 20}, Size: 64 << 20, Rate: 1e6}
	price := func(change func(*State)) int32 {
		s := full
		change(&s)
		c, ok := s.Cost(0)
		if !ok {
			return math.MaxInt32
		}
		return c
	}
	// Each is dearer than the one before.
	steps := []struct {
		name   string
		change func(*State)
	}{
		{"full", func(*State) {}},
		{"half full", func(s *State) { s.Stock[0] /= 2 }},
		{"half full and draining", func(s *State) { s.Stock[0] /= 2; s.Trend[0] = -60_000 }},
		{"empty, with a rate", func(s *State) { s.Stock[0] = 0; s.Rate = 1e5 }},
		{"empty and slow", func(s *State) { s.Stock[0] = 0; s.Rate = 1e3 }},
		{"hardly any rate", func(s *State) { s.Stock[0] = 0; s.Rate = 1 }},
		{"soon dry", func(s *State) { s.Avoid[0] = true }},
		{"empty, no rate", func(s *State) { s.Stock[0] = 0; s.Rate = 0 }},
	}
	for i := 1; i < len(steps); i++ {
		if a, b := price(steps[i-1].change), price(steps[i].change); a >= b {
			t.Errorf("%s costs %d, %s %d", steps[i-1].name, a, steps[i].name, b)
		}
	}
	if price(func(s *State) { s.Up = false }) != math.MaxInt32 {
		t.Error("key goes over a link that is down")
	}
	if c := price(func(s *State) { s.Stock[1] = 0; s.Trend[1] = -1e9; s.Avoid[1] = true }); c != price(func(*State) {}) {
		t.Error("one direction pays for the other")
	}
	if c := price(func(*State) {}); c < hopCost {
		t.Errorf("a hop for %d", c)
	}
}

func TestCostIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Up: true, Stock: [2]int64{rapid.Int64().Draw(t, "stock")}, Size: rapid.Int64().Draw(t, "size"),
			Rate: qsc.BitRate(rapid.Float64().Draw(t, "rate")), Trend: [2]float64{rapid.Float64().Draw(t, "trend")}, Avoid: [2]bool{rapid.Bool().Draw(t, "avoid")}}
		if c, ok := s.Cost(0); ok && (c < hopCost || c > maxCost) {
			t.Fatalf("%+v costs %d", s, c)
		}
	})
}

// A price follows small changes only when they have added up.
func TestPricesDoNotSwing(t *testing.T) {
	g, err := Build([]qsc.NodeID{"a", "b"}, []Link{{"l", [2]qsc.NodeID{"a", "b"}, State{Up: true, Stock: [2]int64{4 << 20, 4 << 20}, Size: 4 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	changes := 0
	for stock := int64(4 << 20); stock >= 0; stock -= 64 << 10 {
		changed, err := g.SetLink("l", State{Up: true, Stock: [2]int64{stock, 4 << 20}, Size: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			changes++
		}
	}
	if changes < 4 || changes > 20 {
		t.Errorf("the price of a draining stock changed %d times in 64 reports", changes)
	}
	if _, ok := g.states[0].Cost(0); ok || g.cost[0] != unusable || g.cost[1] == unusable {
		t.Error("an empty stock is still used, or the other direction is not")
	}
}

func ExampleGraph_Route() {
	g, _ := Build([]qsc.NodeID{"a", "b", "c", "d"}, []Link{
		{"ab", [2]qsc.NodeID{"a", "b"}, State{Up: true, Rate: 1e6}},
		{"bd", [2]qsc.NodeID{"b", "d"}, State{Up: true, Rate: 1e6}},
		{"ac", [2]qsc.NodeID{"a", "c"}, State{Up: true, Rate: 1e5}},
		{"cd", [2]qsc.NodeID{"c", "d"}, State{Up: true, Rate: 1e5}},
	})
	r, _ := g.Route(Demand{From: "a", To: "d", Paths: 2})
	fmt.Println(r.Paths, r.Disjoint)
	// Output: [[a b d] [a c d]] true
}
