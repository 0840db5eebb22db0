package crash

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/node/fleet"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// patience bounds every wait for something that must come.
const patience = 40 * time.Second

// home takes the files; the sites that it shares them to.
const home = qsc.NodeID("home")

var sites = []qsc.NodeID{"a", "b", "c"}

// describe writes the description of a star. One of its links is dialled from
// the outside in.
func describe(kind string) string {
	var b strings.Builder
	b.WriteString("name = \"star\"\n")
	for _, id := range append([]qsc.NodeID{home}, sites...) {
		fmt.Fprintf(&b, "[[site]]\nid = %q\n[[node]]\nid = %q\n", id, id)
	}
	for _, ends := range [][2]string{{"home", "a"}, {"home", "b"}, {"c", "home"}} {
		fmt.Fprintf(&b, "[[link]]\nends = [%q, %q]\npad = \"8 MiB\"\nblock = \"64 KiB\"\n%s\n", ends[0], ends[1], kind)
	}
	for _, p := range []string{
		`id = "default"` + "\nw = 3\n" + `sites = ["a", "b", "c"]`,
		`id = "two"` + "\nw = 2\n" + `sites = ["a", "b", "c"]`,
		`id = "near"` + "\nw = 3\n" + `sites = ["home", "a", "b"]`,
	} {
		fmt.Fprintf(&b, "[[policy]]\n%s\nk = 2\nn = 3\nhome = \"home\"\nchunk = \"64 KiB\"\n", p)
	}
	return b.String()
}

const (
	preshared = `kind = "preshared"`
	simulated = "kind = \"simulated\"\nrate = \"80 Mbit/s\""
)

// network is a running star whose every link passes a tap.
type network struct {
	t     testing.TB
	net   *node.Network
	dir   string
	fleet *fleet.Fleet
	home  *admin.Client
	taps  map[qsc.LinkID]*tap.Tap
	pads  *tap.Pads
	prog  *tap.Progress
}

// open makes a network and starts it.
func open(t testing.TB, kind string) *network {
	n := prepare(t, kind)
	if err := n.fleet.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.linked()
	return n
}

// prepare makes everything but the processes.
func prepare(t testing.TB, kind string) *network {
	n := &network{t: t, dir: shortDir(t), pads: tap.NewPads(), prog: &tap.Progress{}, taps: map[qsc.LinkID]*tap.Tap{}}
	file := filepath.Join(n.dir, "star.toml")
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
	for _, d := range n.net.Nodes {
		n.detour(data, d.ID)
	}
	if n.fleet, err = fleet.Open(t.Context(), n.net, data, fleet.Options{Log: logger()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.fleet.Close() })
	n.home = admin.NewClient(n.fleet.NodeDir(home))
	return n
}

// shortDir is a temporary directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "qsc-crash-")
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
func (n *network) detour(data string, id qsc.NodeID) {
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
	if err := (node.Config{Node: id, Network: "detour.toml", Dir: "."}).Save(filepath.Join(dir, "node.toml")); err != nil {
		n.t.Fatal(err)
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

// stop asks a node to end.
func (n *network) stop(id qsc.NodeID) {
	n.t.Helper()
	if err := n.fleet.Stop(id); err != nil {
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

func (n *network) mustStart(id qsc.NodeID) {
	n.t.Helper()
	if err := n.start(id); err != nil {
		n.t.Fatalf("node %s does not start again: %v", id, err)
	}
}

// linked waits until every link whose nodes run is up at both ends.
func (n *network) linked() {
	n.t.Helper()
	for _, d := range n.net.Nodes { // a kill may have shut the taps of what was started just then
		for _, p := range n.tapsOf(d.ID) {
			if n.fleet.PID(d.ID) != 0 {
				if err := p.Open(); err != nil {
					n.t.Fatal(err)
				}
			}
		}
	}
	n.await("links", func(l admin.Link) bool { return l.Up })
}

func (n *network) await(what string, good func(admin.Link) bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if bad := n.fleet.Await(ctx, good); len(bad) > 0 {
		n.dump()
		n.t.Fatalf("%s: never came for %v: %s", what, bad, n.tell())
	}
}

// dump has every node end with its stacks in its log, where the directory is kept.
func (n *network) dump() {
	for _, d := range n.net.Nodes {
		if pid := n.fleet.PID(d.ID); pid != 0 && os.Getenv("QSC_KEEP") != "" {
			n.t.Log(n.tell())
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
}

// until waits for what a node tells.
func (n *network) until(what string, ok func() bool) {
	n.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: never came: %s", what, n.tell())
		}
		<-tick.C
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
			fmt.Fprintf(&b, "\n%s %s up=%t %q stock=%d send=%+v recv=%+v slots=%d/%d", d.ID, l.ID, l.Up, l.Why, l.Stock, l.Send, l.Recv, l.SendSlots.Left, l.RecvSlots.Left)
		}
		fmt.Fprintf(&b, "\n%s alarms=%q", d.ID, s.Alarms)
	}
	return b.String()
}

// carry starts a courier's process.
func (n *network) carry(link qsc.LinkID, size int64) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(exe, "provision", n.fleet.Dir(), string(link), strconv.FormatInt(size, 10)), nil
}

// provision carries key to the preshared links that have less than limit in a
// ring, unless there is plenty in stock: a ring takes it as slots come free.
func (n *network) provision(limit, size int64) error {
	s, err := n.home.Status(n.t.Context())
	if err != nil {
		return err
	}
	for _, l := range s.Links {
		if l.Kind != "preshared" || min(l.Send.Left, l.Recv.Left) >= limit || l.Stock > 32<<20 {
			continue
		}
		_, err := node.Provision(n.t.Context(), n.fleet.Network(), n.fleet.Dir(), l.ID, node.ProvisionOptions{Size: size})
		if err != nil && !qsc.IsKind(err, qsc.Busy) {
			return err
		}
	}
	return nil
}

// accounts checks the books at both ends, and against what the taps saw.
func (n *network) accounts() {
	n.t.Helper()
	for _, d := range n.net.Nodes {
		for _, l := range n.status(d.ID).Links {
			if !l.Balanced {
				n.t.Errorf("%s: the account of link %s does not balance: %+v %+v %+v %+v", d.ID, l.ID, l.Send, l.Recv, l.SendSlots, l.RecvSlots)
			}
			n.covers(d.ID, l)
		}
	}
}

// covers checks that every pad byte that was seen on a wire is accounted for as
// used or burnt, where it was sent and where it was to arrive.
func (n *network) covers(id qsc.NodeID, l admin.Link) {
	n.t.Helper()
	link, _ := n.net.Link(l.ID)
	end := 0
	if link.Ends[1] == id {
		end = 1
	}
	if seen, a := n.pads.Spent(l.ID, keymgmt.SendData(end)), l.Send; seen > a.Used+a.Burnt {
		n.t.Errorf("%s: link %s: %d bytes of pad were sent, the account has %+v", id, l.ID, seen, a)
	}
	if seen, a := n.pads.Spent(l.ID, keymgmt.SendControl(end)), l.SendSlots; seen > a.Used+a.Burnt {
		n.t.Errorf("%s: link %s: %d bytes of handshake pad were sent, the account has %+v", id, l.ID, seen, a)
	}
}

// oracles fails when a pad served twice or a forbidden byte string passed.
func (n *network) oracles() {
	n.t.Helper()
	if f := n.pads.Fault(); f != "" {
		n.t.Fatal("a one-time pad was used twice: ", f)
	}
	for _, p := range n.taps {
		if f := p.Fault(); f != "" {
			n.t.Fatal(f)
		}
	}
}
