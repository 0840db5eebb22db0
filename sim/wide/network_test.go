package wide

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// network is a network of running node processes.
type network struct {
	t     *testing.T
	fleet *fleet.Fleet
	ca    *enrol.CA
	up    time.Duration // from nothing to every link up
}

// open makes a built-in network and starts it.
func open(t *testing.T, name string) *network {
	net, err := node.LoadNetwork(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "qsc-wide-") // a short path: it leaves room for sockets' names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log := slog.DiscardHandler
	if os.Getenv("QSC_LOG") != "" {
		log = slog.NewTextHandler(os.Stderr, nil)
	}
	begin := time.Now()
	n := &network{t: t}
	if n.fleet, err = fleet.Open(t.Context(), net, dir, fleet.Options{Log: slog.New(log)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.fleet.Close() })
	if err := n.fleet.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if down := n.fleet.Await(ctx, func(l admin.Link) bool { return l.Up }); len(down) > 0 {
		t.Fatal("these links never came up:", down)
	}
	n.up = time.Since(begin)
	if n.ca, err = enrol.OpenCA(filepath.Join(dir, fleet.CADir)); err != nil {
		t.Fatal(err)
	}
	return n
}

// status is what a node tells of itself.
func (n *network) status(id qsc.NodeID) admin.Status {
	n.t.Helper()
	s, err := admin.NewClient(n.fleet.NodeDir(id)).Status(n.t.Context())
	if err != nil {
		n.t.Fatal(id, err)
	}
	return s
}

// until waits for something, looking every few milliseconds, and returns how
// long it took from begin on.
func (n *network) until(what string, begin time.Time, ok func() bool) time.Duration {
	n.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > patience {
			n.t.Fatalf("%s: never came in %v", what, patience)
		}
		<-tick.C
	}
	return time.Since(begin)
}

// route is what a node goes by now: what its controller told it, read from what
// the node stored, as it would after a restart.
func (n *network) route(from, to qsc.NodeID, p keymgmt.Protection) keymgmt.Route {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.fleet.NodeDir(from), "control", "routes"))
	if err != nil {
		n.t.Fatal(err)
	}
	copied := n.t.TempDir()
	if err := os.WriteFile(filepath.Join(copied, "routes"), text, 0o600); err != nil {
		n.t.Fatal(err)
	}
	dir, err := durable.Dir(copied)
	if err != nil {
		n.t.Fatal(err)
	}
	defer dir.Close()
	a, err := manage.OpenAgent(manage.AgentConfig{Node: from, Network: n.fleet.Network(), Dir: dir, State: func() control.Report { return control.Report{} }})
	if err != nil {
		n.t.Fatal(err)
	}
	r, err := a.Route(to, p)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// leader is the node whose controller leads, "" while none does, and its epoch.
// Nodes that are dead do not count.
func (n *network) leader() (id qsc.NodeID, epoch uint64) {
	for _, d := range n.controllers() {
		s, err := admin.NewClient(n.fleet.NodeDir(d)).Status(n.t.Context())
		if err == nil && s.Control.Leads {
			return d, s.Control.Epoch
		}
	}
	return "", 0
}

// controllers are the nodes that run one.
func (n *network) controllers() (list []qsc.NodeID) {
	for _, d := range n.fleet.Network().Nodes {
		c, err := node.ReadConfig(fleet.ConfigFile(n.fleet.NodeDir(d.ID)))
		if err != nil {
			n.t.Fatal(err)
		}
		if c.Control.Listen == "" {
			break // they are at the first nodes
		}
		list = append(list, d.ID)
	}
	return list
}

// kill ends a node as a power cut would.
func (n *network) kill(id qsc.NodeID) {
	n.t.Helper()
	if err := n.fleet.Kill(id); err != nil {
		n.t.Fatal(err)
	}
}

// freeze stops a node in mid-step: its connections stay open, nothing comes. It
// returns what lets it go on.
func (n *network) freeze(id qsc.NodeID) (thaw func()) {
	n.t.Helper()
	pid := n.fleet.PID(id)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		n.t.Fatal(err)
	}
	thaw = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	n.t.Cleanup(thaw) // or closing the network would have to wait for it
	return thaw
}
