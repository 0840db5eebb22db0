package etsi015

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/gateway/sae"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// fake is a controller with three nodes in a row and one pair of applications.
type fake struct {
	hops   []control.HopView
	events []control.Event
	fail   error
}

func (f *fake) Nodes() []qsc.NodeID { return []qsc.NodeID{"a", "b", "c"} }

func (f *fake) Node(_ context.Context, id qsc.NodeID) (control.NodeView, error) {
	if f.fail != nil {
		return control.NodeView{}, f.fail
	}
	v := control.NodeView{Node: id, Heard: id != "c"}
	if id == "a" {
		v.Links = []control.LinkView{{Link: "a-b", Peer: "b", Kind: "bb84", First: true, Up: true, Taken: 5e9, Free: 1e3,
			State: control.LinkState{Link: "a-b", Up: true, Rate: 6e9, QBER: 0.02}}}
		v.Flows = []control.Flow{{To: "c", Paths: []keymgmt.Path{{"a", "b", "c"}}}}
		v.Apps = []control.AppView{{Master: "urn:x", Slave: "urn:y", Peer: "c",
			Policy: keymgmt.Policy{MinRate: 1e4, Priority: -4, TTL: 1500 * time.Millisecond}}}
	}
	return v, nil
}

func (f *fake) Hops(_ context.Context, node qsc.NodeID) (list []control.HopView, err error) {
	for _, h := range f.hops {
		if h.Node == node {
			list = append(list, h)
		}
	}
	return list, f.fail
}

func (f *fake) PutHop(_ context.Context, h control.Hop) error {
	_ = f.DropHop(context.Background(), h.Link, h.Node)
	f.hops = append(f.hops, control.HopView{Hop: h, Active: true})
	return f.fail
}

func (f *fake) DropHop(_ context.Context, l control.VirtualID, node qsc.NodeID) error {
	n := len(f.hops)
	f.hops = slices.DeleteFunc(f.hops, func(h control.HopView) bool { return h.Link == l && h.Node == node })
	if len(f.hops) == n {
		return qsc.E("test", qsc.NotFound, "", "no such entry")
	}
	return nil
}

func (f *fake) Events(ctx context.Context, after uint64) ([]control.Event, error) {
	if int(after) < len(f.events) {
		return f.events[after:], nil
	}
	<-ctx.Done()
	return nil, qsc.E("test", qsc.Timeout, "", "nothing came")
}

// pki makes a certificate and a CA pool that vouches for it.
func pki(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := got(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der := got(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key))(t)
	cert := got(x509.ParseCertificate(der))(t)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, pool
}

// desk asks a server as the operator of a certificate.
type desk struct {
	t    *testing.T
	srv  *Server
	leaf *x509.Certificate
}

// roles: admin may write, guest may read, others nothing.
func roles(p *sae.Peer) (read, write bool) {
	cn := p.Certificate.Subject.CommonName
	return cn == "admin" || cn == "guest", cn == "admin"
}

func newDesk(t *testing.T, net control.Northbound, name string) *desk {
	cert, _ := pki(t, name)
	return &desk{t, New(Config{Network: "test", Version: "v1", Allow: roles}, net), cert.Leaf}
}

func (d *desk) ask(method, path, body string, code int) string {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if d.leaf != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{d.leaf}, VerifiedChains: [][]*x509.Certificate{{d.leaf}}}
	}
	w := httptest.NewRecorder()
	d.srv.ServeHTTP(w, r)
	said := w.Body.String()
	if w.Code != code {
		d.t.Fatalf("%s %s: %d, want %d: %s", method, path, w.Code, code, said)
	}
	return said
}

func (d *desk) at(node qsc.NodeID, rest string) string {
	return strings.Replace(root, "{node}", d.srv.ids.node(node), 1) + rest
}

