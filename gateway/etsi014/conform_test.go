package etsi014

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// answered is an answer as the wire shows it.
type answered struct {
	status  int
	header  http.Header
	message string
	text    []byte
}

// caller makes plain HTTP requests, as a client in another language would.
type caller struct {
	base string
	http *http.Client
}

func (n *network) caller(t testing.TB, s *Server, app string) *caller {
	t.Helper()
	e := n.end(t, s, app)
	tr := &http.Transport{TLSClientConfig: e.TLS}
	t.Cleanup(tr.CloseIdleConnections)
	return &caller{e.URL, &http.Client{Transport: tr}}
}

func (c *caller) do(t testing.TB, method, path, text string) answered {
	t.Helper()
	var in io.Reader
	if text != "" {
		in = strings.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, c.base+path, in)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Message string }
	_ = json.Unmarshal(b, &e)
	if !json.Valid(b) || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s: an answer of %d bytes, type %q, valid JSON %t", method, path, len(b), resp.Header.Get("Content-Type"), json.Valid(b))
	}
	return answered{resp.StatusCode, resp.Header, e.Message, b}
}

const unknownID = "00000000-0000-4000-8000-000000000000"

// The table of docs/design/etsi014.md: every limit, text and decision.
func TestConformance(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{Allowed: func(m, s qsc.AppID) (keymgmt.Policy, bool) { return keymgmt.Policy{}, s != "bert" }})
	alice := n.caller(t, n.a, "alice")
	two := `{"key_IDs":[{"key_ID":"` + unknownID + `"},{"key_ID":"` + unknownID[:35] + `1"}]}`
	many := `{"key_IDs":[` + strings.Repeat(`{"key_ID":"`+unknownID+`"},`, 128) + `{"key_ID":"` + unknownID + `"}]}`
	for _, c := range []struct {
		method, path, text string
		status             int
		message            string // contained
	}{
		{"GET", "bob/status", "", 200, ""},
		{"GET", "bob/status?x=1", "", 200, ""},
		{"POST", "bob/status", "{}", 400, "GET"},
		{"GET", "bert/status", "", 401, "may not share key"},
		{"GET", "nobody/status", "", 401, ""},
		{"GET", "alice/status", "", 401, ""},
		{"GET", "bob/enc_keys", "", 200, ""},
		{"GET", "bob/enc_keys", `{"number":0}`, 200, ""}, // a GET's body is ignored
		{"GET", "bob/enc_keys?number=3&size=512", "", 200, ""},
		{"GET", "bob/enc_keys?number=128", "", 200, ""},
		{"GET", "bob/enc_keys?number=129", "", 400, "at most 128"},
		{"GET", "bob/enc_keys?number=0", "", 400, "number"},
		{"GET", "bob/enc_keys?number=-1", "", 400, "number"},
		{"GET", "bob/enc_keys?number=%2B1", "", 400, "number"},
		{"GET", "bob/enc_keys?number=1.0", "", 400, "number"},
		{"GET", "bob/enc_keys?number=", "", 400, "number"},
		{"GET", "bob/enc_keys?number=1&number=2", "", 400, "number"},
		{"GET", "bob/enc_keys?number=4294967297", "", 400, "number"},
		{"GET", "bob/enc_keys?size=255", "", 400, etsi014.TextSize},
		{"GET", "bob/enc_keys?size=7", "", 400, etsi014.TextSize},
		{"GET", "bob/enc_keys?size=56", "", 400, "from 64 to 4096"},
		{"GET", "bob/enc_keys?size=4104", "", 400, "from 64 to 4096"},
		{"GET", "bob/enc_keys?additional_slave_SAE_IDs=bert", "", 400, "use POST"},
		{"GET", "bob/enc_keys?%zz", "", 400, "query"},
		{"GET", "bert/enc_keys", "", 401, "may not share key"},
		{"POST", "bob/enc_keys", "", 400, "empty"},
		{"POST", "bob/enc_keys", "{}", 200, ""},
		{"POST", "bob/enc_keys?number=4000&size=3", "{}", 200, ""}, // a POST's parameters are ignored
		{"POST", "bob/enc_keys", `{"number":2,"size":64}`, 200, ""},
		{"POST", "bob/enc_keys", `{"number":2,"size":64`, 400, "malformed JSON"},
		{"POST", "bob/enc_keys", `{"number":"2"}`, 400, ""},
		{"POST", "bob/enc_keys", `{"size":65}`, 400, etsi014.TextSize},
		{"POST", "bob/enc_keys", `number=1`, 400, "malformed JSON"},
		{"POST", "bob/enc_keys", `{"additional_slave_SAE_IDs":["bob"]}`, 400, "twice"},
		{"POST", "bob/enc_keys", `{"additional_slave_SAE_IDs":["bert"]}`, 401, "may not share key"},
		{"POST", "bob/enc_keys", `{"additional_slave_SAE_IDs":["1","2","3","4","5","6","7","8","9"]}`, 400, "at most 8"},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"abc_max_age":30000}]}`, 400, etsi014.TextMandatory},
		{"POST", "bob/enc_keys", `{"extension_optional":[{"abc_max_age":30000}]}`, 200, ""},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_class":"its"}]}`, 200, ""},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_class":"best"}]}`, 400, "qsc_class"},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_paths":1}]}`, 200, ""},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_paths":3}]}`, 400, etsi014.TextNotMet},
		{"POST", "bob/enc_keys", `{"extension_optional":[{"qsc_paths":3}]}`, 200, ""},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_paths":9}]}`, 400, "qsc_paths"},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_retry":"a"}]}`, 400, etsi014.TextNotMet},
		{"POST", "bob/enc_keys", `{"extension_mandatory":[{"qsc_retry":7}]}`, 400, "qsc_retry"},
		{"GET", "bob/dec_keys?key_ID=" + unknownID, "", 400, etsi014.TextKeysNotFound},
		{"GET", "bob/dec_keys?key_ID=xyz", "", 400, "UUID"},
		{"GET", "bob/dec_keys", "", 400, "key_ID"},
		{"GET", "bob/dec_keys?key_ID=" + unknownID + "&key_ID=" + unknownID, "", 400, "POST"},
		{"GET", "bob/dec_keys?key_ID=" + unknownID + "&x=1", "", 400, "POST"},
		{"POST", "bob/dec_keys", "", 400, "empty"},
		{"POST", "bob/dec_keys", "{}", 400, "at least one"},
		{"POST", "bob/dec_keys", two, 400, etsi014.TextKeysNotFound},
		{"POST", "bob/dec_keys", many, 400, "at most 128"},
		{"PUT", "bob/enc_keys", "{}", 400, "GET or POST"},
		{"DELETE", "bob/dec_keys", "", 400, "GET or POST"},
		{"GET", "bob/keys", "", 400, "no such method"},
		{"GET", "bob/status/", "", 400, ""},
		{"GET", "/status", "", 400, "no such path"},
		{"GET", "bob", "", 400, "no such path"},
		{"GET", strings.Repeat("x", 1025) + "/status", "", 400, "no such path"},
	} {
		got := alice.do(t, c.method, apiPath+c.path, c.text)
		if got.status != c.status || !strings.Contains(got.message, c.message) || (got.status != 200) != (got.message != "") {
			t.Errorf("%s %s %.80s: %d %q, want %d %q", c.method, c.path, c.text, got.status, got.message, c.status, c.message)
		}
	}
	if got := alice.do(t, "GET", "/", ""); got.status != 400 {
		t.Errorf("/: %d", got.status)
	}
}

// Who may fetch what, and how often.
func TestWhoMayFetch(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	alice, adam := n.client(t, n.a, "alice"), n.client(t, n.a, "adam")
	bob, bert := n.client(t, n.b, "bob"), n.client(t, n.b, "bert")
	k, err := alice.EncKeys(t.Context(), "bob", KeyRequest{Number: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who    *Client
		master string
		ids    []qsc.KeyID
		want   qsc.Kind
	}{
		{bert, "alice", k.IDs[:1], qsc.Denied},                                  // not its key
		{bob, "adam", k.IDs[:1], qsc.Denied},                                    // another master's
		{alice, "alice", k.IDs[:1], qsc.Denied},                                 // the master itself
		{adam, "alice", k.IDs[:1], qsc.Denied},                                  //
		{bert, "alice", []qsc.KeyID{{1}, k.IDs[0]}, qsc.NotFound},               // unknown goes before not yours
		{bob, "alice", []qsc.KeyID{k.IDs[0], {1}}, qsc.NotFound},                // all or nothing
		{bob, "alice", []qsc.KeyID{k.IDs[2], k.IDs[0], k.IDs[1]}, qsc.Other},    // in the order asked for
		{bob, "alice", k.IDs[:1], qsc.NotFound},                                 // once
		{bob, "alice", []qsc.KeyID{k.IDs[1], k.IDs[2], k.IDs[0]}, qsc.NotFound}, //
	} {
		got, err := c.who.DecKeys(t.Context(), c.master, c.ids...)
		if qsc.KindOf(err) != c.want {
			t.Fatalf("%v: %v, want %v", c.ids, err, c.want)
		}
		if err == nil && string(got.Bytes.Expose()[:k.Size]) != string(k.Bytes.Expose()[2*k.Size:]) {
			t.Fatal("the twin differs")
		}
	}
}

func TestUnauthorisedHasABody(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	for _, app := range []string{"bob", "nobody", ""} { // at home at B; unknown; no name
		if got := n.caller(t, n.a, app).do(t, "GET", apiPath+"alice/status", ""); got.status != 401 || got.message == "" {
			t.Errorf("%q: %d %q", app, got.status, got.message)
		}
	}
}

func TestNotEnoughKey(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{Stock: 96})
	alice := n.caller(t, n.a, "alice")
	got := alice.do(t, "GET", apiPath+"bob/enc_keys?number=4", "")
	if got.status != 503 || got.header.Get("Retry-After") == "" || got.message == "" {
		t.Errorf("%d %q", got.status, got.message)
	}
	if got := alice.do(t, "GET", apiPath+"bob/enc_keys?number=3", ""); got.status != 200 {
		t.Error("a refused request has spent key:", got.status)
	}
	_, err := n.client(t, n.a, "alice").EncKeys(t.Context(), "bob", KeyRequest{})
	if !qsc.IsKind(err, qsc.Exhausted) {
		t.Error(err)
	}
}

// Whatever fails below, the codes are the standard's and causes stay inside.
func TestKinds(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	alice := n.caller(t, n.a, "alice")
	for k := qsc.Other; k <= qsc.Replayed; k++ {
		n.supply.Fail(qsc.E("supply.Issue", k, "node-7", "inner cause"))
		want := map[qsc.Kind]int{qsc.Invalid: 400, qsc.Unsupported: 400, qsc.Denied: 401}[k]
		if want == 0 {
			want = 503
		}
		got := alice.do(t, "GET", apiPath+"bob/enc_keys", "")
		if got.status != want || strings.Contains(got.message, "node-7") || want == 503 && strings.Contains(got.message, "inner") {
			t.Errorf("%v: %d %q", k, got.status, got.message)
		}
	}
}

func TestPercentEncoding(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	const odd = "müller/1 ü"
	k, err := n.client(t, n.a, "alice").EncKeys(t.Context(), odd, KeyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ToUpper(k.IDs[0].String())
	got := n.caller(t, n.b, odd).do(t, "GET", apiPath+url.PathEscape("alice")+"/dec_keys?key_ID="+id, "")
	if got.status != 200 || !strings.Contains(string(got.text[:80]), strings.ToLower(id)) {
		t.Errorf("upper case in, lower case out: %d", got.status)
	}
}

func TestStatus(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{Stock: 3200, Class: qsc.Simulated})
	st, err := n.client(t, n.a, "alice").Status(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if st.SourceKME != "A" || st.TargetKME != "B" || st.Master != "alice" || st.Slave != "bob" || st.Stored != 100 || st.KeySize != 256 ||
		st.MaxKeys < st.Stored || st.MinSize != 64 || st.MaxSize != 4096 || st.MaxPerRequest != 128 || st.MaxSlaves != 8 ||
		!strings.Contains(string(st.Extension), `"qsc_class":"computational (simulated)"`) {
		t.Errorf("%+v", st)
	}
}

func TestExtensionsTellAndBind(t *testing.T) {
	three := keymgmt.Policy{Protection: keymgmt.Protection{Paths: 3}}
	n := open(t, keymgmttest.SupplyConfig{Class: qsc.OSRandom, Allowed: func(_, _ qsc.AppID) (keymgmt.Policy, bool) { return three, true }})
	alice := n.client(t, n.a, "alice")
	ask := func(name, value string) (*Container, error) {
		return alice.EncKeys(t.Context(), "bob", KeyRequest{Mandatory: []Extension{{Name: name, Value: []byte(value)}}})
	}
	if _, err := ask("qsc_class", `"its"`); !qsc.IsKind(err, qsc.Unsupported) {
		t.Error("os-random key as its:", err)
	}
	if k, err := alice.EncKeys(t.Context(), "bob", KeyRequest{Optional: []Extension{{Name: "qsc_class", Value: []byte(`"its"`)}}}); err != nil || k.Size != 32 {
		t.Error("optional:", err)
	}
	_, err := ask("qsc_paths", "3") // Need 0 in the policy's protection stands for all three
	if err != nil {
		t.Error(err)
	}
	if _, err := ask("qsc_paths", "4"); !qsc.IsKind(err, qsc.Unsupported) {
		t.Error(err)
	}
	k, err := ask("qsc_class", `"any"`)
	if err != nil || string(k.Extension) != `{"qsc_class":"computational (os-random)","qsc_hops":1,"qsc_paths":3,"qsc_need":3,"qsc_disjoint":true}` {
		t.Errorf("%v", err)
	}
}

func TestMulticast(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	k, err := n.client(t, n.a, "alice").EncKeys(t.Context(), "bob", KeyRequest{Number: 2, Slaves: []string{"bert"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"bob", "bert"} {
		c := n.client(t, n.b, who)
		twin, err := c.DecKeys(t.Context(), "alice", k.IDs...)
		if err != nil || !twin.Bytes.Equal(k.Bytes) {
			t.Errorf("%s: %v", who, err)
		}
		if _, err := c.DecKeys(t.Context(), "alice", k.IDs...); !qsc.IsKind(err, qsc.NotFound) {
			t.Errorf("%s, again: %v", who, err)
		}
	}
}
