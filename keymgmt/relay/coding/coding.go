// Package coding plans which XORs relays announce when many nodes are to share
// one key: a group key over a tree, which spends one bit of key on each link of
// the tree, where a dealer with a separate key for every member spends the sum
// of all paths. It also says, by rank over GF(2), who learns the key.
//
// It is pure: it holds no key, sends nothing and chooses no route for a pair.
// For independent keys of pairs no plan is made, because none saves anything
// that can be proven: docs/design/coding.md has the theory and its limits.
package coding

import (
	"github.com/quantum-secure-cloud/qsc"
)

// Link is a link of the network, known by its index.
type Link struct {
	Ends [2]qsc.NodeID
	Cost float64 // of one bit of its key, above 0; 1 everywhere counts bits, more means scarcer
}

// Announcement is one XOR that a node publishes: that of its keys of two links,
// named by their places in Plan.Links.
type Announcement struct {
	Node        qsc.NodeID
	Known, Next int // Known lies nearer to the first member
}

// Plan is a tree that joins all members, and what is announced on it. The group
// key is the key of Links[0], a link of the first member. Every link of the tree
// spends as many bits as the group key has.
type Plan struct {
	Members  []qsc.NodeID
	Links    []int          // indices into the network's links; no leaf but members
	Announce []Announcement // Announce[i] joins Links[i+1] to the link above it
	Cost     float64        // of one bit of group key

	ends [][2]qsc.NodeID    // of Links
	at   map[qsc.NodeID]int // every node of the tree: its link towards the first member
}

// Group plans a group key for two members or more; the first one asked for it.
// The tree is at most twice as dear as the cheapest (Kou, Markowsky, Berman
// 1981), and the cheapest itself for two. The same arguments give the same plan.
//
// Errors: Invalid for less than two members, one named twice or a cost that is
// not above 0; NotFound when no path joins them.
func Group(links []Link, members []qsc.NodeID) (*Plan, error) {
	g, err := newGraph(links, members)
	if err != nil {
		return nil, err
	}
	tree, err := g.steiner()
	if err != nil {
		return nil, err
	}
	return g.plan(tree), nil
}

// plan orders a tree from the first member on and lists the announcements.
func (g *graph) plan(tree []int) *Plan {
	p := &Plan{at: map[qsc.NodeID]int{}}
	for _, m := range g.members {
		p.Members = append(p.Members, g.names[m])
	}
	around := map[int][]int{}
	for _, l := range tree {
		for _, v := range g.ends[l] {
			around[v] = append(around[v], l)
		}
	}
	type step struct{ node, above int } // a node and the place of its link towards the root
	queue, seen := []step{{g.members[0], 0}}, map[int]bool{}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		p.at[g.names[s.node]] = s.above
		for _, l := range around[s.node] {
			if seen[l] {
				continue
			}
			seen[l] = true
			place := len(p.Links)
			p.Links = append(p.Links, l)
			p.ends = append(p.ends, g.links[l].Ends)
			p.Cost += g.links[l].Cost
			if place > 0 {
				p.Announce = append(p.Announce, Announcement{g.names[s.node], s.above, place})
			}
			queue = append(queue, step{g.other(l, s.node), place})
		}
	}
	return p
}

// Sum tells a node of the tree how it comes by the group key: it adds the
// announcements of the given places to its key of Links[link]. NotFound for a
// node that is not on the tree.
func (p *Plan) Sum(node qsc.NodeID) (link int, announcements []int, err error) {
	link, ok := p.at[node]
	if !ok {
		return 0, nil, qsc.E("coding.Sum", qsc.NotFound, string(node), "the node is not on the tree of this group key")
	}
	for place := link; place > 0; place = p.Announce[place-1].Known {
		announcements = append(announcements, place-1)
	}
	return link, announcements, nil
}

// Relays returns the nodes of the tree that are no members. Each of them can
// compute the group key, as can every relay of a single path: they are trusted.
func (p *Plan) Relays() (relays []qsc.NodeID) {
	member := map[qsc.NodeID]bool{}
	for _, m := range p.Members {
		member[m] = true
	}
	for _, e := range p.ends {
		for _, n := range e {
			if !member[n] {
				member[n] = true
				relays = append(relays, n)
			}
		}
	}
	return relays
}