func TestNodeAsTheModelSpellsIt(t *testing.T) {
	d := newDesk(t, &fake{}, "guest")
	var have map[string]any
	must(t, json.Unmarshal([]byte(d.ask("GET", d.at("a", ""), "", 200)), &have))
	id := d.srv.ids
	var want map[string]any
	must(t, json.Unmarshal([]byte(`{"qkd_node":{
		"qkdn_id":"`+id.node("a")+`","qkdn_status":"etsi-qkd-node-types:OPERATING","qkdn_version":"v1","qkdn_location_id":"a",
		"qkdn_capabilities":{"link_stats_support":true,"application_stats_support":false,"key_relay_mode_enable":true},
		"qkd_applications":{"qkd_app":[{"app_id":"`+id.app("urn:x", "urn:y")+`","app_status":"etsi-qkd-node-types:ON",
			"app_type":"etsi-qkd-node-types:CLIENT","server_app_id":"urn:x","client_app_id":["urn:y"],"app_priority":0,
			"app_qos":{"min_bandwidth":10000,"ttl":2},"backing_qkdl_id":["`+id.link("a-b")+`"],
			"local_qkdn_id":"`+id.node("a")+`","remote_qkdn_id":"`+id.node("c")+`"}]},
		"qkd_interfaces":{"qkd_interface":[{"qkdi_id":0,"qkdi_model":"bb84","qkdi_type":"etsi-qkd-node-types:DV-QKD","qkdi_status":"etsi-qkd-node-types:ENABLED"}]},
		"qkd_links":{"qkd_link":[{"qkdl_id":"`+id.link("a-b")+`","qkdl_status":"etsi-qkd-node-types:ACTIVE","qkdl_enable":true,
			"qkdl_local":{"qkdn_id":"`+id.node("a")+`","qkdi_id":0},"qkdl_remote":{"qkdn_id":"`+id.node("b")+`","qkdi_id":0},
			"qkdl_type":"etsi-qkd-node-types:PHYS","qkdl_applications":["`+id.app("urn:x", "urn:y")+`"],
			"qkdl_performance":{"expected_consumption":4294967295,"skr":4294967295,"eskr":1000,
				"phys_perf":[{"perf_type":"etsi-qkd-node-types:QBER","value":0.02}]}}]}}}`), &want))
	if !reflect.DeepEqual(have, want) {
		t.Fatalf("have %+v\nwant %+v", have, want)
	}
	for path, part := range map[string]string{
		"/qkdn_capabilities": `"key_relay_mode_enable":true`, "/qkd_applications": `"urn:x"`, "/qkd_links": `"skr"`,
		"/qkd_interfaces": `"bb84"`, "/qkd_interfaces/qkd_interface=0": `"qkdi_id":0`,
		"/qkd_applications/qkd_app=" + strings.ToUpper(id.app("urn:x", "urn:y")): `"CLIENT`,
		"/qkd_links/qkd_link=" + id.link("a-b"):                                  `"eskr"`,
	} {
		if body := d.ask("GET", d.at("a", path), "", 200); !strings.Contains(body, strings.Replace(part, `"CLIENT`, `:CLIENT`, 1)) {
			t.Errorf("%s: %s", path, body)
		}
	}
	if body := d.ask("GET", d.at("c", ""), "", 200); !strings.Contains(body, "types:DOWN") {
		t.Errorf("a silent node: %s", body)
	}
	if body := d.ask("GET", "/nodes", "", 200); !strings.Contains(body, d.at("b", `"`)) {
		t.Errorf("nodes: %s", body)
	}
}

// Counters stop at the top instead of beginning again at 0.
func TestU32Saturates(t *testing.T) {
	for v, want := range map[float64]uint32{-1: 0, 0: 0, 1.9: 1, 4294967294: 4294967294, 4294967295: 4294967295, 4294967296: 4294967295, 1e30: 4294967295} {
		if have := u32(v); have != want {
			t.Errorf("%v is shown as %d, want %d", v, have, want)
		}
	}
}

// A UUID is the same for ever and on every controller, and differs by network.
func TestUUIDs(t *testing.T) {
	a, b, c := newIDs("test", nil), newIDs("test", nil), newIDs("other", nil)
	if a.node("a") != b.node("a") || a.node("a") == c.node("a") || a.node("a") == a.link("a") {
		t.Fatal("UUIDs are not those of their names")
	}
	const pinned = "88067da7-d015-533c-9e4f-b4202cef7d14"
	if got := a.node("koganei"); got != pinned {
		t.Fatalf("the UUID of a node has changed to %s: operators hold the old one", got)
	}
	if a.app("x", "yz") == a.app("xy", "z") {
		t.Fatal("two pairs of applications share a UUID")
	}
}

func virtText(d *desk, id string, rest string) string {
	return `{"qkd_links":{"qkd_link":[{"qkdl_id":"` + id + `","qkdl_type":"etsi-qkd-node-types:VIRT","qkdl_local":{"qkdn_id":"` +
		d.srv.ids.node("a") + `","qkdi_id":0},"qkdl_remote":{"qkdn_id":"` + d.srv.ids.node("c") + `","qkdi_id":1}` + rest + `}]}}`
}

