package flow

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"
)

// oracle solves the same programme by gonum's simplex: maximise λ subject to flow
// conservation of each demand and the edges' capacities.
func oracle(t *testing.T, nodes int, edges []Edge, demands []Demand) float64 {
	t.Helper()
	arcs := 2 * len(edges)
	vars := len(demands)*arcs + 1 + len(edges) // flows, λ, slacks
	lambda := len(demands) * arcs
	rows := len(demands)*(nodes-1) + len(edges)
	a, b, c := mat.NewDense(rows, vars, nil), make([]float64, rows), make([]float64, vars)
	c[lambda] = -1
	row := 0
	for k, d := range demands {
		for v := range nodes {
			if v == d.To { // follows from the others
				continue
			}
			for e, x := range edges {
				for dir, from := range []int{x.A, x.B} {
					to := x.A + x.B - from
					at := k*arcs + 2*e + dir
					if from == v {
						a.Set(row, at, a.At(row, at)+1)
					}
					if to == v {
						a.Set(row, at, a.At(row, at)-1)
					}
				}
			}
			if v == d.From {
				a.Set(row, lambda, -d.Amount)
			}
			row++
		}
	}
	for e, x := range edges {
		for k := range demands {
			a.Set(row, k*arcs+2*e, 1)
			a.Set(row, k*arcs+2*e+1, 1)
		}
		a.Set(row, lambda+1+e, 1)
		b[row] = x.Capacity
		row++
	}
	f, _, err := lp.Simplex(c, a, b, 1e-9, nil)
	if err != nil {
		t.Fatalf("the oracle gives up: %v", err)
	}
	return -f
}

func network(r *rand.Rand, nodes, extra int) (edges []Edge) {
	for v := 1; v < nodes; v++ {
		edges = append(edges, Edge{v, r.IntN(v), 0.2 + r.Float64()})
	}
	for range extra {
		a, b := r.IntN(nodes), r.IntN(nodes)
		if a != b {
			edges = append(edges, Edge{a, b, 0.2 + r.Float64()})
		}
	}
	return edges
}

func TestAgainstSimplex(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			edges := network(r, 6, 5)
			var demands []Demand
			for range 4 {
				a := r.IntN(6)
				demands = append(demands, Demand{a, (a + 1 + r.IntN(5)) % 6, 0.1 + r.Float64()})
			}
			want := oracle(t, 6, edges, demands)
			got := Solve(6, edges, demands, Config{Gap: 0.03, Phases: 5000})
			if got.Lower > want*(1+1e-6) || got.Upper < want*(1-1e-6) {
				t.Errorf("%g to %g does not hold the optimum %g", got.Lower, got.Upper, want)
			}
			if got.Upper > 1.031*got.Lower {
				t.Errorf("%g to %g after %d phases", got.Lower, got.Upper, got.Phases)
			}
		})
	}
}

// By hand: a ring of four with unit links; the two diagonals want 1 each. Each can
// have 1 over both ways, but they share all four links: 1 in all is... two units
// of capacity a hop, four links, two hops each: λ = 1.
func TestRing(t *testing.T) {
	ring := []Edge{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}, {3, 0, 1}}
	r := Solve(4, ring, []Demand{{0, 2, 1}, {1, 3, 1}, {2, 2, 5}}, Config{Gap: 0.01, Phases: 5000})
	if r.Lower > 1 || r.Upper < 1 || r.Upper > 1.011*r.Lower {
		t.Errorf("%+v", r)
	}
	sum := 0.0
	for i, u := range r.Use {
		if u < 0.9 || u > 1 {
			t.Errorf("link %d is used to %g", i, u)
		}
		sum += r.Price[i]
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("prices sum to %g", sum)
	}
	// Without one link three are left in a row: the middle one carries both.
	without, cut := NewBounds(4, ring, []Demand{{0, 2, 1}, {1, 3, 1}}, []float64{0.01, 0.98, 0.005, 0.005}).Without([]int{3}, -1)
	if without < 0.5-1e-9 || without > 0.53 || cut != 0 {
		t.Errorf("without a link at most %g, want 0.5; cut off %g", without, cut)
	}
	two := NewBounds(4, ring[:2], []Demand{{0, 2, 3}, {0, 3, 1}}, []float64{0.5, 0.5})
	if most, cut := two.Without(nil, -1); cut != 0.25 || math.Abs(most-1.0/3) > 1e-9 {
		t.Errorf("cut off %g, want a quarter; at most %g, want a third", cut, most)
	}
	if most, cut := two.Without([]int{0, 1}, 1); cut != 1 || !math.IsInf(most, 1) {
		t.Errorf("without the middle: cut off %g, at most %g", cut, most)
	}
	if most, cut := two.Without(nil, 0); cut != 0 || !math.IsInf(most, 1) {
		t.Errorf("without who wants all: cut off %g, at most %g", cut, most)
	}
}

