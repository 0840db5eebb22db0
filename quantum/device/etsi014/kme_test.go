package etsi014

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"crypto/tls"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// vendor is both KMEs of a vendor's system in one server: enc_keys makes a key,
// dec_keys gives it out once.
type vendor struct {
	ca  *testkit.CA
	url string

	mu     sync.Mutex
	keys   map[qsc.KeyID][]byte
	left   int // keys until it says 503; negative: endless
	forget bool
	deny   bool
}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{ca: testkit.NewCA(t), keys: map[qsc.KeyID][]byte{}, left: -1}
	s := httptest.NewUnstartedServer(v)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{v.ca.Leaf(t, "vendor")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: v.ca.Pool}
	s.StartTLS()
	t.Cleanup(s.Close)
	v.url = s.URL
	return v
}

func (v *vendor) client(t *testing.T, sae string) *etsi014.Client {
	t.Helper()
	c, err := etsi014.NewClient(etsi014.ClientConfig{URL: v.url, TLS: v.ca.Client(v.ca.Leaf(t, sae))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	status, answer := v.answer(r.URL, text)
	if v.deny {
		status, answer = 401, nil
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

func (v *vendor) answer(u *url.URL, text []byte) (int, []byte) {
	switch {
	case strings.HasSuffix(u.Path, "/status"):
		st := etsi014.Status{KeySize: 256, MaxSize: 1024, MinSize: 64, MaxPerRequest: 16, Stored: 100, MaxKeys: 100}
		return 200, st.Append(nil)
	case strings.HasSuffix(u.Path, "/enc_keys"):
		return v.enc(u.Query())
	}
	ids, err := etsi014.DecodeKeyIDs(text, 16)
	if one := u.Query().Get("key_ID"); one != "" {
		var id qsc.KeyID
		id, err = etsi014.ParseID([]byte(one))
		ids = []qsc.KeyID{id}
	}
	var raw []byte
	for _, id := range ids {
		if v.keys[id] == nil {
			return 400, etsi014.AppendError(nil, etsi014.TextKeysNotFound)
		}
		raw = append(raw, v.keys[id]...)
		delete(v.keys, id)
	}
	if err != nil {
		return 400, etsi014.AppendError(nil, "bad")
	}
	return 200, etsi014.AppendContainer(nil, ids, len(raw)/len(ids), raw, nil, nil)
}

func (v *vendor) enc(q url.Values) (int, []byte) {
	n, size := 0, 0
	for _, c := range q.Get("number") {
		n = 10*n + int(c-'0')
	}
	for _, c := range q.Get("size") {
		size = 10*size + int(c-'0')
	}
	if v.left >= 0 && n > v.left {
		return 503, etsi014.AppendError(nil, "no key now")
	}
	v.left -= min(n, max(v.left, 0))
	var ids []qsc.KeyID
	raw := make([]byte, n*size/8)
	_, _ = rand.Read(raw)
	for i := range n {
		var id qsc.KeyID
		_, _ = rand.Read(id[:])
		ids = append(ids, id)
		if !v.forget {
			v.keys[id] = raw[i*size/8 : (i+1)*size/8]
		}
	}
	return 200, etsi014.AppendContainer(nil, ids, size/8, raw, nil, []byte(`{"qsc_class":"computational (simulated)"}`))
}

func (v *vendor) refuse(deny bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.deny = deny
}

func (v *vendor) set(left int, forget bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.left, v.forget = left, forget
}
