package fleettest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// OpenTapped is Open with a tap on every link. config completes the configuration of
// each node; nil: nothing to be added.
func OpenTapped(t testing.TB, net *node.Network, opt Options, config func(i int, c *node.Config)) *Network {
	t.Helper()
	n := prepare(t, net, opt)
	n.Taps, n.Pads, n.Prog = map[qsc.LinkID]*tap.Tap{}, tap.NewPads(), &tap.Progress{}
	var err error
	for i := range n.Net.Nodes {
		if n.Net.Nodes[i].Listen, err = tap.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range n.Net.Links {
		to, _ := n.Net.Node(l.Ends[1])
		p, err := tap.New(l.ID, to.Listen, n.Pads, n.Prog)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		n.Taps[l.ID] = p
	}
	for i, d := range n.Net.Nodes {
		c := node.Config{Node: d.ID, Network: "detour.toml", Dir: "."}
		if config != nil {
			config(i, &c)
		}
		n.detour(c)
	}
	n.open()
	return n
}

// detour writes a node's configuration with a network description of its own, in
// which its peers listen behind the taps.
func (n *Network) detour(c node.Config) {
	n.T.Helper()
	own := *n.Net
	own.Nodes = slices.Clone(n.Net.Nodes)
	for _, l := range n.Net.LinksOf(c.Node) {
		for i := range own.Nodes {
			if l.Ends[0] == c.Node && own.Nodes[i].ID == l.Ends[1] {
				own.Nodes[i].Listen = n.Taps[l.ID].Addr
			}
		}
	}
	dir := filepath.Join(n.data(), string(c.Node))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.T.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, c.Network), own.Marshal(), 0o600); err != nil {
		n.T.Fatal(err)
	}
	if err := c.Save(fleet.ConfigFile(dir)); err != nil {
		n.T.Fatal(err)
	}
}

// tapsOf are the wires that end at a node which listens on them.
func (n *Network) tapsOf(id qsc.NodeID) (all []*tap.Tap) {
	for _, l := range n.Net.Links {
		if p := n.Taps[l.ID]; p != nil && l.Ends[1] == id {
			all = append(all, p)
		}
	}
	return all
}

// follow shuts the taps of a node that does not run, and opens those of one that does:
// when one goroutine kills a node and another starts it, either may come here last.
func (n *Network) follow(id qsc.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Fleet.PID(id) != 0 {
		_ = n.unshut(id) // Linked says what is wrong
		return
	}
	for _, p := range n.tapsOf(id) {
		p.Shut()
	}
}

func (n *Network) unshut(id qsc.NodeID) error {
	for _, p := range n.tapsOf(id) {
		if err := p.Open(); err != nil {
			return err
		}
	}
	return nil
}

// Fault is what the taps have seen that must not be, "" for nothing: a one-time pad
// that served twice, or bytes that were forbidden.
func (n *Network) Fault() string {
	if f := n.Pads.Fault(); f != "" {
		return "a one-time pad was used twice: " + f
	}
	for _, p := range n.Taps {
		if f := p.Fault(); f != "" {
			return f
		}
	}
	return ""
}
