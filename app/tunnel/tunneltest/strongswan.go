package tunneltest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// StrongSwan is a pair of hosts with a charon on each. The connection "sites"
// with its child "net" is to join the networks 10.91.1.1 and 10.91.2.1; nothing
// of it is loaded but the password that authenticates the two hosts.
type StrongSwan struct {
	*Pair
	Socket [2]string // vici
	Conf   [2]string // files that describe the connection, as swanctl.conf does
}

// NewStrongSwan starts the pair, which ends with the test. It skips the test
// where that cannot be.
func NewStrongSwan(t testing.TB) *StrongSwan {
	t.Helper()
	Need(t, "charon-systemd")
	for _, plugin := range []string{"kernel-libipsec", "openssl"} {
		if found, _ := filepath.Glob("/usr/lib/ipsec/plugins/libstrongswan-" + plugin + ".so"); len(found) == 0 {
			t.Skipf("needs strongSwan's plugin %s (Debian: libcharon-extra-plugins libstrongswan-standard-plugins)", plugin)
		}
	}
	s := &StrongSwan{Pair: NewPair(t)}
	dir := t.TempDir()
	for i := range s.Socket {
		s.charon(i, dir)
	}
	for i := range s.Socket {
		Await(t, "charon opens its socket", 30*time.Second, func() bool {
			c, err := vici.Dial(t.Context(), s.Socket[i])
			if err != nil {
				return false
			}
			_ = c.Close()
			return true
		})
		s.Password(i)
	}
	return s
}

// charon starts the daemon of host i, whose files are in dir.
func (s *StrongSwan) charon(i int, dir string) {
	s.t.Helper()
	s.Socket[i] = filepath.Join(dir, fmt.Sprintf("%d.vici", i))
	s.Conf[i] = filepath.Join(dir, fmt.Sprintf("%d.swanctl.conf", i))
	conf, log := filepath.Join(dir, fmt.Sprintf("%d.conf", i)), filepath.Join(dir, fmt.Sprintf("%d.log", i))
	for name, text := range map[string][]byte{
		conf: fmt.Appendf(nil, settings, s.Socket[i], log), s.Conf[i]: fmt.Appendf(nil, swanctl, i+1, 2-i),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.In(i, "ip", "addr", "add", fmt.Sprintf("10.91.%d.1/32", i+1), "dev", "lo")
	s.Start(i, []string{"STRONGSWAN_CONF=" + conf}, "charon-systemd")
	s.t.Cleanup(func() {
		if text, _ := os.ReadFile(log); s.t.Failed() {
			lines := strings.Split(string(text), "\n")
			s.t.Logf("charon %d:\n%s", i, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
}

// Password loads what authenticates the two hosts to each other into the charon
// of host i.
func (s *StrongSwan) Password(i int) {
	s.t.Helper()
	s.Call(i, "load-shared", (&vici.Section{}).Set("id", "site").Set("type", "ike").Set("data", "a password of the test"))
}

// Call sends a command to the charon of host i and returns its answer.
func (s *StrongSwan) Call(i int, cmd string, msg *vici.Section) *vici.Section {
	s.t.Helper()
	c, err := vici.Dial(s.t.Context(), s.Socket[i])
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	answer, err := c.Call(s.t.Context(), cmd, msg)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// PPKs names the shared secrets of the charon of host i that begin with prefix.
func (s *StrongSwan) PPKs(i int, prefix string) (names []string) {
	s.t.Helper()
	for _, name := range s.Call(i, "get-shared", &vici.Section{}).GetList("keys") {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// SAs lists what the charon of host i tells of a connection's IKE SAs.
func (s *StrongSwan) SAs(i int, conn string) (all []*vici.Section) {
	s.t.Helper()
	c, err := vici.Dial(s.t.Context(), s.Socket[i])
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Stream(s.t.Context(), "list-sas", "list-sa", (&vici.Section{}).Set("ike", conn), func(e *vici.Section) {
		if sa := e.Section(conn); sa != nil {
			all = append(all, sa)
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}