const someID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"

func TestVirtualLinkVerbs(t *testing.T) {
	f := &fake{}
	d := newDesk(t, f, "admin")
	next := `,"virt_prev_hop":null,"virt_next_hop":["` + d.srv.ids.node("b") + `","` + d.srv.ids.node("c") + `"],"virt_bandwidth":5000`
	d.ask("POST", d.at("a", "/qkd_links/"), virtText(d, someID, next), 201)
	want := control.Hop{Link: f.hops[0].Link, Node: "a", From: "a", To: "c", Next: []qsc.NodeID{"b", "c"}, Bandwidth: 5000}
	if virtual(want.Link) != someID || !reflect.DeepEqual(f.hops[0].Hop, want) {
		t.Fatalf("installed %+v", f.hops[0].Hop)
	}
	d.ask("POST", d.at("a", "/qkd_links"), virtText(d, someID, next), 409)
	shown := d.ask("GET", d.at("a", "/qkd_links/qkd_link="+someID), "", 200)
	for _, part := range []string{"types:VIRT", "types:ACTIVE", d.srv.ids.node("b"), `"virt_bandwidth":5000`} {
		if !strings.Contains(shown, part) {
			t.Errorf("shown without %s: %s", part, shown)
		}
	}
	if apps := d.ask("GET", d.at("a", "/qkd_applications"), "", 200); !strings.Contains(apps, someID) {
		t.Errorf("the virtual link backs no application: %s", apps)
	}
	prev := `,"virt_prev_hop":"` + d.srv.ids.node("a") + `","qkdl_enable":false`
	d.ask("PUT", d.at("b", "/qkd_links/qkd_link="+someID), virtText(d, someID, prev), 204)
	if h := f.hops[1].Hop; h.Prev != "a" || !h.Off || len(h.Next) != 0 {
		t.Fatalf("installed %+v", h)
	}
	if body := d.ask("GET", d.at("b", "/qkd_links"), "", 200); !strings.Contains(body, "types:OFF") {
		t.Errorf("a disabled link: %s", body)
	}
	d.ask("DELETE", d.at("b", "/qkd_links/qkd_link="+someID), "", 204)
	d.ask("DELETE", d.at("b", "/qkd_links/qkd_link="+someID), "", 404)
	f.hops[0].Active, f.hops[0].Fault = false, "half of it is missing"
	if body := d.ask("GET", d.at("a", "/qkd_links"), "", 200); !strings.Contains(body, "types:PENDING") {
		t.Errorf("an incomplete link: %s", body)
	}
}

func TestRefusals(t *testing.T) {
	f := &fake{}
	d := newDesk(t, f, "admin")
	b := `,"virt_next_hop":["` + d.srv.ids.node("b") + `"]`
	for name, body := range map[string]string{
		"empty": "", "no JSON": "{", "no list": "{}", "null": "null", "array": "[]",
		"no hops":      virtText(d, someID, ""),
		"unknown hop":  virtText(d, someID, `,"virt_next_hop":["`+someID+`"]`),
		"hop no UUID":  virtText(d, someID, `,"virt_next_hop":["b"]`),
		"id no UUID":   virtText(d, "x", b),
		"id in braces": virtText(d, "{"+someID+"}", b),
		"bandwidth":    virtText(d, someID, b+`,"virt_bandwidth":-1`),
		"large u32":    virtText(d, someID, b+`,"virt_bandwidth":4294967296`),
		"type":         strings.Replace(virtText(d, someID, b), "VIRT", "WIRED", 1),
		"too many":     `{"qkd_link":[` + strings.TrimSuffix(strings.Repeat(`{},`, maxLinks+1), ",") + `]}`,
	} {
		if text := d.ask("POST", d.at("a", "/qkd_links"), body, 400); !strings.Contains(text, "ietf-restconf:errors") {
			t.Errorf("%s: %s", name, text)
		}
	}
	d.ask("POST", d.at("a", "/qkd_links"), strings.Replace(virtText(d, someID, b), "VIRT", "PHYS", 1), 405)
	d.ask("POST", d.at("a", "/qkd_links"), strings.Repeat(" ", MaxBody+1), 413)
	d.ask("PUT", d.at("a", "/qkd_links/qkd_link=00000000-0000-0000-0000-000000000001"), virtText(d, someID, b), 400)
	d.ask("PUT", d.at("a", "/qkd_links/"+someID), virtText(d, someID, b), 404)
	d.ask("GET", d.at("a", "/qkd_links/qkd_link="+someID), "", 404)
	d.ask("GET", d.at("a", "/qkd_interfaces/qkd_interface=7"), "", 404)
	d.ask("GET", d.at("zz", ""), "", 404)
	d.ask("GET", "/notifications?after=x", "", 400)
	d.ask("GET", "/notifications?wait=16", "", 400)
	if len(f.hops) != 0 {
		t.Fatalf("something was installed: %+v", f.hops)
	}
	f.fail = qsc.E("test", qsc.Busy, "", "another controller leads")
	d.ask("GET", d.at("a", ""), "", 503)
}

