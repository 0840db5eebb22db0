package wide

import (
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
)

// distances counts the links from a node to every other on the shortest way.
func distances(net *node.Network, from qsc.NodeID) map[qsc.NodeID]int {
	d := map[qsc.NodeID]int{from: 0}
	for queue := []qsc.NodeID{from}; len(queue) > 0; queue = queue[1:] {
		for _, l := range net.LinksOf(queue[0]) {
			next := l.Other(queue[0])
			if _, seen := d[next]; !seen {
				d[next] = d[queue[0]] + 1
				queue = append(queue, next)
			}
		}
	}
	return d
}

// choose finds the first two nodes that lie so many links apart and are joined
// by so many disjoint paths, none of which passes a node of avoid.
func choose(t testing.TB, net *node.Network, apart, paths int, avoid []qsc.NodeID) (from, to qsc.NodeID) {
	g := route.New(net)
	for _, a := range net.Nodes {
		far := distances(net, a.ID)
		for _, b := range net.Nodes {
			if far[b.ID] != apart {
				continue
			}
			r, err := g.Route(route.Demand{From: a.ID, To: b.ID, Paths: paths})
			if err != nil {
				t.Fatal(err)
			}
			if r.Disjoint && len(r.Paths) == paths && !passes(r.Paths, avoid) {
				return a.ID, b.ID
			}
		}
	}
	t.Fatalf("%s has no two nodes %d links apart with %d disjoint paths", net.Name, apart, paths)
	return "", ""
}

// passes reports whether a path leads through one of these nodes.
func passes(paths []keymgmt.Path, nodes []qsc.NodeID) bool {
	return slices.ContainsFunc(paths, func(p keymgmt.Path) bool {
		return slices.ContainsFunc(p, func(id qsc.NodeID) bool { return slices.Contains(nodes, id) })
	})
}

// middle is a node halfway along a path, shortest path first, that is not among
// those to be spared and without which the network still has as many disjoint
// paths.
func middle(t testing.TB, net *node.Network, paths []keymgmt.Path, spare, dead []qsc.NodeID) qsc.NodeID {
	t.Helper()
	paths = slices.Clone(paths)
	slices.SortStableFunc(paths, func(a, b keymgmt.Path) int { return len(a) - len(b) })
	for _, p := range paths {
		for _, i := range []int{len(p) / 2, len(p)/2 - 1} {
			id := p[i]
			if i > 0 && i < len(p)-1 && !slices.Contains(spare, id) && remain(t, net, p[0], p[len(p)-1], len(paths), append(slices.Clone(dead), id)) {
				return id
			}
		}
	}
	t.Fatal("no node between can be spared: ", paths)
	return ""
}

// remain reports whether there are so many disjoint paths without these nodes.
func remain(t testing.TB, net *node.Network, from, to qsc.NodeID, paths int, without []qsc.NodeID) bool {
	t.Helper()
	g := route.New(net)
	for _, id := range without {
		if _, err := g.SetNode(id, false); err != nil {
			t.Fatal(err)
		}
	}
	r, err := g.Route(route.Demand{From: from, To: to, Paths: paths})
	return err == nil && r.Disjoint && len(r.Paths) == paths
}

// disjoint checks what a route claims, by its own reckoning.
func disjoint(paths []keymgmt.Path) bool {
	seen := map[qsc.NodeID]bool{}
	for _, p := range paths {
		for _, id := range p[1 : len(p)-1] {
			if seen[id] {
				return false
			}
			seen[id] = true
		}
	}
	return true
}
