package etsi004

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crypto/x509/pkix"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// dial connects without the client's manners.
func (w *world) dial(t *testing.T, cfg *tls.Config) *tls.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", w.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return tls.Client(raw, withName(cfg))
}

func withName(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.ServerName = "127.0.0.1"
	return cfg
}

// ended reads until the server closes the connection and returns what came.
func ended(t *testing.T, c net.Conn) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the server keeps the connection")
	}
	return b
}

func TestMalformedRequestsEndTheConnection(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	good, err := wire.AppendOpenRequest(nil, wire.OpenRequest{Source: "alice", Destination: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.ca.Client(t, "alice")
	for name, b := range map[string][]byte{
		"other version":   {2, 1, 1, 2, 0, 0, 0, 0},
		"an answer":       {1, 0, 1, 3, 0, 0, 0, 0},
		"unknown type":    {1, 0, 1, 0x77, 0, 0, 0, 0},
		"huge open":       {1, 0, 1, 2, 0xff, 0xff, 0xff, 0xff},
		"huge get":        {1, 0, 1, 4, 0, 0, 1, 0},
		"short close":     {1, 0, 1, 8, 0, 0, 0, 1, 9},
		"empty open":      {1, 0, 1, 2, 0, 0, 0, 0},
		"no NUL":          append([]byte{1, 0, 1, 2, 0, 0, 1, 0x40}, bytes.Repeat([]byte{'x'}, 0x140)...),
		"cut short":       append([]byte{1, 0, 1, 2, 0, 0, 0, 0x40}, good[8:8+0x40]...),
		"HTTP":            []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"trailing in get": append([]byte{1, 0, 1, 4, 0, 0, 0, 25}, make([]byte, 25)...),
	} {
		c := w.dial(t, cfg)
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		if got := ended(t, c); len(got) > 0 {
			t.Errorf("%s: %d bytes of answer", name, len(got))
		}
	}
	until(t, func() bool { return w.s.connections("alice") == 0 })
}

func TestCertificatesAreDemanded(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	stranger := newWorld(t, keymgmttest.SupplyConfig{}, nil).ca.Client(t, "alice")
	known := w.ca.Client(t, "alice")
	none := known.Clone()
	none.Certificates = nil
	foreign := known.Clone()
	foreign.Certificates = stranger.Certificates
	late := known.Clone()
	late.Certificates = []tls.Certificate{w.ca.Issue(t, "alice", -time.Minute)}
	nameless := known.Clone()
	nameless.Certificates = []tls.Certificate{w.ca.Issue(t, "", time.Hour)}
	for name, cfg := range map[string]*tls.Config{"none": none, "foreign": foreign, "expired": late, "nameless": nameless} {
		c := w.dial(t, cfg)
		_ = c.Handshake() // in TLS 1.3 the client learns of the refusal later
		if got := ended(t, c); len(got) > 0 {
			t.Errorf("%s certificate: %d bytes of answer", name, len(got))
		}
	}
	old := known.Clone()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	if err := w.dial(t, old).Handshake(); err == nil {
		t.Error("TLS 1.1 was taken")
	}
	two := known.Clone()
	two.MaxVersion = tls.VersionTLS12
	c, err := Dial(t.Context(), w.addr(), two)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(<-open(t, c, "alice", "bob", wire.KSID{}, wire.QoS{})).check(t, wire.NoPeerYet)
}

func TestCertificateEndsWithinAConnection(t *testing.T) {
	var later atomic.Int64
	w := newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) {
		c.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	cfg := w.ca.Client(t, "alice")
	cfg.Certificates = []tls.Certificate{w.ca.Issue(t, "alice", time.Hour)}
	c, err := Dial(t.Context(), w.addr(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(<-open(t, c, "alice", "bob", wire.KSID{}, wire.QoS{})).check(t, wire.NoPeerYet)
	later.Store(int64(time.Hour))
	if _, err := c.Get(t.Context(), wire.GetRequest{ID: id(9)}, make([]byte, 1)); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatal(err)
	}
}

func TestIdleAndStuckConnectionsEnd(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) { c.Idle, c.MaxTimeout = 30*time.Millisecond, 30*time.Millisecond })
	c := w.dial(t, w.ca.Client(t, "alice"))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	ended(t, c)
}

func TestConnectionsAreBounded(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) { c.MaxConns, c.MaxClientConns = 3, 2 })
	w.client(t, "alice")
	second := w.client(t, "alice")
	until(t, func() bool { return w.s.connections("alice") == 2 })
	ended(t, w.dial(t, w.ca.Client(t, "alice")))
	until(t, func() bool { return len(w.s.places) == 2 })
	w.client(t, "bob")
	until(t, func() bool { return w.s.connections("bob") == 1 })
	if err := w.dial(t, w.ca.Client(t, "carol")).Handshake(); err == nil {
		t.Fatal("a fourth connection found a place")
	}
	_ = second.Close()
	until(t, func() bool { return len(w.s.places) == 2 })
	w.client(t, "carol")
}

