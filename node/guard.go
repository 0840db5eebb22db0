package node

import (
	"math/bits"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// guard holds routes and deliveries to the protection that the network
// description allows. It decides by the description alone, with every link up, so
// that neither a cut nor a controller nor a relay can talk a node into less.
type guard struct {
	here   qsc.NodeID
	routes keymgmt.RouteSource
	graph  *route.Graph

	mu   sync.Mutex
	most map[promise]int
}

type promise struct {
	peer  qsc.NodeID
	paths int
}

// maxPromises bounds what guard remembers.
const maxPromises = 4096

func newGuard(here qsc.NodeID, net *Network, routes keymgmt.RouteSource) *guard {
	return &guard{here: here, routes: routes, graph: route.New(net), most: map[promise]int{}}
}

// Floor is the least number of relays that must come together to know a key
// between this node and peer under protection p: as many as p says, or as the
// network has disjoint paths, if those are fewer.
func (g *guard) Floor(peer qsc.NodeID, p keymgmt.Protection) int {
	m, t := normal(p)
	return min(t, g.separate(peer, m))
}

func normal(p keymgmt.Protection) (m, t int) {
	m = max(p.Paths, p.Need, 1)
	if t = p.Need; t == 0 {
		t = m
	}
	return m, t
}

// separate is how many disjoint paths the description has, at most m.
func (g *guard) separate(peer qsc.NodeID, m int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := promise{peer, m}
	if n, ok := g.most[k]; ok {
		return n
	}
	n := 1
	if r, err := g.graph.Route(route.Demand{From: g.here, To: peer, Paths: m}); err == nil {
		n = max(1, r.Separate)
	}
	if len(g.most) >= maxPromises {
		clear(g.most)
	}
	g.most[k] = n
	return n
}

// Route implements keymgmt.RouteSource. Paths that overlap so that fewer relays
// than Floor would know the key are exchanged for fewer, disjoint ones. Error:
// Exhausted while the paths that are up do not reach Floor.
func (g *guard) Route(to qsc.NodeID, p keymgmt.Protection) (keymgmt.Route, error) {
	r, err := g.routes.Route(to, p)
	floor := g.Floor(to, p)
	if err != nil || holds(r, floor) {
		return r, err
	}
	m, _ := normal(p)
	fewer := keymgmt.Protection{Paths: g.separate(to, m), Need: floor}
	if r, err = g.routes.Route(to, fewer); err != nil || holds(r, floor) {
		return r, err
	}
	return keymgmt.Route{}, qsc.E("node.Route", qsc.Exhausted, string(to), "the paths that are up let %d relays know a key that %d must not: wait until more links are up, or ask for less protection", coalition(r), floor)
}

// holds reports whether a route is good for a floor: the far end, which sees the
// paths only as they were used, must be able to tell.
func holds(r keymgmt.Route, floor int) bool {
	return floor <= 1 || r.Disjoint && coalition(r) >= floor
}

// coalition is how many relays must come together to know a key that takes this
// route: the fewest that sit on Need of its paths. A path without a relay is a
// link; nobody sits on it.
func coalition(r keymgmt.Route) int {
	need := r.Need
	if need < 1 || need > len(r.Paths) {
		need = len(r.Paths)
	}
	if r.Disjoint {
		return need
	}
	on := map[qsc.NodeID]uint{}
	for i, p := range r.Paths {
		for _, n := range p[1 : len(p)-1] {
			on[n] |= 1 << i
		}
	}
	return fewest(on, need)
}

// fewest is the least number of relays whose paths together are at least need.
// Where no number reaches it, it is need: the paths are that many links.
func fewest(on map[qsc.NodeID]uint, need int) int {
	reached := map[uint]bool{0: true}
	for n := 1; n < need; n++ {
		next := map[uint]bool{}
		for a := range reached {
			for _, b := range on {
				if bits.OnesCount(a|b) >= need {
					return n
				}
				next[a|b] = true
			}
		}
		reached = next
	}
	return need
}
