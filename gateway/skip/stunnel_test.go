package skip

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// The snippet of docs/design/etsi014.md: a router with a pre-shared key in front,
// stunnel between, a certificate behind.
const terminator = `foreground = yes
pid =
debug = info
[psk]
accept = %[1]s
connect = %[2]s
PSKsecrets = %[3]s
ciphers = DHE-PSK-AES256-CBC-SHA384:DHE-PSK-AES256-GCM-SHA384
sslVersionMin = TLSv1.2
[certificate]
client = yes
accept = %[2]s
connect = %[4]s
CAfile = %[5]s
cert = %[6]s
key = %[7]s
verifyChain = yes
checkIP = 127.0.0.1
sslVersionMin = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
`

func TestBehindStunnel(t *testing.T) {
	stunnel, err1 := exec.LookPath("stunnel")
	openssl, err2 := exec.LookPath("openssl")
	if err1 != nil || err2 != nil {
		t.Skip("stunnel or openssl is not installed")
	}
	p := open(t, keymgmttest.SupplyConfig{})
	ca, cert, private := p.ca.Files(t, p.ca.Leaf(t, "router-1"))
	dir, front, between := t.TempDir(), testkit.Address(t), testkit.Address(t)
	const psk = "8f0b6c1d2e3f405162738495a6b7c8d98f0b6c1d2e3f405162738495a6b7c8d9" // of this test only
	list, conf := filepath.Join(dir, "psk"), filepath.Join(dir, "conf")
	for path, text := range map[string]string{
		list: "router:" + psk + "\n",
		conf: fmt.Sprintf(terminator, front, between, list, p.a.Addr(), ca, cert, private),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(stunnel, conf)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	bound(t, said, 2)
	ask := exec.Command(openssl, "s_client", "-connect", front, "-tls1_2", "-cipher", "DHE-PSK-AES256-CBC-SHA384", "-psk_identity", "router", "-psk", psk, "-quiet")
	ask.Stdin = strings.NewReader("GET /key?remoteSystemID=router-2 HTTP/1.1\r\nHost: kp\r\nConnection: close\r\n\r\n")
	out, err := ask.Output()
	if !strings.HasPrefix(string(out), "HTTP/1.1 200 OK") || !strings.Contains(string(out), `"keyId":"`) {
		t.Fatalf("%.100q, %v", strings.SplitN(string(out), "\r\n", 2)[0], err)
	}
}

// bound reads what stunnel says until that many services listen.
func bound(t *testing.T, said io.Reader, services int) {
	t.Helper()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "bound to") {
			services--
		}
		if services == 0 {
			return
		}
	}
	t.Fatal("stunnel ended before it listened")
}
