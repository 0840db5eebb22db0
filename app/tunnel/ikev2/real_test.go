package ikev2

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// linger is short, as the cable is. How long a busy machine holds a packet up nobody
// knows: see drained.
const linger = 250 * time.Millisecond

// drained waits until each end of the old IKE SAs has taken in every packet that the
// other has sent by them.
func drained(p *tunneltest.StrongSwan, conn *Conn) func(context.Context, []string) {
	return func(ctx context.Context, old []string) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for under := true; under; {
			out, in := map[string]string{}, map[string]string{} // packets by the SA's SPI
			for i := range p.Socket {
				for _, s := range p.SAs(i, conn.Name) {
					if i == 0 && !slices.Contains(old, s.Get("uniqueid")) {
						continue
					}
					for _, c := range s.Section("child-sas").Items {
						out[c.Sub.Get("spi-out")], in[c.Sub.Get("spi-in")] = c.Sub.Get("packets-out"), c.Sub.Get("packets-in")
					}
				}
			}
			under = false
			for spi, n := range out {
				if got, both := in[spi]; both && got != n {
					under = true
				}
			}
			if under {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		}
	}
}

// realPair runs two charons in two namespaces: networks 10.91.1.1 and 10.91.2.1
// are to be joined.
func realPair(t *testing.T) (p *tunneltest.StrongSwan, sockets [2]string, conns [2]*Conn) {
	t.Helper()
	p = tunneltest.NewStrongSwan(t)
	for i, file := range p.Conf {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if conns[i], err = ParseConn(text, "sites", ""); err != nil {
			t.Fatal(err)
		}
	}
	return p, p.Socket, conns
}

// A real pair of strongSwan, its PPK rotated under traffic: every IKE SA is
// authenticated with the new PPK, no ping is lost, nothing old is left; and a
// wrong PPK makes no IKE SA while the old one goes on.
func TestRealRotation(t *testing.T) {
	p, sockets, conns := realPair(t)
	keys := &tunneltest.Keys{}
	lead, _ := tunneltest.Rig(t, keys, &Initiator{Socket: sockets[0], Conn: conns[0], Linger: linger, drained: drained(p, conns[0])}, &Responder{Socket: sockets[1], Conn: conns[1], Userspace: true})
	if err := lead.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.Reaches(0, "10.91.2.1", 30*time.Second) {
		t.Fatal("the tunnel does not come up")
	}
	ping, back := p.Ping(0, "10.91.2.1", 20*time.Millisecond), p.Ping(1, "10.91.1.1", 20*time.Millisecond)
	var slowest time.Duration
	lead.Report = func(e tunnel.Event) { slowest = max(slowest, e.Took) }
	flows := func() {
		a, b := ping.Received(), back.Received()
		tunneltest.Await(t, "traffic flows", 30*time.Second, func() bool { return ping.Received() > a+4 && back.Received() > b+4 })
	}
	for i := range 6 {
		flows()
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
	}
	flows()
	one := onlySA(t, sockets[0], conns[0])
	keys.Wrong = true
	if err := lead.Rotate(t.Context()); err == nil {
		t.Error("a rotation to different keys at both ends succeeded: the test cannot fail")
	}
	keys.Wrong = false
	if got := onlySA(t, sockets[0], conns[0]); got != one {
		t.Errorf("after a failed rotation IKE SA %s is up, not %s as before", got, one)
	}
	flows()
	if err := lead.Rotate(t.Context()); err != nil {
		t.Fatalf("after a failed rotation: %v", err)
	}
	flows()
	t.Logf("the slowest rotation took %v", slowest)
	for _, g := range []*tunneltest.Pinging{ping, back} {
		sent, got := g.Stop()
		t.Logf("%d pings sent, %d answered over 8 rotations", sent, got)
		if sent < 30 || got != sent {
			t.Errorf("%d of %d pings answered", got, sent)
		}
	}
	for i := range sockets {
		if n := len(p.PPKs(i, prefix)); n != 1 {
			t.Errorf("charon %d holds %d PPKs of ours, want the one in use", i, n)
		}
	}
}

// Where the kernel or another program encrypts there are no lanes; the tunnel
// moves from key to key all the same, also after charon has lost all PPKs.
func TestRealWithoutLanes(t *testing.T) {
	p, sockets, conns := realPair(t)
	lead, _ := tunneltest.Rig(t, &tunneltest.Keys{}, &Initiator{Socket: sockets[0], Conn: conns[0], Linger: time.Millisecond}, &Responder{Socket: sockets[1], Conn: conns[1]})
	last := ""
	for i := range 3 {
		if i == 2 {
			for h := range sockets {
				p.Call(h, "clear-creds", &vici.Section{})
				p.Password(h)
			}
		}
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
		now := onlySA(t, sockets[0], conns[0])
		if now == last || !p.Reaches(0, "10.91.2.1", 30*time.Second) {
			t.Fatalf("rotation %d: IKE SA %s after %s", i, now, last)
		}
		last = now
	}
}

// A new leader, which knows nothing of the old one, takes the tunnel over
// without a lost ping; so does a new follower.
func TestRealRestart(t *testing.T) {
	p, sockets, conns := realPair(t)
	keys := &tunneltest.Keys{}
	var ping *tunneltest.Pinging
	for i := range 3 {
		lead, _ := tunneltest.Rig(t, keys, &Initiator{Socket: sockets[0], Conn: conns[0], Linger: linger, drained: drained(p, conns[0])}, &Responder{Socket: sockets[1], Conn: conns[1], Userspace: true})
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		if ping == nil {
			ping = p.Ping(0, "10.91.2.1", 20*time.Millisecond)
		}
		seen := ping.Received()
		tunneltest.Await(t, "traffic flows", 30*time.Second, func() bool { return ping.Received() > seen+4 })
		onlySA(t, sockets[0], conns[0])
	}
	if sent, got := ping.Stop(); sent < 10 || got != sent {
		t.Errorf("%d of %d pings answered", got, sent)
	}
}

// onlySA returns the number of the only IKE SA, which has a PPK and its child.
func onlySA(t *testing.T, socket string, conn *Conn) string {
	t.Helper()
	all, err := (daemon{socket}).sas(t.Context(), conn.Name, conn.Child)
	if err != nil || len(all) != 1 || !all[0].ppk || !all[0].up {
		t.Fatalf("IKE SAs %+v, error %v; want one that is up with a PPK", all, err)
	}
	return all[0].id
}
