package route

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Demand asks for paths between two nodes.
type Demand struct {
	From, To qsc.NodeID
	Paths    int // m, 1 to keymgmt.MaxPaths; 0 means 1
}

// Routes are the paths of a demand, the cheapest first.
type Routes struct {
	Paths    []keymgmt.Path // distinct; none when nothing leads there
	Disjoint bool           // as many paths as asked for, no two of which share a node but the ends
	Separate int            // disjoint paths that the graph has, at most as many as asked for
	Cost     int64          // of all paths, in sixteenths of a hop
}

// demand is a Demand in numbers.
type demand struct {
	from, to int32
	m        int32
}

func (g *Graph) demand(op string, d Demand) (demand, error) {
	from, okFrom := g.index[d.From]
	to, okTo := g.index[d.To]
	switch {
	case !okFrom:
		return demand{}, qsc.E(op, qsc.NotFound, string(d.From), "the graph has no such node")
	case !okTo:
		return demand{}, qsc.E(op, qsc.NotFound, string(d.To), "the graph has no such node")
	case from == to:
		return demand{}, invalid(op, string(d.From), "a node needs no path to itself")
	case d.Paths < 0 || d.Paths > keymgmt.MaxPaths:
		return demand{}, invalid(op, string(d.From), "%d paths asked for; from 1 to %d can be", d.Paths, keymgmt.MaxPaths)
	}
	return demand{from, to, int32(max(d.Paths, 1))}, nil
}

// Route finds the paths of one demand. Errors: NotFound for an unknown node and
// when no path leads there; Invalid for an impossible demand.
func (g *Graph) Route(d Demand) (Routes, error) {
	n, err := g.demand("route.Route", d)
	if err != nil {
		return Routes{}, err
	}
	w := newSearch(g)
	w.plant(n.from, n.to)
	f := w.find(n.to, int(n.m))
	if f.paths == 0 {
		return Routes{}, qsc.E("route.Route", qsc.NotFound, string(d.To),
			"no path leads there from %s: see which links and nodes are down or out of key", d.From)
	}
	return g.routes(n, f), nil
}

func (g *Graph) routes(d demand, f found) Routes {
	return Routes{g.paths(d, f), f.whole, int(f.separate), f.cost}
}

// Plan is the routes of many demands on one graph. It is for one goroutine.
type Plan struct {
	g       *Graph
	demands []demand
	found   []found
	version uint64 // of the graph, as far as it was taken in
	next    int    // where Refresh goes on
}

// Compute finds the routes of all demands. A demand that nothing leads to has no
// paths. Errors: NotFound for an unknown node, Invalid for an impossible demand;
// both name the first.
func (g *Graph) Compute(demands []Demand) (*Plan, error) {
	p := &Plan{g: g, demands: make([]demand, len(demands)), found: make([]found, len(demands)), version: g.version}
	all := make([]int32, len(demands))
	for i, d := range demands {
		n, err := g.demand("route.Compute", d)
		if err != nil {
			return nil, err
		}
		p.demands[i], all[i] = n, int32(i)
	}
	p.compute(all)
	return p, nil
}

// Len returns the number of demands.
func (p *Plan) Len() int { return len(p.demands) }

// Routes returns the paths of demand i, in the order given to Compute. They are
// the caller's.
func (p *Plan) Routes(i int) Routes { return p.g.routes(p.demands[i], p.found[i]) }

// Links appends the numbers of the links that the paths of demand i use, one
// entry for every path that does, and returns the result.
func (p *Plan) Links(i int, to []int32) []int32 {
	for _, a := range p.found[i].arcs {
		to = append(to, a>>1)
	}
	return to
}

// Update takes in what SetLink and SetNode have changed since the last call.
// Demands are computed again whose paths use a link that became dearer or
// unusable and, if any came back, those that may get more disjoint paths by it.
// All others keep their paths, even where there would be cheaper ones now:
// Refresh finds those. It returns the demands whose paths are different, in
// rising order.
func (p *Plan) Update() []int {
	var again []int32
	more := p.gains()
	for i := range p.found {
		if more(i) || p.worse(p.found[i].arcs) {
			again = append(again, int32(i))
		}
	}
	p.version = p.g.version
	return p.replace(again)
}

// gains returns a test of which demands may get more disjoint paths since links
// came back: those that have fewer than they ask for and than their ends' links
// allow.
func (p *Plan) gains() func(i int) bool {
	if !slices.ContainsFunc(p.g.opened, func(v uint64) bool { return v > p.version }) {
		return func(int) bool { return false }
	}
	return func(i int) bool {
		d, f := p.demands[i], &p.found[i]
		return !f.whole && int(f.separate) < min(int(d.m), p.g.ways(d.from, d.to))
	}
}

func (p *Plan) worse(arcs []int32) bool {
	for _, a := range arcs {
		if p.g.raised[a] > p.version {
			return true
		}
	}
	return false
}

// Refresh computes the next n demands again, going round all of them, and
// returns those whose paths are different, in rising order. Called now and then
// it brings demands back to better paths.
func (p *Plan) Refresh(n int) []int {
	again := make([]int32, 0, min(n, len(p.demands)))
	for range min(n, len(p.demands)) {
		again = append(again, int32(p.next))
		p.next = (p.next + 1) % len(p.demands)
	}
	return p.replace(again)
}

// replace computes demands again and returns which of them came out different.
func (p *Plan) replace(again []int32) []int {
	old := make([]found, len(again))
	for k, i := range again {
		old[k] = p.found[i]
	}
	p.compute(slices.Clone(again))
	var changed []int
	for k, i := range again {
		if now := p.found[i]; !slices.Equal(old[k].arcs, now.arcs) || old[k].whole != now.whole {
			changed = append(changed, int(i))
		}
	}
	slices.Sort(changed)
	return changed
}

// compute finds the routes of some demands, those of one source together. Every
// demand writes to its own place, so the workers' number does not show.
func (p *Plan) compute(which []int32) {
	slices.SortFunc(which, func(a, b int32) int {
		return cmp.Or(cmp.Compare(p.demands[a].from, p.demands[b].from), cmp.Compare(a, b))
	})
	groups := p.bySource(which)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(groups)) {
		workers.Go(func() {
			w := newSearch(p.g)
			for k := next.Add(1) - 1; k < int64(len(groups)); k = next.Add(1) - 1 {
				p.source(w, groups[k])
			}
		})
	}
	workers.Wait()
}

// bySource cuts sorted demands where the source changes.
func (p *Plan) bySource(which []int32) [][]int32 {
	var groups [][]int32
	for begin := 0; begin < len(which); {
		end := begin + 1
		for end < len(which) && p.demands[which[end]].from == p.demands[which[begin]].from {
			end++
		}
		groups = append(groups, which[begin:end])
		begin = end
	}
	return groups
}

func (p *Plan) source(w *search, which []int32) {
	to := make([]int32, len(which))
	for k, i := range which {
		to[k] = p.demands[i].to
	}
	w.plant(p.demands[which[0]].from, to...)
	for _, i := range which {
		d := p.demands[i]
		p.found[i] = w.find(d.to, int(d.m))
	}
}
