package etsi014

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// dial opens a raw TLS connection as alice.
func (n *network) dial(t testing.TB) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", n.a.Addr().String(), n.ca.Client(n.ca.Leaf(t, "alice")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// admitted dials until a connection stands: where the server's limits are short, a
// stall in the handshake costs it.
func (n *network) admitted(t *testing.T) *tls.Conn {
	t.Helper()
	conf := n.ca.Client(n.ca.Leaf(t, "alice"))
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := tls.Dial("tcp", n.a.Addr().String(), conf)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal("no connection is let in:", err)
		}
	}
}

// say sends text and reads one answer.
func say(t *testing.T, c net.Conn, text string) *http.Response {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp
}

func TestFullRequestFits(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	k, err := n.client(t, n.a, "alice").EncKeys(t.Context(), "bob", KeyRequest{Number: 128, Size: 4096})
	if err != nil {
		t.Fatal(err)
	}
	spaced := strings.ReplaceAll(string(etsi014.AppendKeyIDs(nil, k.IDs)), `"key_ID"`, "\n                    \"key_ID\"   ")
	if got := n.caller(t, n.b, "bob").do(t, "POST", apiPath+"alice/dec_keys", spaced); got.status != 200 {
		t.Errorf("128 IDs in %d bytes: %d %s", len(spaced), got.status, got.message)
	}
}

// A body over the bound is refused before it has come, told or not.
func TestHugeBodies(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	head := "POST " + apiPath + "bob/enc_keys HTTP/1.1\r\nHost: x\r\n"
	told := say(t, n.dial(t), head+"Content-Length: 10000000000\r\n\r\n{")
	chunk := strings.Repeat(" ", 1<<16)
	untold := say(t, n.dial(t), head+"Transfer-Encoding: chunked\r\n\r\n10001\r\n"+chunk+" \r\n")
	for _, r := range []*http.Response{told, untold} {
		if r.StatusCode != 400 || !r.Close {
			t.Errorf("status %d, connection closed %t", r.StatusCode, r.Close)
		}
	}
	if st, _ := n.supply.Outstanding(); st != 0 {
		t.Error("key was spent")
	}
}

func TestHugeHeader(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	r := say(t, n.dial(t), "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if r.StatusCode != 431 { // net/http answers before a handler is asked
		t.Error(r.StatusCode)
	}
}

// Clients that dawdle, in the handshake, the header or the body, are cut off; the
// others are served meanwhile.
func TestSlowClients(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{}, func(cfg *Config) {
		cfg.Door.HeaderTime, cfg.Door.ReadTime, cfg.Door.IdleTime = 150*time.Millisecond, 300*time.Millisecond, 200*time.Millisecond
	})
	plain, err := net.Dial("tcp", n.a.Addr().String()) // never begins the handshake
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	silent, header, body := n.admitted(t), n.admitted(t), n.admitted(t)
	for c, text := range map[net.Conn]string{plain: "", silent: "", header: "GET /api", body: "POST " + apiPath + "bob/enc_keys HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"} {
		_, _ = io.WriteString(c, text) // one that is cut off by now cannot be written to
	}
	honest := n.client(t, n.a, "alice")
	for deadline := time.Now().Add(30 * time.Second); ; { // stalls may cut it off, too
		_, err := honest.Status(t.Context(), "bob")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("an honest client:", err)
		}
	}
	for _, c := range []net.Conn{plain, silent, header, body} {
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
			t.Error("a slow client is still connected")
		}
	}
	if waiting, _ := n.supply.Outstanding(); waiting != 0 {
		t.Error("half a request has spent key")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{}, func(cfg *Config) { cfg.Door.MaxConns = 3 })
	held := []*tls.Conn{n.dial(t), n.dial(t), n.dial(t)}
	if c, err := tls.Dial("tcp", n.a.Addr().String(), n.ca.Client(n.ca.Leaf(t, "alice"))); err == nil {
		c.Close()
		t.Fatal("a fourth connection of three")
	}
	if r := say(t, held[0], "GET "+apiPath+"bob/status HTTP/1.1\r\nHost: x\r\n\r\n"); r.StatusCode != 200 {
		t.Error(r.StatusCode)
	}
	held[1].Close()
	n.admitted(t) // once the server has seen that one left
	if st := n.a.Stats(); st.Refused == 0 || st.Conns > 3 {
		t.Errorf("%+v", st)
	}
}

func TestRateLimit(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimiter(2)
	for i, want := range []bool{true, true, false} {
		if got := l.allow("alice", now); got != want {
			t.Errorf("request %d: %t", i, got)
		}
	}
	if !l.allow("adam", now) || !l.allow("alice", now.Add(500*time.Millisecond)) || l.allow("alice", now.Add(500*time.Millisecond)) {
		t.Error("buckets are of one SAE each and fill with time")
	}
	n := open(t, keymgmttest.SupplyConfig{}, func(cfg *Config) { cfg.Rate = 0.001 })
	alice := n.caller(t, n.a, "alice")
	for _, want := range []int{200, 503} {
		if got := alice.do(t, "GET", apiPath+"bob/status", ""); got.status != want || (want == 503) != (got.header.Get("Retry-After") != "") {
			t.Errorf("%d, want %d", got.status, want)
		}
	}
}

// Thousands of clients keep silent: what does one cost?
func TestIdleConnections(t *testing.T) {
	if os.Getenv("QSC_LONG") == "" {
		t.Skip("holds 10,000 connections for several seconds: set QSC_LONG=1")
	}
	const count = 10_000
	p := startKME(t)
	before := p.rss(t)
	conf := p.ca.Client(p.ca.Leaf(t, "alice"))
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range count {
		c, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), conf)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		say(t, c, "GET "+apiPath+"bob/status HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	each := (p.rss(t) - before) / count
	t.Logf("%d idle connections: %d bytes each", count, each)
	if each > 64<<10 {
		t.Errorf("an idle connection holds %d bytes", each)
	}
}
