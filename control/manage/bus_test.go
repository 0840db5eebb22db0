package manage

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

// authority is a CA of the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	n    int64
}

func newAuthority(t *testing.T) *authority {
	a := &authority{key: got(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := got(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &a.key.PublicKey, a.key))(t)
	a.cert = got(x509.ParseCertificate(der))(t)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes the TLS configuration of name.
func (a *authority) issue(t *testing.T, name string) *tls.Config {
	a.n++
	key := got(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1 + a.n), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der := got(x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key))(t)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: a.pool, ClientCAs: a.pool}
}

func startBroker(t *testing.T, c BrokerConfig) *Broker {
	t.Helper()
	b := got(StartBroker(c))(t)
	t.Cleanup(b.Close)
	return b
}

// dial connects; in one process it waits until the broker has answered.
func dial(t *testing.T, c BusConfig) *Bus {
	t.Helper()
	b := got(Dial(c))(t)
	t.Cleanup(func() { _ = b.Close() })
	if c.Broker != nil {
		until(t, "the bus is connected", b.Connected)
	}
	return b
}

func nodesNamed(ids ...string) func(string) bool {
	return func(n string) bool { return slices.Contains(ids, n) }
}

// mail keeps what is heard, however much: a listener that waits for its reader
// would not end.
type mail[T any] struct {
	mu   sync.Mutex
	list []T
}

func (m *mail[T]) add(v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, v)
}

func (m *mail[T]) all() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.list)
}

// collect gathers what a bus hears.
func collect(t *testing.T, listen func(ctx context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = listen(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// until waits for something that a message in flight will make true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestBusOverTLS(t *testing.T) {
	ca := newAuthority(t)
	b := startBroker(t, BrokerConfig{Name: "c1", Listen: "127.0.0.1:0", TLS: ca.issue(t, "c1"), Node: nodesNamed("a", "b")})
	var heard mail[control.Report]
	inside := dial(t, BusConfig{Name: "c1", Broker: b})
	collect(t, func(ctx context.Context) error { return inside.reports(ctx, heard.add) })

	a := dial(t, BusConfig{Name: "a", Servers: []string{b.Addr()}, TLS: ca.issue(t, "a"), Controllers: []string{"c1"}})
	var tables mail[control.Table]
	collect(t, func(ctx context.Context) error { return a.Tables(ctx, "a", tables.add) })
	until(t, "a is connected", a.Connected)
	state := got(a.nc.TLSConnectionState())(t)
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
		t.Fatalf("TLS version %x, key exchange %v", state.Version, state.CurveID)
	}
	report := control.Report{Node: "a", Boot: 1, Seq: 1}
	until(t, "the report arrives", func() bool {
		must(t, a.Report(t.Context(), report))
		return len(heard.all()) > 0
	})
	same(t, "report", heard.all()[0], report)
	want := aTable
	want.Node = "a"
	until(t, "the table arrives", func() bool {
		must(t, inside.push(t.Context(), want))
		return slices.ContainsFunc(tables.all(), func(t control.Table) bool { return t.Version == 1 })
	})
	until(t, "the leader's question arrives", func() bool {
		must(t, inside.hello(t.Context(), 9))
		return slices.ContainsFunc(tables.all(), func(t control.Table) bool { return t.Epoch == 9 && t.Version == 0 && t.Node == "a" })
	})
}

// A node speaks for itself only and hears nothing of the others.
func TestBusKeepsNodesApart(t *testing.T) {
	ca := newAuthority(t)
	b := startBroker(t, BrokerConfig{Name: "c1", Listen: "127.0.0.1:0", TLS: ca.issue(t, "c1"), Node: nodesNamed("a", "b")})
	var heard mail[control.Report]
	inside := dial(t, BusConfig{Broker: b})
	collect(t, func(ctx context.Context) error { return inside.reports(ctx, heard.add) })
	probe := control.Report{Node: "b", Boot: 1, Seq: 3}
	others := func() []control.Report { // that were heard
		return slices.DeleteFunc(heard.all(), func(r control.Report) bool { return r.Seq == probe.Seq })
	}
	until(t, "the controller listens", func() bool {
		must(t, inside.Report(t.Context(), probe))
		return len(heard.all()) > 0
	})
	denied := make(chan error, 10)
	hard := got(hybrid("test", ca.issue(t, "a"), nil))(t)
	nc := got(nats.Connect("tls://"+b.Addr(), nats.Secure(hard), nats.Timeout(30*time.Second), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })))(t)
	defer nc.Close()
	spy := got(nc.SubscribeSync(subjectTable + "b"))(t)
	all := got(nc.SubscribeSync(">"))(t)
	forged := got(EncodeReport(control.Report{Node: "b", Boot: 1, Seq: 1}))(t)
	must(t, nc.Publish(subjectReport+"b", forged))
	must(t, nc.Publish(subjectReport+"a", forged)) // its own subject, another's name
	must(t, nc.Publish(subjectTable+"b", got(EncodeTable(aTable))(t)))
	must(t, nc.Publish(subjectReport+"a", got(EncodeReport(control.Report{Node: "a", Boot: 1, Seq: 2}))(t)))
	must(t, nc.Flush())
	for range 4 { // two subscriptions, two publications
		select {
		case <-denied:
		case <-time.After(30 * time.Second):
			t.Fatal("the broker lets a node do what is not its own")
		}
	}
	must(t, inside.push(t.Context(), control.Table{Node: "b", Epoch: 1, Version: 1}))
	must(t, inside.nc.Flush())
	until(t, "the one true report arrives", func() bool { return len(others()) > 0 })
	if list := others(); len(list) != 1 || list[0].Node != "a" || list[0].Seq != 2 {
		t.Fatalf("a forged report arrived: %+v", list)
	}
	must(t, nc.Flush()) // what the broker sent before is here now
	for _, s := range []*nats.Subscription{spy, all} {
		if n, _, err := s.Pending(); err == nil && n > 0 {
			t.Fatal("a node heard what was not for it")
		}
	}
}