// What an idle connection costs is bounded: by default 1,024 of them have a place.
func TestIdleConnectionsAreCheap(t *testing.T) {
	n := 100
	if os.Getenv("QSC_LONG") != "" {
		n = 2000
	}
	w := newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) { c.MaxConns, c.MaxClientConns = n, n })
	cfg := w.ca.Client(t, "alice")
	before := heap()
	for range n {
		if err := w.dial(t, cfg).Handshake(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func() bool { return w.s.connections("alice") == n })
	each := (heap() - before) / int64(n)
	t.Logf("%d bytes for an idle connection, both its ends in this process", each)
	if each > 200<<10 {
		t.Errorf("%d bytes for an idle connection", each)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// The oracle: several connections of one application race for the same chunks,
// and each chunk is given once.
func TestRacingConnectionsGetEachChunkOnce(t *testing.T) {
	const racers, chunks = 4, 500
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	w.pair(t, id(1), wire.QoS{ChunkSize: 16})
	var mu sync.Mutex
	given := map[uint32]int{}
	seen := map[[16]byte]bool{}
	var wg sync.WaitGroup
	for range racers {
		p := w.client(t, "alice").Pipeline(id(1), 0, chunks, 0, 8)
		wg.Go(func() {
			var b [16]byte
			for range chunks {
				index, _, err := p.Next(t.Context(), b[:])
				mu.Lock()
				if s, ok := wire.StatusOf(err); !ok || s != wire.OK && s != wire.Insufficient {
					t.Errorf("chunk %d: %v", index, err)
				} else if err == nil {
					if seen[b] {
						t.Errorf("the bytes of chunk %d came twice", index)
					}
					given[index]++
					seen[b] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range uint32(chunks) {
		if given[i] != 1 {
			t.Fatalf("chunk %d was given %d times", i, given[i])
		}
	}
}

// Answers are bounded in memory, and those that wait for room get it.
func TestMemoryIsSharedOut(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) { c.MaxChunk, c.Memory = 64<<10, 64<<10 })
	var wg sync.WaitGroup
	for i := range byte(4) {
		a, _ := w.pair(t, id(i), wire.QoS{ChunkSize: 64 << 10})
		wg.Go(func() {
			dst := make([]byte, 64<<10)
			for n := range uint32(20) {
				if _, err := a.Get(t.Context(), wire.GetRequest{ID: id(i), Index: n}, dst); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAppOf(t *testing.T) {
	for uri, want := range map[string]qsc.AppID{
		"alice":                        "alice",
		"bank vault 7":                 "bank vault 7",
		"qkd://alice@node-1":           "alice",
		"qkd://alice":                  "alice",
		"qkd://al%20ice@n":             "al ice",
		"qkd://alice@n/path?token=abc": "alice",
		"urn:sae:7?=x#y":               "urn:sae:7",
		"https://host/app?token=x":     "https://host/app",
		"":                             "",
		"qkd://":                       "",
		"qkd://alice:secret@n":         "",
		"qkd:alice":                    "qkd:alice",
		"a\nb":                         "",
		"://x":                         "",
	} {
		got, err := AppOf(uri)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", uri, got, err, want)
		}
	}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, URIs: []*url.URL{{Scheme: "qkd", User: url.User("bob"), Host: "n"}}}
	if got := CertNames(cert); len(got) != 2 || got[0] != "alice" || got[1] != "bob" {
		t.Errorf("%v", got)
	}
}

func FuzzAppOf(f *testing.F) {
	f.Add("qkd://alice@node?x=y")
	f.Add("urn:a:b")
	f.Fuzz(func(t *testing.T, uri string) {
		app, err := AppOf(uri)
		if (err == nil) == (app == "") || len(app) > 255 {
			t.Errorf("%d bytes, error %v", len(app), err)
		}
	})
}

func TestServeNeedsItsParts(t *testing.T) {
	if _, err := Serve(nil, Config{}); !qsc.IsKind(err, qsc.Invalid) {
		t.Fatal(err)
	}
}
