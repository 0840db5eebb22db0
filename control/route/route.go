// Package route finds the paths that key takes: for many pairs of nodes at
// once, m paths each that share no node but their ends, cheapest in total by
// the stock and the rate of the links they use.
//
// It is pure: no clock, no I/O; the workers it starts are gone when a call
// returns, and the same graph and demands give the same paths whatever their
// number. It moves no key, knows no application and does not share out rate
// (package rate): paths of different demands do not see each other but through
// the stock that they use up.
package route

import (
	"fmt"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// Limits on a graph.
const (
	MaxNodes = topology.MaxNodes
	MaxLinks = topology.MaxLinks
)

// Link is a link as Build takes it.
type Link struct {
	ID    qsc.LinkID
	Ends  [2]qsc.NodeID
	State State
}

// Graph is the nodes and links of a network with what is known of their state.
// It may be read by several goroutines while none changes it.
type Graph struct {
	nodes  []qsc.NodeID
	index  map[qsc.NodeID]int32
	nodeUp []bool

	ids    []qsc.LinkID
	byID   map[qsc.LinkID]int32
	ends   [][2]int32
	states []State

	// Link l is the arcs 2l, from Ends[0] to Ends[1], and 2l+1 back. The edges of
	// node v are edges[first[v]:first[v+1]].
	first []int32
	edges []edge
	cost  []int32 // of each arc; unusable: no key can go there

	version uint64   // rises with every call that changes a cost
	raised  []uint64 // of each arc: version when it last became dearer or unusable
	opened  []uint64 // of each arc: version when it last became usable
}

// edge is an arc as its tail sees it.
type edge struct {
	arc   int32
	other int32
}

// New returns the graph of a network in which every link is up and its rings
// are full. The network must be one that topology made; New panics at two nodes
// or links of one name, which those never have.
func New(net *topology.Network) *Graph {
	nodes := make([]qsc.NodeID, len(net.Nodes))
	for i, n := range net.Nodes {
		nodes[i] = n.ID
	}
	links := make([]Link, len(net.Links))
	for i, l := range net.Links {
		links[i] = Link{l.ID, l.Ends, State{Up: true, Stock: [2]int64{l.Pad, l.Pad}, Size: l.Pad, Rate: l.Rate}}
	}
	g, err := Build(nodes, links)
	if err != nil {
		panic("route: topology.Parse accepted what route.Build does not: " + err.Error())
	}
	return g
}

// Build returns a graph of these nodes, all of them up, and links. Errors:
// Invalid for an id that is given twice, a link whose ends are unknown or equal,
// a second link between the same nodes, or more than the limits.
func Build(nodes []qsc.NodeID, links []Link) (*Graph, error) {
	if len(nodes) > MaxNodes || len(links) > MaxLinks {
		return nil, invalid("route.Build", "", "%d nodes and %d links are more than %d and %d", len(nodes), len(links), MaxNodes, MaxLinks)
	}
	g := &Graph{
		nodes: append([]qsc.NodeID(nil), nodes...), index: make(map[qsc.NodeID]int32, len(nodes)),
		nodeUp: make([]bool, len(nodes)), byID: make(map[qsc.LinkID]int32, len(links)),
		cost: make([]int32, 2*len(links)), raised: make([]uint64, 2*len(links)), opened: make([]uint64, 2*len(links)),
	}
	for i, id := range nodes {
		if _, twice := g.index[id]; twice {
			return nil, invalid("route.Build", string(id), "the node is given twice")
		}
		g.index[id], g.nodeUp[i] = int32(i), true
	}
	if err := g.addLinks(links); err != nil {
		return nil, err
	}
	g.join()
	for l := range g.ids {
		g.price(int32(l))
	}
	return g, nil
}

func (g *Graph) addLinks(links []Link) error {
	joined := make(map[[2]int32]bool, len(links))
	for i, l := range links {
		a, okA := g.index[l.Ends[0]]
		b, okB := g.index[l.Ends[1]]
		_, twice := g.byID[l.ID]
		pair := [2]int32{min(a, b), max(a, b)}
		switch {
		case !okA || !okB:
			return invalid("route.Build", string(l.ID), "the link joins %q and %q, of which one is no node of the graph", l.Ends[0], l.Ends[1])
		case a == b:
			return invalid("route.Build", string(l.ID), "both ends of the link are %q", l.Ends[0])
		case twice:
			return invalid("route.Build", string(l.ID), "the link is given twice")
		case joined[pair]:
			return invalid("route.Build", string(l.ID), "%q and %q are joined already", l.Ends[0], l.Ends[1])
		}
		joined[pair], g.byID[l.ID] = true, int32(i)
		g.ids = append(g.ids, l.ID)
		g.ends = append(g.ends, [2]int32{a, b})
		g.states = append(g.states, l.State)
	}
	return nil
}

// join lays the edges of every node next to each other, in the order of links.
func (g *Graph) join() {
	g.first = make([]int32, len(g.nodes)+1)
	for _, e := range g.ends {
		g.first[e[0]+1]++
		g.first[e[1]+1]++
	}
	for v := range g.nodes {
		g.first[v+1] += g.first[v]
	}
	g.edges = make([]edge, 2*len(g.ends))
	next := append([]int32(nil), g.first...)
	for l, e := range g.ends {
		for end := range 2 {
			v := e[end]
			g.edges[next[v]] = edge{arc: int32(2*l + end), other: e[1-end]}
			next[v]++
		}
	}
}

// of returns the edges of a node.
func (g *Graph) of(v int32) []edge { return g.edges[g.first[v]:g.first[v+1]] }

// head is the node that an arc leads to.
func (g *Graph) head(arc int32) int32 { return g.ends[arc>>1][1-arc&1] }

// ways bounds the disjoint paths between two nodes by the usable links at them.
func (g *Graph) ways(from, to int32) int {
	out, in := 0, 0
	for _, e := range g.of(from) {
		if g.cost[e.arc] != unusable {
			out++
		}
	}
	for _, e := range g.of(to) {
		if g.cost[e.arc^1] != unusable {
			in++
		}
	}
	return min(out, in)
}

// Nodes returns the number of nodes.
func (g *Graph) Nodes() int { return len(g.nodes) }

// Links returns the number of links. A link's number is its place in the
// network description or in what Build was given.
func (g *Graph) Links() int { return len(g.ids) }

// Link returns the id of a link by its number.
func (g *Graph) Link(number int32) qsc.LinkID { return g.ids[number] }

// LinkNumber returns the number of a link.
func (g *Graph) LinkNumber(id qsc.LinkID) (int32, bool) {
	l, ok := g.byID[id]
	return l, ok
}

func invalid(op, node, format string, args ...any) error {
	return qsc.E(op, qsc.Invalid, node, "%s", fmt.Sprintf(format, args...))
}
