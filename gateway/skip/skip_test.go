package skip

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

var homes = map[qsc.AppID]qsc.NodeID{"router-1": "A", "router-2": "B", "spare": "B"}

type pair struct {
	ca     *testkit.CA
	supply *keymgmttest.Supply
	a, b   *Server
}

func open(t *testing.T, double keymgmttest.SupplyConfig) *pair {
	t.Helper()
	double.Homes = homes
	p := &pair{ca: testkit.NewCA(t), supply: keymgmttest.NewSupply(double)}
	for node, to := range map[qsc.NodeID]**Server{"A": &p.a, "B": &p.b} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s, err := Serve(l, Config{Node: node, Supply: p.supply, Directory: p.supply, Remotes: []string{"router-*", "spa?e"},
			Door: sae.Config{Certificate: p.ca.Leaf(t, string(node)), ClientCAs: p.ca.Pool}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		*to = s
	}
	return p
}

type answer struct {
	status     int
	Message    string
	ID         string   `json:"keyId"`
	Key        any      // hexadecimal text, or the capability
	Hex        string   `json:"-"`
	Random     string   `json:"randomStr"`
	MinEntropy int      `json:"minentropy"`
	Local      string   `json:"localSystemID"`
	Remote     []string `json:"remoteSystemID"`
	Algorithm  string
	Entropy    bool
}

// client returns a function that makes requests as app.
func (p *pair) client(t *testing.T, s *Server, app string) func(method, path string) answer {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: p.ca.Client(p.ca.Leaf(t, app))}
	t.Cleanup(tr.CloseIdleConnections)
	return func(method, path string) (a answer) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || method != "HEAD" && json.Unmarshal(b, &a) != nil {
			t.Fatalf("%s %s: an answer of %d bytes that is no JSON, %v", method, path, len(b), err)
		}
		a.status = resp.StatusCode
		a.Hex, _ = a.Key.(string)
		return a
	}
}

func TestKeyAndTwin(t *testing.T) {
	p := open(t, keymgmttest.SupplyConfig{})
	one, two, spare := p.client(t, p.a, "router-1"), p.client(t, p.b, "router-2"), p.client(t, p.b, "spare")
	for _, c := range []struct {
		query string
		bytes int
	}{{"", 32}, {"&size=128", 16}, {"&size=4096", 512}} {
		k := one("GET", "/key?remoteSystemID=router-2"+c.query)
		raw, err := hex.DecodeString(k.Hex)
		if k.status != 200 || err != nil || len(raw) != c.bytes || len(k.ID) != 32 || k.ID != strings.ToLower(k.ID) {
			t.Fatalf("%s: %d %s, %d bytes", c.query, k.status, k.Message, len(raw))
		}
		path := "/key/" + strings.ToUpper(k.ID) + "?remoteSystemID="
		if got := spare("GET", path+"router-1"); got.status != 400 || got.Hex != "" {
			t.Errorf("somebody else's key: %d", got.status)
		}
		if twin := two("GET", path+"router-1"); twin.status != 200 || twin.ID != k.ID || twin.Hex != k.Hex {
			t.Fatalf("%d %s", twin.status, twin.Message)
		}
		if again := two("GET", path+"router-1"); again.status != 400 || again.Hex != "" {
			t.Errorf("a second time: %d", again.status)
		}
	}
}

func TestCapabilitiesAndEntropy(t *testing.T) {
	p := open(t, keymgmttest.SupplyConfig{})
	one := p.client(t, p.a, "router-1")
	c := one("GET", "/capabilities")
	if c.status != 200 || c.Local != "router-1" || !slices.Equal(c.Remote, []string{"router-*", "spa?e"}) || c.Algorithm != "QKD" || !c.Entropy || c.Key != true {
		t.Errorf("%d %q %q %q", c.status, c.Local, c.Remote, c.Algorithm)
	}
	for query, bits := range map[string]int{"": 256, "?minentropy=8192": 8192, "?minentropy=9": 16} {
		e := one("GET", "/entropy"+query)
		if e.status != 200 || e.MinEntropy != bits || len(e.Random) != bits/4 {
			t.Errorf("%s: %d, %d bits", query, e.status, e.MinEntropy)
		}
	}
}

