package wide

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// patience bounds every wait for something that must come.
const patience = 2 * time.Minute

// network is a network of running node processes.
type network struct {
	*fleettest.Network
	up time.Duration // from nothing to every link up
}

// open makes a built-in network and starts it.
func open(t *testing.T, name string) *network {
	begin := time.Now()
	n := &network{Network: fleettest.Open(t, fleettest.Load(t, name), fleettest.Options{Patience: patience, Look: 5 * time.Millisecond})}
	n.Start()
	n.up = time.Since(begin)
	return n
}

// often is how keys are drawn here: every few milliseconds, so many at once.
func often(number int) fleettest.Plan {
	return fleettest.Plan{Every: 10 * time.Millisecond, Number: number, Bits: 256}
}

// settled waits until the controller's routes are in use, as many as are asked for, and
// key flows. A controller that has not heard of all links yet knows fewer.
func (n *network) settled(d *fleettest.Drawing, from, to qsc.NodeID, p keymgmt.Protection) keymgmt.Route {
	n.T.Helper()
	var r keymgmt.Route
	n.Until("the controller's routes", func() bool {
		if n.Status(from).Control.Flows == 0 {
			return false
		}
		r = n.route(from, to, p)
		return r.Epoch > 0 && len(r.Paths) == p.Paths
	})
	n.Until("keys", func() bool { return d.Now().Draws > 50 })
	return r
}

// route is what a node goes by now: what its controller told it, read from what
// the node stored, as it would after a restart.
func (n *network) route(from, to qsc.NodeID, p keymgmt.Protection) keymgmt.Route {
	n.T.Helper()
	text, err := os.ReadFile(filepath.Join(n.Fleet.NodeDir(from), "control", "routes"))
	if err != nil {
		n.T.Fatal(err)
	}
	copied := n.T.TempDir()
	if err := os.WriteFile(filepath.Join(copied, "routes"), text, 0o600); err != nil {
		n.T.Fatal(err)
	}
	dir, err := durable.Dir(copied)
	if err != nil {
		n.T.Fatal(err)
	}
	defer dir.Close()
	a, err := manage.OpenAgent(manage.AgentConfig{Node: from, Network: n.Fleet.Network(), Dir: dir, State: func() control.Report { return control.Report{} }})
	if err != nil {
		n.T.Fatal(err)
	}
	r, err := a.Route(to, p)
	if err != nil {
		n.T.Fatal(err)
	}
	return r
}

// leader is the node whose controller leads, "" while none does, and its epoch.
// Nodes that are dead do not count.
func (n *network) leader() (id qsc.NodeID, epoch uint64) {
	for _, d := range n.controllers() {
		s, err := n.Client(d).Status(n.T.Context())
		if err == nil && s.Control.Leads {
			return d, s.Control.Epoch
		}
	}
	return "", 0
}

// controllers are the nodes that run one.
func (n *network) controllers() (list []qsc.NodeID) {
	for _, d := range n.Fleet.Network().Nodes {
		c, err := node.ReadConfig(fleet.ConfigFile(n.Fleet.NodeDir(d.ID)))
		if err != nil {
			n.T.Fatal(err)
		}
		if c.Control.Listen == "" {
			break // they are at the first nodes
		}
		list = append(list, d.ID)
	}
	return list
}
