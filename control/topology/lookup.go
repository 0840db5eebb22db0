package topology

import qsc "github.com/quantum-secure-cloud/qsc"

// index holds positions in the slices of a Network, so that a value changed in
// place is found changed.
type index struct {
	sites    map[qsc.SiteID]int
	nodes    map[qsc.NodeID]int
	links    map[qsc.LinkID]int
	policies map[string]int
	at       map[qsc.SiteID]int    // first node of a site
	pairs    map[[2]qsc.NodeID]int // ends in order
	edges    map[qsc.NodeID][]int  // links of a node in file order
}

func newIndex(n *Network) *index {
	x := &index{
		sites: map[qsc.SiteID]int{}, nodes: map[qsc.NodeID]int{},
		links: map[qsc.LinkID]int{}, policies: map[string]int{},
		at: map[qsc.SiteID]int{}, pairs: map[[2]qsc.NodeID]int{},
		edges: map[qsc.NodeID][]int{},
	}
	for i, s := range n.Sites {
		keepFirst(x.sites, s.ID, i)
	}
	for i, d := range n.Nodes {
		keepFirst(x.nodes, d.ID, i)
		keepFirst(x.at, d.Site, i)
	}
	for i, l := range n.Links {
		keepFirst(x.links, l.ID, i)
		keepFirst(x.pairs, pair(l.Ends[0], l.Ends[1]), i)
		x.edges[l.Ends[0]] = append(x.edges[l.Ends[0]], i)
		x.edges[l.Ends[1]] = append(x.edges[l.Ends[1]], i)
	}
	for i, p := range n.Policies {
		keepFirst(x.policies, p.ID, i)
	}
	return x
}

func keepFirst[K comparable](m map[K]int, k K, i int) {
	if _, taken := m[k]; !taken {
		m[k] = i
	}
}

func pair(a, b qsc.NodeID) [2]qsc.NodeID {
	if b < a {
		a, b = b, a
	}
	return [2]qsc.NodeID{a, b}
}

func (n *Network) index() *index {
	if n.idx != nil {
		return n.idx
	}
	return newIndex(n)
}

func find[K comparable, V any](m map[K]int, k K, all []V) (v V, ok bool) {
	i, ok := m[k]
	if ok {
		v = all[i]
	}
	return v, ok
}

// Site returns the site with the given id.
func (n *Network) Site(id qsc.SiteID) (Site, bool) { return find(n.index().sites, id, n.Sites) }

// Node returns the node with the given id.
func (n *Network) Node(id qsc.NodeID) (Node, bool) { return find(n.index().nodes, id, n.Nodes) }

// Link returns the link with the given id.
func (n *Network) Link(id qsc.LinkID) (Link, bool) { return find(n.index().links, id, n.Links) }

// LinkBetween returns the link that joins a and b, in either order.
func (n *Network) LinkBetween(a, b qsc.NodeID) (Link, bool) {
	return find(n.index().pairs, pair(a, b), n.Links)
}

// Policy returns the policy with the given id. The empty id means the policy
// called "default" or, without one, the first of the file.
func (n *Network) Policy(id string) (Policy, bool) {
	if id != "" {
		return find(n.index().policies, id, n.Policies)
	}
	if p, ok := find(n.index().policies, "default", n.Policies); ok {
		return p, true
	}
	if len(n.Policies) == 0 {
		return Policy{}, false
	}
	return n.Policies[0], true
}

// NodeAt returns the node that stores shares for a site: the first one the
// file lists there.
func (n *Network) NodeAt(id qsc.SiteID) (Node, bool) { return find(n.index().at, id, n.Nodes) }

// LinksOf returns the links of a node in file order.
func (n *Network) LinksOf(id qsc.NodeID) []Link {
	var links []Link
	for _, i := range n.index().edges[id] {
		links = append(links, n.Links[i])
	}
	return links
}

// Neighbours returns the nodes that id has a link to, in file order.
func (n *Network) Neighbours(id qsc.NodeID) []qsc.NodeID {
	var ids []qsc.NodeID
	for _, i := range n.index().edges[id] {
		ids = append(ids, n.Links[i].Other(id))
	}
	return ids
}