func TestNothing(t *testing.T) {
	if r := Solve(3, []Edge{{0, 1, 1}}, []Demand{{0, 2, 1}}, Config{}); r.Lower != 0 || r.Upper != 0 {
		t.Errorf("cut off: %+v", r)
	}
	if r := Solve(3, []Edge{{0, 1, 0}}, []Demand{{0, 1, 1}}, Config{}); r.Upper != 0 {
		t.Errorf("a link of no capacity: %+v", r)
	}
	if r := Solve(3, nil, nil, Config{}); !math.IsInf(r.Lower, 1) {
		t.Errorf("nothing wanted: %+v", r)
	}
}

// A tree found from an old order is the shortest there is, whatever the lengths
// have become since, and lists every node behind the one before it.
func TestAgain(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		edges := network(r, 40, 30)
		g, length := newGraph(40, edges), make([]float64, len(edges))
		change := func(spread float64) {
			for e := range length {
				length[e] = math.Exp(spread * r.NormFloat64())
			}
		}
		change(0.1)
		old, now, want := newTree(40), newTree(40), newTree(40)
		source := r.IntN(40)
		g.shortest(old, source, length)
		order := append([]int32(nil), old.order...)
		for _, spread := range []float64{0.2, 1, 30, 0} { // at 30 lengths vanish beside others
			change(spread)
			g.again(now, source, length, order)
			g.shortest(want, source, length)
			place := make([]int, 40)
			for i, v := range now.order {
				place[v] = i
			}
			for v := range now.dist {
				if now.dist[v] != want.dist[v] || v != source && place[now.from[v]] >= place[v] {
					t.Fatalf("seed %d, spread %g, node %d: %g, want %g; place %d, that before %d", seed, spread, v, now.dist[v], want.dist[v], place[v], place[now.from[v]])
				}
			}
			if len(now.order) != 40 {
				t.Fatalf("%d nodes in the order", len(now.order))
			}
		}
	}
}

// Whatever prices it begins with, the bounds hold and close; it ends early when
// what there is is not wanted.
func TestBeginning(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	edges := network(r, 12, 14)
	var demands []Demand
	for range 30 {
		demands = append(demands, Demand{r.IntN(12), r.IntN(12), 0.1 + r.Float64()})
	}
	plain := Solve(12, edges, demands, Config{Gap: 0.01, Phases: 10000})
	for _, price := range [][]float64{plain.Price, make([]float64, len(edges)), {1}, plain.Price[:5]} {
		x := Solve(12, edges, demands, Config{Gap: 0.05, Phases: 4000, Price: price})
		if x.Lower > plain.Upper || x.Upper < plain.Lower || x.Upper > 1.051*x.Lower {
			t.Errorf("%g to %g, want %g to %g", x.Lower, x.Upper, plain.Lower, plain.Upper)
		}
	}
	if x := Solve(12, edges, demands, Config{Gap: 0.01, Phases: 10000, Least: 2 * plain.Upper}); x.Upper > 2*plain.Upper || x.Lower > plain.Upper || x.Phases >= plain.Phases {
		t.Errorf("%g to %g after %d phases, %d in all", x.Lower, x.Upper, x.Phases, plain.Phases)
	}
}

func BenchmarkSolve(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	edges := network(r, 100, 150)
	var demands []Demand
	for range 4000 {
		demands = append(demands, Demand{r.IntN(100), r.IntN(100), 0.1 + r.Float64()})
	}
	var res Result
	for b.Loop() {
		res = Solve(100, edges, demands, Config{})
	}
	b.ReportMetric(float64(res.Phases), "phases")
	b.ReportMetric(res.Upper/res.Lower, "gap")
}
