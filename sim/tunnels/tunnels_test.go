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
	t.Parallel() // it mostly waits
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
	if w.Again(0, last.key.Expose()); !w.Reaches(0, e.addr[1], 30*time.Second) {
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
	t.Parallel()
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
			tunneltest.Await(t, "charon has one IKE SA, that is up with a PPK", patience, func() bool { // it forgets a closed one when it has answered
				sas := s.SAs(i, "sites")
				return len(sas) == 1 && sas[0].Get("ppk") == "yes" && sas[0].Get("state") == "ESTABLISHED"
			})
		}
	}
	end := time.Now().Add(time.Minute)
	e.enough = func() bool { return time.Now().After(end) }
	e.run(t)
}

// life is a tunnel on keys of a network, under pings of which none may be lost.
type life struct {
	*testing.T
	e                *encryptors
	n                *network
	port             string
	leader, follower *end
	pings            [2]*tunneltest.Pinging
	begin            time.Time
}

// run lives it.
func (e *encryptors) run(t *testing.T) {
	l := &life{T: t, e: e, n: open(t), begin: time.Now()}
	var err error
	if l.port, err = tap.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	l.up()
	l.leader.rotates(rounds)
	for os.Getenv("QSC_LONG") != "" && !e.enough() {
		l.leader.rotates(rounds)
	}
	took := l.leader.took()
	l.step("%d rotations under traffic; they took %.3f s, the slowest %.3f s", len(took), took[len(took)/2], took[len(took)-1])
	l.dry()
	l.killed()
	l.ended()
}

func (l *life) lead() *end {
	return l.n.psk(0, append(slices.Clone(l.e.args[0]), "--lead", l.port, "--every", every)...)
}

func (l *life) follow() *end {
	return l.n.psk(1, append(slices.Clone(l.e.args[1]), "--listen", l.port)...)
}

func (l *life) step(what string, args ...any) {
	l.Logf("%6.2f s  "+what, append([]any{time.Since(l.begin).Seconds()}, args...)...)
}

// flows waits for traffic both ways from now on.
func (l *life) flows() {
	l.Helper()
	a, b := l.pings[0].Received(), l.pings[1].Received()
	tunneltest.Await(l, "traffic flows", patience, func() bool { return l.pings[0].Received() > a+4 && l.pings[1].Received() > b+4 })
}

func (l *life) up() {
	l.leader, l.follower = l.lead(), l.follow() // either may be first
	l.leader.rotates(1)
	for i := range l.e.addr {
		if !l.e.Reaches(i, l.e.addr[1-i], 30*time.Second) {
			l.Fatal("the tunnel does not come up")
		}
	}
	l.pings = [2]*tunneltest.Pinging{l.e.Ping(0, l.e.addr[1], beat), l.e.Ping(1, l.e.addr[0], beat)}
	l.step("the tunnel is up")
}

// dry takes the key away, by killing the only node on its way, and gives it back.
func (l *life) dry() {
	l.n.MustKill(relay)
	l.n.dry()
	if f := l.leader.fails("key exhausted"); f.Step != "draw" || !strings.Contains(f.Text, "not enough keys") {
		l.Errorf("without key the leader says %+v", f)
	}
	l.flows()
	tunneltest.Await(l, "the follower tells of all keys", patience, func() bool { return len(l.follower.told()) >= len(l.leader.told()) })
	same(l.T, l.leader.told(), l.follower.told())
	l.e.holds(l.T, last(l.leader.told()))
	l.step("no key left; the tunnel goes on under the last one")
	l.n.MustStart(relay)
	l.leader.rotates(2)
	l.step("the relay is back, and so is key")
}

// killed kills first the follower's process, then the leader's.
func (l *life) killed() {
	l.follower.kill()
	if f := l.leader.fails("unreachable"); !strings.Contains(f.Text, "is qsc running there with --listen?") {
		l.Errorf("without a follower the leader says %+v", f)
	}
	l.flows()
	l.follower = l.follow()
	l.leader.rotates(2)
	l.step("a new follower is taken up")
	l.leader.kill()
	l.flows()
	l.leader = l.lead()
	l.leader.rotates(2)
	l.step("a new leader takes over")
}

// ended ends both with Ctrl-C and counts the pings.
func (l *life) ended() {
	if code := l.leader.interrupt(); code != 0 {
		l.Errorf("Ctrl-C ends the leader with exit code %d", code)
	}
	l.e.holds(l.T, last(l.leader.told()))
	if code := l.follower.interrupt(); code != 0 {
		l.Errorf("Ctrl-C ends the follower with exit code %d", code)
	}
	l.flows()
	for _, p := range l.pings {
		sent, got := p.Stop()
		l.Logf("%d pings sent, %d answered", sent, got)
		if sent < 100 || got != sent {
			l.Errorf("%d of %d pings answered", got, sent)
		}
	}
	l.step("ended")
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
