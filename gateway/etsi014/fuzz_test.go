package etsi014

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// Whatever is asked, the answer is one of the standard's, and JSON.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "bob/enc_keys", "number=2&size=64", "")
	f.Add("POST", "bob/enc_keys", "", `{"number":2,"additional_slave_SAE_IDs":["bert"],"extension_mandatory":[{"qsc_paths":1}],"extension_optional":[{"qsc_class":"its"},{"qsc_retry":"x"}]}`)
	f.Add("GET", "bob/dec_keys", "key_ID="+unknownID, "")
	f.Add("POST", "m%2Fx/dec_keys", "", `{"key_IDs":[{"key_ID":"`+unknownID+`"}]}`)
	f.Add("GET", "bob/status", "", "")
	ca := testkit.NewCA(f)
	leaf := ca.Leaf(f, "alice").Leaf
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	double := keymgmttest.NewSupply(keymgmttest.SupplyConfig{Homes: homes, Allowed: window, Now: time.Now})
	s := newServer(Config{Node: "A", Supply: double, Directory: double})
	f.Fuzz(func(t *testing.T, method, path, query, text string) {
		u := &url.URL{Path: apiPath + path, RawQuery: query}
		if p, err := url.PathUnescape(u.Path); err == nil {
			u.Path, u.RawPath = p, apiPath+path
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(text))
		r.Method, r.URL, r.TLS = method, u, state
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if c := w.Code; c != 200 && c != 400 && c != 401 && c != 503 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q %q?%q %q: status %d", method, path, query, text, w.Code)
		}
	})
}
