package etsi014

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

func TestIdentities(t *testing.T) {
	pins := map[string]qsc.AppID{}
	for name, c := range map[string]struct {
		id    sae.Identity
		alter func(*x509.Certificate)
		want  int
	}{
		"common name":        {sae.CommonName, func(c *x509.Certificate) { c.Subject.CommonName = "alice" }, 200},
		"URI":                {sae.URI, testkit.URI(t, "alice"), 200},
		"URI, none":          {sae.URI, func(*x509.Certificate) {}, 401},
		"DNS":                {sae.DNS, func(c *x509.Certificate) { c.DNSNames = []string{"alice"} }, 200},
		"DNS, two":           {sae.DNS, func(c *x509.Certificate) { c.DNSNames = []string{"alice", "adam"} }, 401},
		"fingerprint, alien": {sae.Pinned(func(f string) (qsc.AppID, bool) { a, ok := pins[f]; return a, ok }), func(*x509.Certificate) {}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			n := open(t, keymgmttest.SupplyConfig{}, func(cfg *Config) { cfg.Identity = c.id })
			cert := n.ca.Leaf(t, "somebody", c.alter)
			if got := status(t, n.a, n.ca.Client(cert)); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
		})
	}
}

func status(t *testing.T, s *Server, conf *tls.Config) int {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Get("https://" + s.Addr().String() + apiPath + "bob/status")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestPinIsTakenBackOnOpenConnections(t *testing.T) {
	var pinned atomic.Bool
	pinned.Store(true)
	n := open(t, keymgmttest.SupplyConfig{}, func(cfg *Config) {
		cfg.Identity = sae.Pinned(func(f string) (qsc.AppID, bool) { return "alice", pinned.Load() && len(f) == 64 })
	})
	c := n.client(t, n.a, "whoever")
	if _, err := c.Status(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	pinned.Store(false)
	if _, err := c.Status(t.Context(), "bob"); !qsc.IsKind(err, qsc.Denied) {
		t.Error(err)
	}
}

func TestUnfitConfiguration(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	for name, cfg := range map[string]Config{
		"no supply":      {Node: "A", Directory: n.supply},
		"no certificate": {Node: "A", Supply: n.supply, Directory: n.supply, Door: sae.Config{ClientCAs: n.ca.Pool}},
		"no CA":          {Node: "A", Supply: n.supply, Directory: n.supply, Door: sae.Config{Certificate: n.ca.Leaf(t, "A")}},
	} {
		if _, err := Serve(listen(t), cfg); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoCertificateNoConnection(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	other := testkit.NewCA(t)
	for name, conf := range map[string]*tls.Config{
		"none": {RootCAs: n.ca.Pool},
		"foreign CA": {RootCAs: n.ca.Pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c := other.Leaf(t, "alice")
			return &c, nil
		}},
		"expired": n.ca.Client(n.ca.Leaf(t, "alice", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })),
	} {
		c, err := NewClient(ClientConfig{URL: "https://" + n.a.Addr().String(), TLS: conf})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Status(t.Context(), "bob"); !qsc.IsKind(err, qsc.Unreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	conf := n.ca.Client(n.ca.Leaf(t, "alice"))
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conf.MinVersion, conf.MaxVersion = version, version
		conf.NextProtos = []string{"h2", "http/1.1"}
		c, err := tls.Dial("tcp", n.a.Addr().String(), conf)
		if (err == nil) != ok {
			t.Errorf("TLS %#x: %v", version, err)
		}
		if err == nil {
			if p := c.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
				t.Errorf("protocol %q", p)
			}
			c.Close()
		}
	}
}

// resumable returns a client that opens a connection for each call, and what the
// last one's handshake was.
func (n *network) resumable(t *testing.T, version uint16) (c *Client, resumed *atomic.Bool) {
	t.Helper()
	resumed = new(atomic.Bool)
	conf := n.ca.Client(n.ca.Leaf(t, "alice"))
	conf.MaxVersion = version
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		resumed.Store(cs.DidResume && cs.Version == version)
		return nil
	}
	c, err := NewClient(ClientConfig{URL: "https://" + n.a.Addr().String(), TLS: conf, NewConnections: true})
	if err != nil {
		t.Fatal(err)
	}
	return c, resumed
}

func TestResumedSessionsKeepTheirIdentity(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var late atomic.Int64
		var gone atomic.Bool
		n := open(t, keymgmttest.SupplyConfig{}, func(cfg *Config) {
			cfg.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
			cfg.Directory = leaving{cfg.Directory.(*keymgmttest.Supply), &gone}
		})
		c, resumed := n.resumable(t, version)
		for i := range 3 {
			if _, err := c.Status(t.Context(), "bob"); err != nil {
				t.Fatal(err)
			}
			if i > 0 && !resumed.Load() {
				t.Errorf("TLS %#x: the session was not resumed", version)
			}
		}
		gone.Store(true)
		if _, err := c.Status(t.Context(), "bob"); !qsc.IsKind(err, qsc.Denied) || !resumed.Load() {
			t.Errorf("TLS %#x: an SAE that was removed, resumed %t: %v", version, resumed.Load(), err)
		}
		gone.Store(false)
		late.Store(int64(13 * time.Hour)) // the certificate is valid for 12
		if _, err := c.Status(t.Context(), "bob"); !qsc.IsKind(err, qsc.Denied) || !resumed.Load() {
			t.Errorf("TLS %#x: a certificate that has expired, resumed %t: %v", version, resumed.Load(), err)
		}
	}
}

// leaving is a directory whose applications may all go.
type leaving struct {
	*keymgmttest.Supply
	gone *atomic.Bool
}

func (l leaving) Home(app qsc.AppID) (qsc.NodeID, bool) {
	n, ok := l.Supply.Home(app)
	return n, ok && !l.gone.Load()
}

// A lost answer may be asked for again, with the same certificate only.
func TestRetryIsBoundToTheCertificate(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{Allowed: window})
	named := KeyRequest{Mandatory: []Extension{{Name: "qsc_retry", Value: []byte(`"r1"`)}}}
	alice, other := n.client(t, n.a, "alice"), n.client(t, n.a, "alice") // two certificates of one SAE
	first, err := alice.EncKeys(t.Context(), "bob", named)
	if err != nil {
		t.Fatal(err)
	}
	again, err1 := alice.EncKeys(t.Context(), "bob", named)
	third, err2 := other.EncKeys(t.Context(), "bob", named)
	if err1 != nil || err2 != nil || again.IDs[0] != first.IDs[0] || !again.Bytes.Equal(first.Bytes) || third.IDs[0] == first.IDs[0] {
		t.Fatal("enc_keys: the same client gets the same keys, another does not", err1, err2)
	}
	bob, imposter := n.client(t, n.b, "bob"), n.client(t, n.b, "bob")
	for range 2 {
		if twin, err := bob.DecKeys(t.Context(), "alice", first.IDs...); err != nil || !twin.Bytes.Equal(first.Bytes) {
			t.Fatal("the same client:", err)
		}
	}
	if _, err := imposter.DecKeys(t.Context(), "alice", first.IDs...); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("another certificate:", err)
	}
}
