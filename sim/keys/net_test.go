package keys

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// patience bounds every wait for something that must come.
const patience = 40 * time.Second

// nodes stand in a ring; b and e are joined by a chord, so that every two of them
// are joined by two disjoint paths and four pairs have no link.
var nodes = []qsc.NodeID{"a", "b", "c", "d", "e"}

const (
	simulated = "kind = \"simulated\"\nrate = \"60 Mbit/s\""
	couriered = "kind = \"preshared\""
)

func describe(kind string) string {
	var b strings.Builder
	b.WriteString("name = \"ring\"\n")
	for _, id := range nodes {
		fmt.Fprintf(&b, "[[site]]\nid = %q\n[[node]]\nid = %q\n", id, id)
	}
	for _, ends := range []string{"ab", "bc", "cd", "de", "ea", "be"} {
		fmt.Fprintf(&b, "[[link]]\nends = [%q, %q]\npad = \"4 MiB\"\nblock = \"64 KiB\"\n%s\n", ends[:1], ends[1:], kind)
	}
	return b.String()
}

// network is a running ring whose every link passes a tap.
type network struct {
	t     testing.TB
	net   *node.Network
	dir   string
	fleet *fleet.Fleet
	taps  map[qsc.LinkID]*tap.Tap
	pads  *tap.Pads
	prog  *tap.Progress
	saes  map[qsc.AppID]*sae
}

// prepare makes everything but the processes.
func prepare(t testing.TB, kind string) *network {
	n := &network{t: t, dir: shortDir(t), pads: tap.NewPads(), prog: &tap.Progress{}, taps: map[qsc.LinkID]*tap.Tap{}, saes: map[qsc.AppID]*sae{}}
	file := filepath.Join(n.dir, "ring.toml")
	write(t, file, []byte(describe(kind)))
	var err error
	if n.net, err = node.LoadNetwork(file); err != nil {
		t.Fatal(err)
	}
	for i := range n.net.Nodes {
		if n.net.Nodes[i].Listen, err = tap.FreeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range n.net.Links {
		to, _ := n.net.Node(l.Ends[1])
		p, err := tap.New(l.ID, to.Listen, n.pads, n.prog)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		n.taps[l.ID] = p
	}
	data := filepath.Join(n.dir, "net")
	for i, d := range n.net.Nodes {
		n.detour(data, d.ID, i < 2 && kind == simulated) // a controller spreads couriered key over a day
	}
	if n.fleet, err = fleet.Open(t.Context(), n.net, data, fleet.Options{Log: logger()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.fleet.Close() })
	n.enrol()
	return n
}

func open(t testing.TB, kind string) *network {
	n := prepare(t, kind)
	if err := n.fleet.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.linked()
	return n
}

// shortDir is a temporary directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "qsc-keys-")
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

// detour writes a node's configuration with a network description of its own, in
// which its peers listen behind the taps.
func (n *network) detour(data string, id qsc.NodeID, controls bool) {
	own := *n.net
	own.Nodes = slices.Clone(n.net.Nodes)
	for _, l := range n.net.LinksOf(id) {
		for i := range own.Nodes {
			if l.Ends[0] == id && own.Nodes[i].ID == l.Ends[1] {
				own.Nodes[i].Listen = n.taps[l.ID].Addr
			}
		}
	}
	dir := filepath.Join(data, string(id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.t.Fatal(err)
	}
	write(n.t, filepath.Join(dir, "detour.toml"), own.Marshal())
	const pick = "127.0.0.1:0"
	c := node.Config{
		Node: id, Network: "detour.toml", Dir: ".",
		TLS: node.TLS{Cert: "tls/" + string(id) + ".pem", Key: "tls/" + string(id) + ".key", CA: "tls/ca.pem"},
		KME: node.KME{ETSI014: pick, ETSI004: pick, SAEs: "../" + fleet.SAEFile},
	}
	if controls {
		c.Control = node.Control{Listen: pick, Cluster: pick, Store: "../control.db"}
	}
	if err := c.Save(fleet.ConfigFile(dir)); err != nil {
		n.t.Fatal(err)
	}
}

// enrol admits the applications and the pairs.
func (n *network) enrol() {
	file := filepath.Join(n.fleet.Dir(), fleet.SAEFile)
	ca, err := enrol.OpenCA(filepath.Join(n.fleet.Dir(), fleet.CADir))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, a := range homes {
		if _, err := enrol.Edit(file, enrol.AddSAE(enrol.SAE{ID: a.id, Node: a.node})); err != nil {
			n.t.Fatal(err)
		}
		n.saes[a.id] = n.admit(ca, a.id, a.node)
	}
	for _, p := range pairs {
		if _, err := enrol.Edit(file, enrol.AddPair(p)); err != nil {
			n.t.Fatal(err)
		}
	}
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func logger() *slog.Logger {
	if os.Getenv("QSC_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// tapsOf are the wires that end at a node which listens on them.
func (n *network) tapsOf(id qsc.NodeID) (all []*tap.Tap) {
	for _, l := range n.net.Links {
		if l.Ends[1] == id {
			all = append(all, n.taps[l.ID])
		}
	}
	return all
}

// kill ends a node with SIGKILL; its port answers nobody from then on.
func (n *network) kill(id qsc.NodeID) {
	if err := n.fleet.Kill(id); err != nil && !qsc.IsKind(err, qsc.NotFound) {
		n.t.Error(err)
	}
	for _, p := range n.tapsOf(id) {
		p.Shut()
	}
}

// start starts a node that is down.
func (n *network) start(id qsc.NodeID) error {
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	for _, p := range n.tapsOf(id) {
		if err := p.Open(); err != nil {
			return err
		}
	}
	return n.fleet.StartNode(ctx, id)
}

// linked opens all wires and waits until every link whose nodes run is up at both
// ends.
func (n *network) linked() {
	n.t.Helper()
	for _, d := range n.net.Nodes {
		for _, p := range n.tapsOf(d.ID) {
			if n.fleet.PID(d.ID) != 0 {
				if err := p.Open(); err != nil {
					n.t.Fatal(err)
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if bad := n.fleet.Await(ctx, func(l admin.Link) bool { return l.Up }); len(bad) > 0 {
		n.dump()
		n.t.Fatalf("links never came for %v: %s", bad, n.tell())
	}
}

// dump has every node end with its stacks in its log, where the directory is kept.
func (n *network) dump() {
	for _, d := range n.net.Nodes {
		if pid := n.fleet.PID(d.ID); pid != 0 && os.Getenv("QSC_KEEP") != "" {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
}

func (n *network) status(id qsc.NodeID) admin.Status {
	n.t.Helper()
	s, err := admin.NewClient(n.fleet.NodeDir(id)).Status(n.t.Context())
	if err != nil {
		n.t.Fatal(id, err)
	}
	return s
}

// tell sums up what the nodes say, for failure texts.
func (n *network) tell() string {
	var b strings.Builder
	for _, d := range n.net.Nodes {
		s, err := admin.NewClient(n.fleet.NodeDir(d.ID)).Status(context.Background())
		if err != nil {
			fmt.Fprintf(&b, "\n%s: %v", d.ID, err)
			continue
		}
		for _, l := range s.Links {
			fmt.Fprintf(&b, "\n%s %s up=%t %q stock=%d send=%+v recv=%+v", d.ID, l.ID, l.Up, l.Why, l.Stock, l.Send, l.Recv)
		}
		fmt.Fprintf(&b, "\n%s keys=%+v alarms=%q", d.ID, s.Keys, s.Alarms)
	}
	return b.String()
}
