package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// patience bounds every wait for something that must come.
const patience = 2 * time.Minute

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

// network is a star of which every link passes a tap.
type network struct {
	*fleettest.Network
	home *admin.Client
}

// open makes a network and starts it.
func open(t testing.TB, kind string) *network {
	n := prepare(t, kind)
	n.Start()
	return n
}

// prepare makes everything but the processes.
func prepare(t testing.TB, kind string) *network {
	file := filepath.Join(t.TempDir(), "star.toml")
	write(t, file, []byte(describe(kind)))
	n := &network{Network: fleettest.OpenTapped(t, fleettest.Load(t, file), fleettest.Options{Patience: patience}, nil)}
	n.home = n.Client(home)
	return n
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// carry starts a courier's process.
func (n *network) carry(link qsc.LinkID, size int64) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(exe, "provision", n.Fleet.Dir(), string(link), strconv.FormatInt(size, 10)), nil
}

// provision carries key to the preshared links that have less than limit in a
// ring, unless there is plenty in stock: a ring takes it as slots come free.
func (n *network) provision(limit, size int64) error {
	s, err := n.home.Status(n.T.Context())
	if err != nil {
		return err
	}
	for _, l := range s.Links {
		if l.Kind != "preshared" || min(l.Send.Left, l.Recv.Left) >= limit || l.Stock > 32<<20 {
			continue
		}
		_, err := node.Provision(n.T.Context(), n.Fleet.Network(), n.Fleet.Dir(), l.ID, node.ProvisionOptions{Size: size})
		if err != nil && !qsc.IsKind(err, qsc.Busy) {
			return err
		}
	}
	return nil
}

// accounts checks the books at both ends, and against what the taps saw.
func (n *network) accounts() {
	n.T.Helper()
	for _, d := range n.Net.Nodes {
		sent := n.sent(d.ID) // before the account is read: more passes meanwhile
		for _, l := range n.Status(d.ID).Links {
			if !l.Balanced {
				n.T.Errorf("%s: the account of link %s does not balance: %+v %+v %+v %+v", d.ID, l.ID, l.Send, l.Recv, l.SendSlots, l.RecvSlots)
			}
			n.covers(d.ID, l, sent[l.ID])
		}
	}
}

// spent is how much pad of one end of a link was seen on the wire, in bytes.
type spent struct{ data, control int64 }

func (n *network) sent(id qsc.NodeID) map[qsc.LinkID]spent {
	all := map[qsc.LinkID]spent{}
	for _, l := range n.Net.LinksOf(id) {
		end := 0
		if l.Ends[1] == id {
			end = 1
		}
		all[l.ID] = spent{n.Pads.Spent(l.ID, keymgmt.SendData(end)), n.Pads.Spent(l.ID, keymgmt.SendControl(end))}
	}
	return all
}

// covers checks that every pad byte that was seen on a wire is accounted for as
// used or burnt where it was sent.
func (n *network) covers(id qsc.NodeID, l admin.Link, seen spent) {
	n.T.Helper()
	if a := l.Send; seen.data > a.Used+a.Burnt {
		n.T.Errorf("%s: link %s: %d bytes of pad were sent, the account has %+v", id, l.ID, seen.data, a)
	}
	if a := l.SendSlots; seen.control > a.Used+a.Burnt {
		n.T.Errorf("%s: link %s: %d bytes of handshake pad were sent, the account has %+v", id, l.ID, seen.control, a)
	}
}

// oracles fails when a pad served twice or a forbidden byte string passed.
func (n *network) oracles() {
	n.T.Helper()
	if f := n.Fault(); f != "" {
		n.T.Fatal(f)
	}
}
