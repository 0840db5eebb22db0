package etsi014

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014/load"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// homes of the applications of these tests: two KMEs.
var homes = map[qsc.AppID]qsc.NodeID{"alice": "A", "adam": "A", "bob": "B", "bert": "B", "müller/1 ü": "B"}

// net of two KMEs over one supply double.
type network struct {
	ca     *testkit.CA
	supply *keymgmttest.Supply
	a, b   *Server
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// open starts both KMEs; alter may change the configuration of each.
func open(t testing.TB, double keymgmttest.SupplyConfig, alter ...func(*Config)) *network {
	t.Helper()
	if double.Homes == nil {
		double.Homes = homes
	}
	n := &network{ca: testkit.NewCA(t), supply: keymgmttest.NewSupply(double)}
	n.a, n.b = n.kme(t, "A", alter...), n.kme(t, "B", alter...)
	return n
}

func (n *network) kme(t testing.TB, node qsc.NodeID, alter ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Node: node, Supply: n.supply, Directory: n.supply,
		Door: sae.Config{Certificate: n.ca.Leaf(t, string(node)), ClientCAs: n.ca.Pool}}
	for _, f := range alter {
		f(&cfg)
	}
	s, err := Serve(listen(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (n *network) end(t testing.TB, s *Server, app string) load.End {
	return load.End{URL: "https://" + s.Addr().String(), TLS: n.ca.Client(n.ca.Leaf(t, app)), SAE: app}
}

// client calls a KME as an SAE.
func (n *network) client(t testing.TB, s *Server, app string, alter ...func(*tls.Config)) *Client {
	t.Helper()
	e := n.end(t, s, app)
	for _, f := range alter {
		f(e.TLS)
	}
	c, err := NewClient(ClientConfig{URL: e.URL, TLS: e.TLS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// window lets every pair ask again for a minute.
func window(_, _ qsc.AppID) (keymgmt.Policy, bool) {
	return keymgmt.Policy{Retry: time.Minute}, true
}