func TestWhoMayAsk(t *testing.T) {
	f := &fake{}
	for _, name := range []string{"guest", "stranger", ""} {
		d := newDesk(t, f, name)
		if name == "" {
			d.leaf = nil
		}
		read := 403
		if name == "guest" {
			read = 200
		}
		d.ask("GET", d.at("a", ""), "", read)
		d.ask("GET", "/nodes", "", read)
		d.ask("POST", d.at("a", "/qkd_links"), virtText(d, someID, ""), 403)
		d.ask("PUT", d.at("a", "/qkd_links/qkd_link="+someID), "", 403)
		d.ask("DELETE", d.at("a", "/qkd_links/qkd_link="+someID), "", 403)
	}
	d := newDesk(t, f, "admin")
	d.srv.cfg.Allow = nil
	d.ask("GET", "/nodes", "", 403)
}

func TestNotifications(t *testing.T) {
	f := &fake{events: []control.Event{
		{Seq: 1, Kind: control.EventLinkDown, Node: "a", Peer: "b", Link: "a-b"},
		{Seq: 2, Kind: control.EventAppChanged, Node: "a", App: [2]qsc.AppID{"urn:x", "urn:y"}},
		{Seq: 3, Kind: control.EventShort, Node: "a", Peer: "c"},
	}}
	d := newDesk(t, f, "guest")
	read := func(query string) (list []Notification) {
		var in struct{ Notifications []Notification }
		must(t, json.Unmarshal([]byte(d.ask("GET", "/notifications"+query, "", 200)), &in))
		return in.Notifications
	}
	all := read("")
	if len(all) != 3 || all[0].Name != "link_down" || all[0].Link != d.srv.ids.link("a-b") || all[1].Name != "application_qos_update" ||
		all[1].App != d.srv.ids.app("urn:x", "urn:y") || all[2].Name != "alarm" || all[2].Text != "short" {
		t.Fatalf("%+v", all)
	}
	if rest := read("?after=2"); len(rest) != 1 || rest[0].Seq != 3 {
		t.Fatalf("%+v", rest)
	}
	if none := read("?after=3"); len(none) != 0 {
		t.Fatalf("%+v", none)
	}
}

