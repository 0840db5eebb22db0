package photons

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// patience bounds every wait for something that must come.
const patience = 20 * time.Second

// network is a network of running node processes.
type network struct {
	t     *testing.T
	net   *node.Network
	fleet *fleet.Fleet
	ca    *enrol.CA
	wires map[qsc.LinkID]*wire // of the public channels that pass one
	books *books
	last  map[qsc.NodeID]admin.Status
}

// open starts a network, built in or of a file.
func open(t *testing.T, name string) *network {
	desc, err := node.LoadNetwork(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	n := &network{t: t, wires: map[qsc.LinkID]*wire{}, books: newBooks(), last: map[qsc.NodeID]admin.Status{}}
	if n.fleet, err = fleet.Open(t.Context(), desc, dir, fleet.Options{Log: logger()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.fleet.Close() })
	n.net = n.fleet.Network()
	if n.ca, err = enrol.OpenCA(filepath.Join(dir, fleet.CADir)); err != nil {
		t.Fatal(err)
	}
	return n
}

// start starts all nodes and returns when every link is up.
func (n *network) start() {
	n.t.Helper()
	if err := n.fleet.Start(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	n.up()
}

// up waits until all links whose nodes run are up, but for those of satellites, which
// may be below the horizon or behind clouds.
func (n *network) up() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 3*patience)
	defer cancel()
	if down := n.fleet.Await(ctx, func(l admin.Link) bool { return l.Up || l.Kind == "satellite" }); len(down) > 0 {
		n.t.Fatal("these links never came up:", down)
	}
}

// shortDir is a temporary directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "qsc-photons-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("QSC_KEEP") != "" {
			t.Log("kept:", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

func logger() *slog.Logger {
	if os.Getenv("QSC_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

func (n *network) client(id qsc.NodeID) *admin.Client { return admin.NewClient(n.fleet.NodeDir(id)) }

// status is what a node tells of itself.
func (n *network) status(id qsc.NodeID) admin.Status {
	n.t.Helper()
	s, err := n.client(id).Status(n.t.Context())
	if err != nil {
		n.t.Fatal(id, err)
	}
	n.last[id] = s
	return s
}

// link is what both ends tell of a link, end 0 first.
func (n *network) link(id qsc.LinkID) (ends [2]admin.Link) {
	n.t.Helper()
	l := n.described(id)
	for i, at := range l.Ends {
		s := n.status(at)
		k := slices.IndexFunc(s.Links, func(l admin.Link) bool { return l.ID == id })
		if k < 0 {
			n.t.Fatalf("%s does not know its link %s", at, id)
		}
		ends[i] = s.Links[k]
	}
	return ends
}

func (n *network) described(id qsc.LinkID) node.Link {
	n.t.Helper()
	l, ok := n.net.Link(id)
	if !ok {
		n.t.Fatal("no link ", id)
	}
	return l
}

// live are the links whose key is distilled.
func (n *network) live() (all []node.Link) {
	for _, l := range n.net.Links {
		if l.Physical() {
			all = append(all, l)
		}
	}
	return all
}

// until waits for something, looking every few milliseconds, and returns how long
// it took.
func (n *network) until(what string, ok func() bool) time.Duration {
	n.t.Helper()
	return n.within(patience, what, ok)
}

func (n *network) within(limit time.Duration, what string, ok func() bool) time.Duration {
	n.t.Helper()
	begin := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > limit {
			n.t.Fatalf("%s: never came in %v%s", what, limit, n.tell())
		}
		<-tick.C
	}
	return time.Since(begin)
}

// attack puts an eavesdropper on a link as qsc link attack does: at both ends, one
// of which must be able to.
func (n *network) attack(id qsc.LinkID, kind quantum.AttackKind, strength float64) error {
	n.t.Helper()
	var failed error
	able := false
	for _, at := range n.described(id).Ends {
		err := n.client(at).Attack(n.t.Context(), id, quantum.Attack{Kind: kind, Strength: strength})
		if err == nil {
			able = true
			continue
		}
		failed = err
	}
	if able {
		return nil
	}
	return failed
}

// made is how much key has come of a link at an end so far, in bytes: what its
// ledger has taken, and what waits for it.
func made(l admin.Link) int64 {
	return l.Send.Produced + l.Recv.Produced + l.SendSlots.Produced + l.RecvSlots.Produced + l.Stock
}

// newest is the number of the last round that both ends have finished since the
// node processes were started or before, 0 for none.
func (n *network) newest(id qsc.LinkID) uint64 {
	n.t.Helper()
	least := uint64(math.MaxUint64)
	for _, at := range n.described(id).Ends {
		all, err := n.client(at).Records(n.t.Context(), id, 1)
		if err != nil {
			n.t.Fatal(id, at, err)
		}
		if len(all) == 0 {
			return 0
		}
		least = min(least, all[0].Round)
	}
	return least
}

// kill ends a node as a power cut would.
func (n *network) kill(id qsc.NodeID) {
	n.t.Helper()
	if err := n.fleet.Kill(id); err != nil {
		n.t.Fatal(err)
	}
}

// revive starts a node that was killed.
func (n *network) revive(id qsc.NodeID) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if err := n.fleet.StartNode(ctx, id); err != nil {
		n.t.Fatal(err)
	}
}
