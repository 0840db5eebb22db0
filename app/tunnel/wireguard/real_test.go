package wireguard

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
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
	conf string // of the peer, as set takes it, without its key
}

// talk sends one raw request to a device.
func talk(t *testing.T, d Device, msg string) {
	t.Helper()
	c, err := net.Dial("unix", d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte(msg))
	answer := make([]byte, 64)
	n, _ := c.Read(answer)
	if string(answer[:n]) != "errno=0\n\n" {
		t.Fatalf("the device answers %q", answer[:n])
	}
}

// realPair runs two wireguard-go in two namespaces and joins them: 10.91.0.1 and
// 10.91.0.2 through the tunnel.
func realPair(t *testing.T) (*tunneltest.Pair, [2]host) {
	t.Helper()
	tunneltest.Need(t, "wireguard-go")
	p := tunneltest.NewPair(t)
	var private [2]*ecdh.PrivateKey
	var hosts [2]host
	for i := range hosts {
		private[i], _ = ecdh.X25519().GenerateKey(rand.Reader)
		name := fmt.Sprintf("q%s%d", p.NS[i][len(p.NS[i])-6:], i)
		hosts[i].dev = Named(name)
		p.Start(i, []string{"LOG_LEVEL=error", "WG_PROCESS_FOREGROUND=1"}, "wireguard-go", "-f", name)
		tunneltest.Await(t, "wireguard-go opens its socket", 10*time.Second, func() bool {
			_, err := os.Stat(hosts[i].dev.Socket)
			return err == nil
		})
		p.In(i, "ip", "addr", "add", fmt.Sprintf("10.91.0.%d/24", i+1), "dev", name)
		p.In(i, "ip", "link", "set", name, "up")
	}
	for i := range hosts {
		o := 1 - i
		hosts[i].peer = PeerID(private[o].PublicKey().Bytes())
		hosts[i].conf = fmt.Sprintf("public_key=%s\nendpoint=10.99.0.%d:51820\nreplace_allowed_ips=true\nallowed_ip=10.91.0.%d/32\n",
			hex.EncodeToString(hosts[i].peer[:]), o+1, o+1)
		talk(t, hosts[i].dev, "set=1\nprivate_key="+hex.EncodeToString(private[i].Bytes())+"\nlisten_port=51820\n"+hosts[i].conf+"\n")
	}
	return p, hosts
}

func psk(t *testing.T, h host) qsc.Secret {
	t.Helper()
	p, err := h.dev.peer(t.Context(), h.peer)
	if err != nil {
		t.Fatal(err)
	}
	return p.PSK
}

// again takes host 0's peer away, with its session, and puts it back with the
// pre-shared key it had: a new handshake has to be made.
func again(t *testing.T, h host, k qsc.Secret) {
	t.Helper()
	talk(t, h.dev, "set=1\npublic_key="+hex.EncodeToString(h.peer[:])+"\nremove=true\n\n")
	talk(t, h.dev, "set=1\n"+h.conf+"\n")
	if err := h.dev.SetPSK(context.Background(), h.peer, k); err != nil {
		t.Fatal(err)
	}
}

// A real pair, its key rotated under traffic: no ping is lost, both ends have
// the same new key each time, and a handshake succeeds with it and fails with
// another.
func TestRealRotation(t *testing.T) {
	p, hosts := realPair(t)
	if !p.Reaches(0, "10.91.0.2", 10*time.Second) {
		t.Fatal("the tunnel does not come up")
	}
	lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, &End{Device: hosts[0].dev, Peer: hosts[0].peer}, &End{Device: hosts[1].dev, Peer: hosts[1].peer})
	var slowest time.Duration
	lead.Report = func(e tunnel.Event) { slowest = max(slowest, e.Took) }
	ping := p.Ping(0, "10.91.0.2", 20*time.Millisecond)
	before := psk(t, hosts[0])
	for i := range 6 {
		seen := ping.Received()
		tunneltest.Await(t, "traffic flows", 5*time.Second, func() bool { return ping.Received() > seen+4 })
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
	tunneltest.Await(t, "traffic flows", 5*time.Second, func() bool { return ping.Received() > seen+4 })
	sent, got := ping.Stop()
	t.Logf("%d pings sent, %d answered over 6 rotations, the slowest of which took %v", sent, got, slowest)
	if sent < 30 || got != sent {
		t.Errorf("%d of %d pings answered", got, sent)
	}
	again(t, hosts[0], before)
	if !p.Reaches(0, "10.91.0.2", 10*time.Second) {
		t.Error("no handshake with the key of the last rotation")
	}
	wrong := qsc.NewSecret(make([]byte, 32))
	again(t, hosts[0], wrong)
	if p.Reaches(0, "10.91.0.2", 2*time.Second) {
		t.Error("a handshake with another pre-shared key: the test cannot fail")
	}
	again(t, hosts[0], before)
	if !p.Reaches(0, "10.91.0.2", 10*time.Second) {
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
	if !p.Reaches(0, "10.91.0.2", 10*time.Second) {
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
	tunneltest.Await(t, "traffic flows", 5*time.Second, func() bool { return ping.Received() > seen+50 })
	sent, got := ping.Stop()
	t.Logf("%d pings sent, %d answered", sent, got)
	if got != sent {
		t.Errorf("%d of %d pings answered", got, sent)
	}
}
