package tunnels

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/wireguard"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// encryptors are a real pair, as the test of either kind needs it.
type encryptors struct {
	*tunneltest.Pair
	args [2][]string // of qsc psk: the kind and the encryptor of each host
	addr [2]string   // of each host in the tunnel
	// holds fails the test unless both encryptors have the key of that ID, and no
	// other, in use.
	holds func(t *testing.T, id string)
	// enough reports in the long test whether traffic has seen all there is.
	enough func() bool
}

const (
	rounds = 8
	every  = "150ms"               // between rotations
	beat   = 20 * time.Millisecond // between pings, of each direction
)

// A real WireGuard pair on keys of the network. Afterwards a new handshake is
// made with the last key, and none with another.
func TestWireGuard(t *testing.T) {
	w := tunneltest.NewWireGuard(t)
	e := &encryptors{Pair: w.Pair, addr: [2]string{"10.91.0.1", "10.91.0.2"}}
	for i, name := range w.Name {
		e.args[i] = []string{"wireguard", "--interface", name}
	}
	e.args[1] = append(e.args[1], "--peer", wireguard.PeerID(w.Peer[1]).String()) // the other one finds its only peer
	var last struct {
		id  string
		key qsc.Secret
	}
	last.key = qsc.NewSecret(make([]byte, 32))
	e.holds = func(t *testing.T, id string) {
		t.Helper()
		a, b := device(t, w, 0).PSK, device(t, w, 1).PSK
		if !a.Equal(b) {
			t.Errorf("key %s: the two ends have different pre-shared keys", id)
		}
		if a.Equal(last.key) != (id == last.id) {
			t.Errorf("key %s after key %q: the pre-shared key is the same: %t", id, last.id, a.Equal(last.key))
		}
		last.id, last.key = id, a
	}
	first := time.Now()
	e.enough = func() bool { // WireGuard makes a handshake of its own every two minutes
		return device(t, w, 0).Handshake.After(first.Add(100*time.Second)) && device(t, w, 1).Handshake.After(first.Add(100*time.Second))
	}
	e.run(t)
	wrong := make([]byte, 32)
	if w.Again(0, wrong); w.Reaches(0, e.addr[1], 2*time.Second) {
		t.Error("a handshake without the network's key")
	}
	if w.Again(0, last.key.Expose()); !w.Reaches(0, e.addr[1], 10*time.Second) {
		t.Error("no handshake with the network's key")
	}
}

// device is the only peer of a host, with its pre-shared key.
func device(t *testing.T, w *tunneltest.WireGuard, i int) wireguard.Peer {
	t.Helper()
	peers, err := wireguard.Named(w.Name[i]).Peers(t.Context())
	if err != nil || len(peers) != 1 {
		t.Fatalf("%d peers, %v", len(peers), err)
	}
	return peers[0]
}

// A real strongSwan pair on keys of the network.
func TestStrongSwan(t *testing.T) {
	s := tunneltest.NewStrongSwan(t)
	e := &encryptors{Pair: s.Pair, addr: [2]string{"10.91.1.1", "10.91.2.1"}}
	for i := range s.Socket {
		e.args[i] = []string{"ikev2", "--vici", s.Socket[i], "--conf", s.Conf[i], "--conn", "sites", "--userspace"}
	}
	e.args[0] = append(e.args[0], "--linger", "250ms") // the cable is short
	e.holds = func(t *testing.T, id string) {
		t.Helper()
		for i := range s.Socket {
			if names := s.PPKs(i, "qsc-"); len(names) != 1 || !strings.HasSuffix(names[0], id) {
				t.Errorf("charon %d has the PPKs %q, want only that of key %s", i, names, id)
			}
			if sas := s.SAs(i, "sites"); len(sas) != 1 || sas[0].Get("ppk") != "yes" || sas[0].Get("state") != "ESTABLISHED" {
				t.Errorf("charon %d has %d IKE SAs, want one that is up with a PPK", i, len(sas))
			}
		}
	}
	end := time.Now().Add(time.Minute)
	e.enough = func() bool { return time.Now().After(end) }
	e.run(t)
}

// run lives the life of a tunnel, under pings of which none may be lost.
func (e *encryptors) run(t *testing.T) {
	n := open(t)
	port, err := tap.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	follow := func() *end { return n.psk(1, append(slices.Clone(e.args[1]), "--listen", port)...) }
	lead := func() *end { return n.psk(0, append(slices.Clone(e.args[0]), "--lead", port, "--every", every)...) }
	begin := time.Now()
	step := func(what string) { t.Logf("%6.2f s  %s", time.Since(begin).Seconds(), what) }

	leader, follower := lead(), follow() // either may be first
	leader.rotates(1)
	for i := range e.addr {
		if !e.Reaches(i, e.addr[1-i], 10*time.Second) {
			t.Fatal("the tunnel does not come up")
		}
	}
	pings := [2]*tunneltest.Pinging{e.Ping(0, e.addr[1], beat), e.Ping(1, e.addr[0], beat)}
	flows := func() {
		t.Helper()
		a, b := pings[0].Received(), pings[1].Received()
		tunneltest.Await(t, "traffic flows", patience, func() bool { return pings[0].Received() > a+4 && pings[1].Received() > b+4 })
	}
	step("the tunnel is up")
	leader.rotates(rounds)
	for os.Getenv("QSC_LONG") != "" && !e.enough() {
		leader.rotates(rounds)
	}
	step("rotated under traffic")

	if err := n.fleet.Kill(relay); err != nil {
		t.Fatal(err)
	}
	n.dry()
	if f := leader.fails("key exhausted"); f.Step != "draw" || !strings.Contains(f.Text, "not enough keys") {
		t.Errorf("without key the leader says %+v", f)
	}
	flows()
	same(t, leader.told(), follower.told())
	e.holds(t, last(leader.told()))
	step("no key left; the tunnel goes on under the last one")
	if err := n.fleet.StartNode(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	leader.rotates(2)
	step("the relay is back, and so is key")

	follower.kill()
	if f := leader.fails("unreachable"); !strings.Contains(f.Text, "is qsc running there with --listen?") {
		t.Errorf("without a follower the leader says %+v", f)
	}
	flows()
	follower = follow()
	leader.rotates(2)
	step("a new follower is taken up")
	leader.kill()
	flows()
	leader = lead()
	leader.rotates(2)
	step("a new leader takes over")

	if code := leader.interrupt(); code != 0 {
		t.Errorf("Ctrl-C ends the leader with exit code %d", code)
	}
	e.holds(t, last(leader.told()))
	if code := follower.interrupt(); code != 0 {
		t.Errorf("Ctrl-C ends the follower with exit code %d", code)
	}
	flows()
	for _, p := range pings {
		sent, got := p.Stop()
		t.Logf("%d pings sent, %d answered", sent, got)
		if sent < 100 || got != sent {
			t.Errorf("%d of %d pings answered", got, sent)
		}
	}
	step("ended")
}

// same fails the test unless both ends have told of the same keys.
func same(t *testing.T, leader, follower []string) {
	t.Helper()
	if len(leader) < rounds || !slices.Equal(leader, follower) {
		t.Errorf("the leader tells of the keys\n%q,\nthe follower of\n%q", leader, follower)
	}
}

func last(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}
