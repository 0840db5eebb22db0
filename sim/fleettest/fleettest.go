// Package fleettest is the kit of tests of real node processes: a network of them
// in a directory of its own, with or without a tap on every link, nodes that are
// killed and started, applications that are admitted, and keys drawn and compared
// in the background.
//
// It is imported by tests only. It plans no fault and judges no run: what a test
// wants of its network is the test's.
//
//	QSC_LOG=1    the supervisor's log on standard error
//	QSC_KEEP=1   the directories of what failed, with the stacks of nodes that hung
package fleettest

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// Options are what tests want different.
type Options struct {
	Exe      string        // the nodes' program; "" is the test binary, whose TestMain calls Main
	Patience time.Duration // bounds every wait for something that must come
	Look     time.Duration // between two looks at what must come; 0 is 20 ms
	// Linked says what a link must be for Linked to return; nil: up.
	Linked func(admin.Link) bool
}

// Network is a network of node processes. Kill, Start and Status may be called from
// several goroutines; what ends the test, only from the test's own.
type Network struct {
	T     testing.TB
	Net   *node.Network
	Dir   string // of the test; the network's data are in Fleet.Dir()
	Fleet *fleet.Fleet

	// Of OpenTapped; else empty.
	Taps map[qsc.LinkID]*tap.Tap
	Pads *tap.Pads
	Prog *tap.Progress

	opt Options
	mu  sync.Mutex // held while taps follow their node
}

// Load reads a description: a built-in network's name or a file.
func Load(t testing.TB, name string) *node.Network {
	t.Helper()
	net, err := node.LoadNetwork(name)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// Open makes everything but the processes. Whatever the test leaves running is ended
// when it is over.
func Open(t testing.TB, net *node.Network, opt Options) *Network {
	t.Helper()
	n := prepare(t, net, opt)
	n.open()
	return n
}

func prepare(t testing.TB, net *node.Network, opt Options) *Network {
	t.Helper()
	opt.Look = cmp.Or(opt.Look, 20*time.Millisecond)
	if opt.Linked == nil {
		opt.Linked = func(l admin.Link) bool { return l.Up }
	}
	return &Network{T: t, Net: net, Dir: shortDir(t), opt: opt}
}

func (n *Network) open() {
	n.T.Helper()
	var err error
	if n.Fleet, err = fleet.Open(n.T.Context(), n.Net, n.data(), fleet.Options{Exe: n.opt.Exe, Log: logger()}); err != nil {
		n.T.Fatal(err)
	}
	n.T.Cleanup(func() { _ = n.Fleet.Close() })
	n.Net = n.Fleet.Network()
}

func (n *Network) data() string { return filepath.Join(n.Dir, "net") }

// shortDir is a temporary directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qsc-fleet-")
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

// Start starts all nodes and returns when they are linked.
func (n *Network) Start() {
	n.T.Helper()
	if err := n.Fleet.Start(n.T.Context()); err != nil {
		n.T.Fatal(err)
	}
	n.Linked()
}

// Kill ends a node with SIGKILL, as a power cut would; its taps let nobody in from
// then on. It is no fault that the node does not run.
func (n *Network) Kill(id qsc.NodeID) {
	n.T.Helper()
	if err := n.Fleet.Kill(id); err != nil && !qsc.IsKind(err, qsc.NotFound) {
		n.T.Error(err)
	}
	n.follow(id)
}

// MustKill is Kill of a node that runs.
func (n *Network) MustKill(id qsc.NodeID) {
	n.T.Helper()
	if err := n.Fleet.Kill(id); err != nil {
		n.T.Fatal(err)
	}
	n.follow(id)
}

// Stop asks a node to end; its taps let nobody in from then on.
func (n *Network) Stop(id qsc.NodeID) {
	n.T.Helper()
	if err := n.Fleet.Stop(id); err != nil {
		n.T.Error(err)
	}
	n.follow(id)
}

// StartNode starts a node that is down.
func (n *Network) StartNode(id qsc.NodeID) error {
	ctx, cancel := context.WithTimeout(n.T.Context(), n.opt.Patience)
	defer cancel()
	if err := n.unshut(id); err != nil {
		return err
	}
	defer n.follow(id)
	return n.Fleet.StartNode(ctx, id)
}

// MustStart is StartNode of a node that can.
func (n *Network) MustStart(id qsc.NodeID) {
	n.T.Helper()
	if err := n.StartNode(id); err != nil {
		n.T.Fatalf("node %s does not start: %v", id, err)
	}
}

// Freeze stops a node in mid-step: its connections stay open, nothing comes. It
// returns what lets it go on; the end of the test does so, too.
func (n *Network) Freeze(id qsc.NodeID) (thaw func()) {
	n.T.Helper()
	pid := n.Fleet.PID(id)
	if pid == 0 {
		n.T.Fatal("not running: ", id)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		n.T.Fatal(err)
	}
	thaw = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	n.T.Cleanup(thaw) // or closing the network would have to wait for it
	return thaw
}

// CA is the network's own.
func (n *Network) CA() *enrol.CA {
	n.T.Helper()
	ca, err := enrol.OpenCA(filepath.Join(n.Fleet.Dir(), fleet.CADir))
	if err != nil {
		n.T.Fatal(err)
	}
	return ca
}