func TestBusShutsOut(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	b := startBroker(t, BrokerConfig{Name: "c1", Listen: "127.0.0.1:0", TLS: ca.issue(t, "c1"), Node: nodesNamed("a")})
	try := func(c *tls.Config) error {
		nc, err := nats.Connect("tls://"+b.Addr(), nats.Secure(c), nats.Timeout(30*time.Second))
		if err == nil {
			nc.Close()
		}
		return err
	}
	must(t, try(got(hybrid("test", ca.issue(t, "a"), nil))(t)))
	classical := ca.issue(t, "a")
	classical.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	old := ca.issue(t, "a")
	old.MaxVersion = tls.VersionTLS12
	anonymous := ca.issue(t, "a")
	anonymous.Certificates = nil
	foreign := other.issue(t, "a")
	foreign.RootCAs = ca.pool
	for name, c := range map[string]*tls.Config{
		"classical key exchange": classical, "TLS 1.2": old, "no certificate": anonymous,
		"another CA": foreign, "no node": ca.issue(t, "b"), "a subject of the bus": ca.issue(t, "a.>"),
	} {
		if try(c) == nil {
			t.Errorf("%s: let in", name)
		}
	}
	if nc, err := nats.Connect("nats://" + b.Addr()); err == nil {
		nc.Close()
		t.Error("let in without TLS")
	}
	// A node is shown a server that is no controller.
	imposter := dial(t, BusConfig{Name: "a", Servers: []string{b.Addr()}, TLS: ca.issue(t, "a"), Controllers: []string{"c2"}})
	if imposter.Connected() {
		t.Error("connected to a server that is no controller")
	}
	until(t, "it is told so", func() bool {
		return qsc.IsKind(imposter.Report(t.Context(), control.Report{Node: "a"}), qsc.Unreachable)
	})
}

func TestBusConfigIsChecked(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue(t, "a")
	bare, blind, lax := good.Clone(), good.Clone(), good.Clone()
	bare.Certificates, blind.ClientCAs, lax.InsecureSkipVerify = nil, nil, true
	for name, c := range map[string]*tls.Config{"no TLS": nil, "no certificate": bare, "no CA": blind, "no check": lax} {
		_, err := Dial(BusConfig{Name: "a", Servers: []string{"127.0.0.1:1"}, TLS: c})
		if !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("Dial with %s: %v", name, err)
		}
		_, err = StartBroker(BrokerConfig{Name: "c", Listen: "127.0.0.1:0", TLS: c})
		if !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("StartBroker with %s: %v", name, err)
		}
	}
	_, err := Dial(BusConfig{Name: "a", TLS: good})
	want(t, err, qsc.Invalid)
	_, err = StartBroker(BrokerConfig{Name: "c", Listen: "nowhere", TLS: good})
	want(t, err, qsc.Invalid)
	_, err = StartBroker(BrokerConfig{Name: "c", Listen: "127.0.0.1:0", Cluster: "127.0.0.1:0", TLS: good})
	want(t, err, qsc.Invalid)
	b := startBroker(t, BrokerConfig{Name: "c", Listen: "127.0.0.1:0", TLS: good})
	_, err = StartBroker(BrokerConfig{Name: "d", Listen: b.Addr(), TLS: good})
	want(t, err, qsc.Busy)
}

// A NATS server that is not ours, with accounts of its own, will do as well.
func TestBusOnAnExternalCluster(t *testing.T) {
	ca := newAuthority(t)
	hard := got(hybrid("test", ca.issue(t, "nats"), nil))(t)
	ns := got(server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPayload: MaxMessage,
		TLSConfig: hard, TLSVerify: true, Users: []*server.User{{Username: "controller", Password: "p1"}, {Username: "a", Password: "p2"}}}))(t)
	ns.Start()
	defer ns.Shutdown()
	if !ns.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	at := func(user, password string) *Bus {
		return dial(t, BusConfig{Name: user, Servers: []string{ns.Addr().String()}, TLS: ca.issue(t, user), Controllers: []string{"nats"}, User: user, Password: password})
	}
	controller, a := at("controller", "p1"), at("a", "p2")
	var heard mail[control.Report]
	collect(t, func(ctx context.Context) error { return controller.reports(ctx, heard.add) })
	until(t, "the report arrives", func() bool {
		_ = a.Report(t.Context(), control.Report{Node: "a", Boot: 1, Seq: 1}) // not connected yet, perhaps
		return len(heard.all()) > 0
	})
	if at("a", "wrong").Connected() {
		t.Fatal("let in with a wrong password")
	}
}
