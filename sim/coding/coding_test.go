// Package coding measures on the built-in networks what the group keys of
// keymgmt/relay/coding save. It holds tests only.
package coding

import (
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt/relay/coding"
)

const draws = 200 // groups of each size

// mean is what a group of one size costs on average, in link bits for one bit of
// group key.
type mean struct{ tree, separate, least float64 }

func load(t *testing.T, network string) (nodes []qsc.NodeID, links []coding.Link) {
	t.Helper()
	n, err := topology.Load(network)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range n.Nodes {
		nodes = append(nodes, d.ID)
	}
	for _, l := range n.Links {
		links = append(links, coding.Link{Ends: l.Ends, Cost: 1})
	}
	return nodes, links
}

func measure(t *testing.T, network string, size int) mean {
	t.Helper()
	nodes, links := load(t, network)
	r := rand.New(rand.NewPCG(uint64(size), 42))
	var m mean
	for range draws {
		var members []qsc.NodeID
		for _, i := range r.Perm(len(nodes))[:size] {
			members = append(members, nodes[i])
		}
		c, err := coding.Compare(links, members)
		if err != nil {
			t.Fatal(err)
		}
		m.tree += c.Tree / draws
		m.separate += c.Separate / draws
		m.least += c.Least / draws
	}
	return m
}

// What docs/design/coding.md says is saved, is saved.
func TestGroupKeysSave(t *testing.T) {
	for _, c := range []struct {
		network string
		size    int
		least   float64 // of separate relaying's key that is saved
	}{
		{"tohoku", 2, 0}, {"tohoku", 3, 0}, {"tohoku", 6, 0}, {"tokyo", 2, 0}, {"tokyo", 3, 0}, {"tokyo", 4, 0},
		{"backbone-100", 2, 0}, {"backbone-100", 3, 0.03}, {"backbone-100", 5, 0.1}, {"backbone-100", 10, 0.2}, {"backbone-100", 30, 0.4},
	} {
		m := measure(t, c.network, c.size)
		saved := 1 - m.tree/m.separate
		t.Logf("| %s | %d | %.2f | %.2f | %.2f | %.0f %% |", c.network, c.size, m.separate, m.tree, m.least, 100*saved)
		if saved < c.least-1e-9 || c.size == 2 && saved > 1e-9 || m.least > m.tree+1e-9 {
			t.Errorf("%s, %d members: %.3f saved, at least %.2f expected", c.network, c.size, saved, c.least)
		}
	}
}

// What keys for all pairs cost over the cheapest paths, and the share of it that
// no scheme can save because the cuts demand it.
func TestPairsSaveAtMost(t *testing.T) {
	for _, network := range []string{"tohoku", "tokyo", "backbone-100"} {
		nodes, links := load(t, network)
		var pairs [][2]qsc.NodeID
		for i, a := range nodes {
			for _, b := range nodes[:i] {
				pairs = append(pairs, [2]qsc.NodeID{a, b})
			}
		}
		paths, least, err := coding.Pairs(links, pairs)
		if err != nil || least > paths || least <= 0 {
			t.Fatal(paths, least, err)
		}
		t.Logf("| %s | %d | %.0f | %.0f | %.0f %% |", network, len(pairs), paths, least, 100*least/paths)
	}
}