func TestErrors(t *testing.T) {
	p := open(t, keymgmttest.SupplyConfig{})
	one := p.client(t, p.a, "router-1")
	id := strings.Repeat("0a", 16)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 404}, {"GET", "/keys", 404}, {"GET", "/key/", 404}, {"GET", "/key/a/b", 404}, {"POST", "/nothing", 404},
		{"POST", "/key?remoteSystemID=router-2", 405}, {"HEAD", "/capabilities", 405}, {"DELETE", "/key/" + id, 405},
		{"GET", "/key", 400}, {"GET", "/key?remoteSystemID=", 400}, {"GET", "/key?remoteSystemID=a&remoteSystemID=b", 400},
		{"GET", "/key?remoteSystemID=other", 400}, {"GET", "/key?remoteSystemID=router-9", 400}, {"GET", "/key?%zz", 400},
		{"GET", "/key?remoteSystemID=router-2&size=255", 400}, {"GET", "/key?remoteSystemID=router-2&size=0", 400},
		{"GET", "/key?remoteSystemID=router-2&size=x", 400}, {"GET", "/key?remoteSystemID=router-2&size=8", 400},
		{"GET", "/key?remoteSystemID=router-2&size=99999999", 400}, {"GET", "/key?remoteSystemID=router-1", 400},
		{"GET", "/key/" + id + "?remoteSystemID=router-2", 400}, {"GET", "/key/" + id[2:] + "?remoteSystemID=router-2", 400},
		{"GET", "/key/" + id[2:] + "zz?remoteSystemID=router-2", 400}, {"GET", "/key/" + id, 400},
		{"GET", "/entropy?minentropy=8193", 400}, {"GET", "/entropy?minentropy=-1", 400},
	} {
		if got := one(c.method, c.path); got.status != c.want || got.Message == "" && c.method != "HEAD" {
			t.Errorf("%s %s: %d %q, want %d", c.method, c.path, got.status, got.Message, c.want)
		}
	}
	for kind, want := range map[qsc.Kind]int{qsc.Exhausted: 503, qsc.Corrupt: 500, qsc.NoSpace: 500, qsc.Unreachable: 503, qsc.Denied: 400} {
		p.supply.Fail(qsc.E("supply", kind, "", "cause"))
		for _, path := range []string{"/key?remoteSystemID=router-2", "/entropy", "/key/" + id + "?remoteSystemID=router-2"} {
			if got := one("GET", path); got.status != want {
				t.Errorf("%v at %s: %d, want %d", kind, path, got.status, want)
			}
		}
	}
	for _, stranger := range []string{"router-2", "nobody"} {
		if got := p.client(t, p.a, stranger)("GET", "/capabilities"); got.status != 400 {
			t.Errorf("%s at the wrong node: %d", stranger, got.status)
		}
	}
}

// TLS 1.3 only; a client that offers the draft's suite alone gets it.
func TestTLS(t *testing.T) {
	p := open(t, keymgmttest.SupplyConfig{})
	conf := p.ca.Client(p.ca.Leaf(t, "router-1"))
	conf.MaxVersion = tls.VersionTLS12
	if c, err := tls.Dial("tcp", p.a.Addr().String(), conf); err == nil {
		c.Close()
		t.Error("TLS 1.2 was accepted")
	}
	for name, cfg := range map[string]Config{
		"a broken pattern": {Node: "A", Supply: p.supply, Directory: p.supply, Remotes: []string{"[a"}},
		"no supply":        {Node: "A", Directory: p.supply},
	} {
		if _, err := newServer(cfg); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/key", "remoteSystemID=router-2&size=256")
	f.Add("GET", "/key/"+strings.Repeat("0a", 16), "remoteSystemID=router-2")
	f.Add("GET", "/entropy", "minentropy=9")
	ca := testkit.NewCA(f)
	leaf := ca.Leaf(f, "router-1").Leaf
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	double := keymgmttest.NewSupply(keymgmttest.SupplyConfig{Homes: homes, Allowed: func(_, _ qsc.AppID) (keymgmt.Policy, bool) { return keymgmt.Policy{}, true }})
	s, err := newServer(Config{Node: "A", Supply: double, Directory: double})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL, r.TLS = method, &url.URL{Path: path, RawQuery: query}, state
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if !slices.Contains([]int{200, 400, 404, 405}, w.Code) || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q %q?%q: status %d", method, path, query, w.Code)
		}
	})
}
