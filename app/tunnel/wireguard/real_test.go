package wireguard

import (
	"os"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
)

// host is one wireguard-go with one peer.
type host struct {
	dev  Device
	peer PeerID
}

// realPair runs two wireguard-go in two namespaces and joins them: 10.91.0.1 and
// 10.91.0.2 through the tunnel.
func realPair(t *testing.T) (w *tunneltest.WireGuard, hosts [2]host) {
	t.Helper()
	w = tunneltest.NewWireGuard(t)
	for i := range hosts {
		hosts[i] = host{Named(w.Name[i]), PeerID(w.Peer[i])}
		if hosts[i].dev.Socket != w.Socket[i] {
			t.Fatalf("the socket of %s is thought to be %s, and is %s", w.Name[i], hosts[i].dev.Socket, w.Socket[i])
		}
	}
	return w, hosts
}

func psk(t *testing.T, h host) qsc.Secret {
	t.Helper()
	p, err := h.dev.peer(t.Context(), h.peer)
	if err != nil {
		t.Fatal(err)
	}
	return p.PSK
}

// A real pair, its key rotated under traffic: no ping is lost, both ends have
// the same new key each time, and a handshake succeeds with it and fails with
// another.
func TestRealRotation(t *testing.T) {
	p, hosts := realPair(t)
	if !p.Reaches(0, "10.91.0.2", 30*time.Second) {
		t.Fatal("the tunnel does not come up")
	}
	lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, &End{Device: hosts[0].dev, Peer: hosts[0].peer}, &End{Device: hosts[1].dev, Peer: hosts[1].peer})
	var slowest time.Duration
	lead.Report = func(e tunnel.Event) { slowest = max(slowest, e.Took) }
	ping := p.Ping(0, "10.91.0.2", 20*time.Millisecond)
	before := psk(t, hosts[0])
	for i := range 6 {
		seen := ping.Received()
		tunneltest.Await(t, "traffic flows", 30*time.Second, func() bool { return ping.Received() > seen+4 })
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
		a, b := psk(t, hosts[0]), psk(t, hosts[1])
		if !a.Equal(b) || a.Equal(before) {
			t.Fatalf("rotation %d: the ends agree: %t, the key is new: %t", i, a.Equal(b), !a.Equal(before))
		}
		before = a
	}
	seen := ping.Received()
	tunneltest.Await(t, "traffic flows", 30*time.Second, func() bool { return ping.Received() > seen+4 })
	sent, got := ping.Stop()
	t.Logf("%d pings sent, %d answered over 6 rotations, the slowest of which took %v", sent, got, slowest)
	if sent < 30 || got != sent {
		t.Errorf("%d of %d pings answered", got, sent)
	}
	p.Again(0, before.Expose())
	if !p.Reaches(0, "10.91.0.2", 30*time.Second) {
		t.Error("no handshake with the key of the last rotation")
	}
	wrong := qsc.NewSecret(make([]byte, 32))
	p.Again(0, wrong.Expose())
	if p.Reaches(0, "10.91.0.2", 2*time.Second) {
		t.Error("a handshake with another pre-shared key: the test cannot fail")
	}
	p.Again(0, before.Expose())
	if !p.Reaches(0, "10.91.0.2", 30*time.Second) {
		t.Error("no handshake after the right key came back")
	}
}

// WireGuard's own handshake, two minutes into a session, with rotated keys and
// without a lost ping.
func TestRealRekey(t *testing.T) {
	if os.Getenv("QSC_LONG") == "" {
		t.Skip("takes over two minutes, until WireGuard makes a new handshake by itself: set QSC_LONG=1")
	}
	p, hosts := realPair(t)
	if !p.Reaches(0, "10.91.0.2", 30*time.Second) {
		t.Fatal("the tunnel does not come up")
	}
	lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, &End{Device: hosts[0].dev, Peer: hosts[0].peer}, &End{Device: hosts[1].dev, Peer: hosts[1].peer})
	first, err := hosts[0].dev.Handshake(t.Context(), hosts[0].peer)
	if err != nil {
		t.Fatal(err)
	}
	ping := p.Ping(0, "10.91.0.2", 20*time.Millisecond)
	tunneltest.Await(t, "WireGuard makes a new handshake", 150*time.Second, func() bool {
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		now, err := hosts[0].dev.Handshake(t.Context(), hosts[0].peer)
		return err == nil && now.Handshake.After(first.Handshake)
	})
	seen := ping.Received()
	tunneltest.Await(t, "traffic flows", 30*time.Second, func() bool { return ping.Received() > seen+50 })
	sent, got := ping.Stop()
	t.Logf("%d pings sent, %d answered", sent, got)
	if got != sent {
		t.Errorf("%d of %d pings answered", got, sent)
	}
}