// Through the real door, mutual TLS included, to the real controller and to the
// node whose path it is.
func TestInstallAPathThroughTheDoor(t *testing.T) {
	network := got(topology.Parse("test", []byte(`name = "ring"`+nodesText("a", "b", "c", "d")+
		linkText("a", "b")+linkText("b", "c")+linkText("c", "d")+linkText("d", "a"))))(t)
	broker := got(manage.StartBroker(manage.BrokerConfig{Name: "c"}))(t)
	defer broker.Close()
	bus := func() *manage.Bus { return got(manage.Dial(manage.BusConfig{Name: "x", Broker: broker}))(t) }
	store := got(manage.OpenSQLite(t.TempDir() + "/c.db"))(t)
	defer store.Close()
	ctl := got(manage.NewServer(manage.ServerConfig{Name: "c", Network: network, Store: store, Bus: bus(), Lease: time.Minute}))(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = ctl.Run(ctx) })
	agents := map[qsc.NodeID]*manage.Agent{}
	for _, n := range network.Nodes {
		a := got(manage.OpenAgent(manage.AgentConfig{Node: n.ID, Network: network, Dir: durable.Mem(1 << 20), Interval: 100 * time.Millisecond,
			State: func() control.Report { return stateOf(network, n.ID) }}))(t)
		agents[n.ID] = a
		b := bus()
		running.Go(func() { _ = a.Run(ctx, b) })
	}

	cert, pool := pki(t, "admin")
	srv := New(Config{Network: network.Name, Allow: roles}, ctl)
	door := got(sae.Open(got(net.Listen("tcp", "127.0.0.1:0"))(t), sae.Config{Certificate: cert, ClientCAs: pool}, srv))(t)
	defer door.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}}}
	defer client.CloseIdleConnections()
	base := "https://" + door.Addr().String()
	at := func(n qsc.NodeID) string {
		return base + strings.Replace(root, "{node}", srv.ids.node(n), 1) + "/qkd_links"
	}

	route := func() keymgmt.Route { return got(agents["a"].Route("b", keymgmt.Protection{Paths: 1}))(t) }
	await(t, "the controller's own route", func() bool { r := route(); return r.Epoch == 1 && r.Paths[0].Hops() == 1 })
	body := `{"qkd_link":[{"qkdl_id":"` + someID + `","qkdl_type":"VIRT","qkdl_local":{"qkdn_id":"` + srv.ids.node("a") + `"},"qkdl_remote":{"qkdn_id":"` +
		srv.ids.node("b") + `"},"virt_next_hop":["` + srv.ids.node("d") + `","` + srv.ids.node("c") + `","` + srv.ids.node("b") + `"]}]}`
	res := got(client.Post(at("a"), "application/json", strings.NewReader(body)))(t)
	if text, _ := io.ReadAll(res.Body); res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	_ = res.Body.Close()
	await(t, "the installed path is used", func() bool { return route().Paths[0].Hops() == 3 })
	req := got(http.NewRequestWithContext(t.Context(), "DELETE", at("a")+"/qkd_link="+someID, nil))(t)
	res = got(client.Do(req))(t)
	if _ = res.Body.Close(); res.StatusCode != 204 {
		t.Fatalf("delete: %d", res.StatusCode)
	}
	await(t, "the controller's own route again", func() bool { return route().Paths[0].Hops() == 1 })

	bare := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	if res, err := bare.Get(base + "/nodes"); err == nil {
		_ = res.Body.Close()
		t.Fatal("let in without a certificate")
	}
}

func nodesText(ids ...string) string {
	var b bytes.Buffer
	for _, id := range ids {
		b.WriteString("\n[[site]]\nid = \"" + id + "\"\n[[node]]\nid = \"" + id + "\"\n")
	}
	return b.String()
}

func linkText(a, b string) string {
	return "[[link]]\nkind = \"simulated\"\nends = [\"" + a + "\", \"" + b + "\"]\nrate = \"1 Mbit/s\"\npad = \"1 MiB\"\nblock = \"64 KiB\"\n"
}

func stateOf(n *topology.Network, id qsc.NodeID) (r control.Report) {
	for _, l := range n.LinksOf(id) {
		r.Links = append(r.Links, control.LinkState{Link: l.ID, Up: true, Send: l.Pad, Recv: l.Pad, Size: l.Pad, Rate: l.Rate})
	}
	if id == "a" {
		r.Demands = []control.Demand{{From: "a", To: "b", Protection: keymgmt.Protection{Paths: 1}}}
	}
	return r
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Whatever the body: an answer of the table, and nothing installed that is not
// one of its entries.
func FuzzEntries(f *testing.F) {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "admin"}, NotAfter: time.Now().Add(time.Hour)}
	srv := New(Config{Network: "test", Allow: roles}, &fake{})
	d := &desk{srv: srv, leaf: cert}
	f.Add([]byte(virtText(d, someID, `,"virt_next_hop":["`+srv.ids.node("b")+`"]`)))
	f.Add([]byte(`{"qkd_link":[{"qkdl_type":"VIRT","qkdl_enable":false}]}`))
	f.Add([]byte(`{"qkd_links":null,"qkd_link":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := entries(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Invalid) {
				t.Fatal(err)
			}
			return
		}
		for _, l := range list {
			h, err := srv.hop("a", l)
			if err != nil && !qsc.IsKind(err, qsc.Invalid) && !qsc.IsKind(err, qsc.Unsupported) {
				t.Fatal(err)
			}
			if err != nil {
				continue
			}
			back, err := srv.hop("a", srv.virtual(control.HopView{Hop: h}))
			if err != nil || !reflect.DeepEqual(back, h) {
				t.Fatalf("%+v is shown as %+v (%v)", h, back, err)
			}
		}
	})
}
