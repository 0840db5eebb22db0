package ikev2

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/tunneltest"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// settings run a charon of its own beside any that the machine has: another
// socket, no system configuration, encryption in the process itself over a TUN
// device (this kernel may have no ESP).
const settings = `charon-systemd {
  load = random nonce openssl pem pkcs1 pubkey x509 hmac kdf sha1 sha2 aes gcm curve25519 vici kernel-libipsec kernel-netlink socket-default
  plugins {
    vici { socket = unix://%s }
    kernel-netlink { fwmark = !0x42 }
    socket-default { fwmark = 0x42 }
  }
  filelog { log { path = %s
    default = 1
    time_format = %%H:%%M:%%S
    time_add_ms = yes
  } }
}
`

// swanctl is the connection as a person writes it; the PPK's name is not in it.
const swanctl = `# two sites
connections {
  sites {
    local_addrs  = 10.99.0.%[1]d
    remote_addrs = 10.99.0.%[2]d
    proposals    = aes256gcm16-prfsha256-ecp256
    local  { auth = psk
      id = host%[1]d@example.org }
    remote { auth = psk
      id = host%[2]d@example.org }
    children {
      net {
        local_ts  = 10.91.%[1]d.1/32
        remote_ts = 10.91.%[2]d.1/32
        esp_proposals = aes256gcm16
      }
    }
  }
}
`

// linger is short, as the cable is; a busy machine holds a packet up for some
// ten milliseconds.
const linger = 250 * time.Millisecond

// realPair runs two charons in two namespaces: networks 10.91.1.1 and 10.91.2.1
// are to be joined.
func realPair(t *testing.T) (p *tunneltest.Pair, sockets [2]string, conns [2]*Conn) {
	t.Helper()
	tunneltest.Need(t, "charon-systemd")
	for _, plugin := range []string{"kernel-libipsec", "openssl"} {
		if found, _ := filepath.Glob("/usr/lib/ipsec/plugins/libstrongswan-" + plugin + ".so"); len(found) == 0 {
			t.Skipf("needs strongSwan's plugin %s (Debian: libcharon-extra-plugins libstrongswan-standard-plugins)", plugin)
		}
	}
	p = tunneltest.NewPair(t)
	dir := t.TempDir()
	for i := range sockets {
		sockets[i] = filepath.Join(dir, fmt.Sprintf("%d.vici", i))
		conf, log := filepath.Join(dir, fmt.Sprintf("%d.conf", i)), filepath.Join(dir, fmt.Sprintf("%d.log", i))
		if err := os.WriteFile(conf, fmt.Appendf(nil, settings, sockets[i], log), 0o600); err != nil {
			t.Fatal(err)
		}
		p.In(i, "ip", "addr", "add", fmt.Sprintf("10.91.%d.1/32", i+1), "dev", "lo")
		p.Start(i, []string{"STRONGSWAN_CONF=" + conf}, "charon-systemd")
		t.Cleanup(func() {
			if text, _ := os.ReadFile(log); t.Failed() {
				lines := strings.Split(string(text), "\n")
				t.Logf("charon %d:\n%s", i, strings.Join(lines[max(0, len(lines)-60):], "\n"))
			}
		})
	}
	for i := range sockets {
		tunneltest.Await(t, "charon opens its socket", 10*time.Second, func() bool {
			c, err := vici.Dial(t.Context(), sockets[i])
			if err != nil {
				return false
			}
			_ = c.Close()
			return true
		})
		var err error
		if conns[i], err = ParseConn(fmt.Appendf(nil, swanctl, i+1, 2-i), "sites", ""); err != nil {
			t.Fatal(err)
		}
		password(t, sockets[i])
	}
	return p, sockets, conns
}

// password loads what authenticates the two hosts of the test to each other.
func password(t *testing.T, socket string) {
	t.Helper()
	ike := (&vici.Section{}).Set("id", "site").Set("type", "ike").Set("data", "a password of the test")
	if err := (daemon{socket}).call(t.Context(), "load-shared", ike); err != nil {
		t.Fatal(err)
	}
}

func loaded(t *testing.T, socket string) (n int) {
	t.Helper()
	err := (daemon{socket}).do(t.Context(), func(c *vici.Client) error {
		answer, err := c.Call(t.Context(), "get-shared", &vici.Section{})
		for _, name := range answer.GetList("keys") {
			if strings.HasPrefix(name, prefix) {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A real pair of strongSwan, its PPK rotated under traffic: every IKE SA is
// authenticated with the new PPK, no ping is lost, nothing old is left; and a
// wrong PPK makes no IKE SA while the old one goes on.
func TestRealRotation(t *testing.T) {
	p, sockets, conns := realPair(t)
	keys := &tunneltest.Keys{}
	lead, _ := tunneltest.Rig(t, keys, &Initiator{Socket: sockets[0], Conn: conns[0], Linger: linger}, &Responder{Socket: sockets[1], Conn: conns[1], Userspace: true})
	if err := lead.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.Reaches(0, "10.91.2.1", 5*time.Second) {
		t.Fatal("the tunnel does not come up")
	}
	ping, back := p.Ping(0, "10.91.2.1", 20*time.Millisecond), p.Ping(1, "10.91.1.1", 20*time.Millisecond)
	var slowest time.Duration
	lead.Report = func(e tunnel.Event) { slowest = max(slowest, e.Took) }
	flows := func() {
		a, b := ping.Received(), back.Received()
		tunneltest.Await(t, "traffic flows", 5*time.Second, func() bool { return ping.Received() > a+4 && back.Received() > b+4 })
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
	for i, s := range sockets {
		if n := loaded(t, s); n != 1 {
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
			for _, s := range sockets {
				if err := (daemon{s}).call(t.Context(), "clear-creds", &vici.Section{}); err != nil {
					t.Fatal(err)
				}
				password(t, s)
			}
		}
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
		now := onlySA(t, sockets[0], conns[0])
		if now == last || !p.Reaches(0, "10.91.2.1", 5*time.Second) {
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
		lead, _ := tunneltest.Rig(t, keys, &Initiator{Socket: sockets[0], Conn: conns[0], Linger: linger}, &Responder{Socket: sockets[1], Conn: conns[1], Userspace: true})
		if err := lead.Rotate(t.Context()); err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		if ping == nil {
			ping = p.Ping(0, "10.91.2.1", 20*time.Millisecond)
		}
		seen := ping.Received()
		tunneltest.Await(t, "traffic flows", 5*time.Second, func() bool { return ping.Received() > seen+4 })
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
