package etsi014

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// The test binary, started again with this variable set, is a KME in a process of
// its own: it prints its two addresses and lives until its input ends.
const processEnv = "QSC_TEST_KME"

func TestMain(m *testing.M) {
	if files := os.Getenv(processEnv); files != "" {
		if err := serveProcess(strings.Split(files, ",")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveProcess is both KMEs of the pair over one supply double.
func serveProcess(files []string) error {
	cert, err := tls.LoadX509KeyPair(files[1], files[2])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	supply := keymgmttest.NewSupply(keymgmttest.SupplyConfig{Homes: homes})
	for _, c := range []Config{{Node: "A"}, {Node: "B"}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		c.Supply, c.Directory, c.Door = supply, supply, sae.Config{Certificate: cert, ClientCAs: pool}
		s, err := Serve(l, c)
		if err != nil {
			return err
		}
		defer s.Close()
		fmt.Println(s.Addr())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// process is a pair of KMEs elsewhere.
type process struct {
	ca      *testkit.CA
	cmd     *exec.Cmd
	url     string // of A
	peerURL string // of B
}

func startKME(t testing.TB) *process {
	t.Helper()
	p := &process{ca: testkit.NewCA(t)}
	caFile, certFile, privateFile := p.ca.Files(t, p.ca.Leaf(t, "kme"))
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), processEnv+"="+caFile+","+certFile+","+privateFile)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = p.cmd.Wait() })
	lines := bufio.NewScanner(out)
	for _, to := range []*string{&p.url, &p.peerURL} {
		if !lines.Scan() {
			t.Fatal("the KME process did not start")
		}
		*to = "https://" + lines.Text()
	}
	return p
}

// rss is the process's resident memory in bytes (Linux).
func (p *process) rss(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		t.Skip("memory is read from /proc: ", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
