package supply

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// directory knows applications named node-something.
type directory struct {
	policy keymgmt.Policy
	denied map[[2]qsc.AppID]bool
}

func (d *directory) Home(app qsc.AppID) (qsc.NodeID, bool) {
	if len(app) < 2 {
		return "", false
	}
	return qsc.NodeID(app[:1]), true
}

func (d *directory) Allowed(m, s qsc.AppID) (keymgmt.Policy, bool) {
	return d.policy, !d.denied[[2]qsc.AppID{m, s}]
}

// network is a relay in memory between the supplies of one test.
type network struct {
	mu   sync.Mutex
	at   map[qsc.NodeID]keymgmt.Sink
	r    *rand.ChaCha8
	fate func() (deliver, answer bool) // of a round; nil: all is well
	mail []told                        // with to in from's place, when held back
	hold bool
}

func newNetwork() *network {
	return &network{at: map[qsc.NodeID]keymgmt.Sink{}, r: rand.NewChaCha8([32]byte{7})}
}

// port is one node's relay.
type port struct {
	n    *network
	node qsc.NodeID
}

func (p port) Make(ctx context.Context, to qsc.NodeID, prot keymgmt.Protection, label []byte, n int) (keymgmt.Delivery, error) {
	p.n.mu.Lock()
	sink := p.n.at[to]
	key := make([]byte, n)
	_, _ = p.n.r.Read(key)
	deliver, answer := true, true
	if p.n.fate != nil {
		deliver, answer = p.n.fate()
	}
	p.n.mu.Unlock()
	lost := qsc.E("relay.Make", qsc.Timeout, string(to), "lost")
	if sink == nil || !deliver {
		return keymgmt.Delivery{}, lost
	}
	d := keymgmt.Delivery{From: p.node, To: to, Label: label, Key: qsc.NewSecret(slices.Clone(key)), Class: qsc.Simulated, Hops: 3, Paths: prot.Paths, Need: prot.Need, Disjoint: true}
	if err := sink.Accept(d); err != nil || !answer {
		return keymgmt.Delivery{}, lost
	}
	d.Key = qsc.NewSecret(key)
	return d, nil
}

func (p port) Tell(_ context.Context, to qsc.NodeID, topic keymgmt.Topic, body []byte) error {
	p.n.mu.Lock()
	sink := p.n.at[to]
	if p.n.hold && topic == keymgmt.TopicGift { // its sender waits for the answer
		p.n.mu.Unlock()
		if p.n.fate == nil || sink == nil {
			return nil
		}
		if deliver, _ := p.n.fate(); deliver {
			sink.(*Supply).take(told{p.node, topic, body})
		}
		return nil
	}
	if p.n.hold {
		p.n.mail = append(p.n.mail, told{p.node, topic, append([]byte(to[:1]), body...)})
		sink = nil
	}
	p.n.mu.Unlock()
	if sink != nil {
		sink.Told(p.node, topic, body)
	}
	return nil
}

func (p port) Receive(context.Context, qsc.NodeID, []byte) error { return nil }
func (p port) Status() keymgmt.RelayStatus                       { return keymgmt.RelayStatus{} }
func (p port) Close() error                                      { return nil }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err error, k qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, k) {
		t.Fatalf("got %v, want kind %v", err, k)
	}
}

// join opens the supply of a node on a network.
func (n *network) join(t testing.TB, node qsc.NodeID, fs durable.FS, change func(*Config)) *Supply {
	t.Helper()
	c := Config{Node: node, FS: fs, Directory: &directory{}, Relay: port{n, node}, Wait: time.Minute} // so that a slow machine does not end it
	if _, ok := fs.(*durable.Disk); ok {
		c.room = 64 << 10
	}
	if change != nil {
		change(&c)
	}
	s, err := Open(c)
	must(t, err)
	n.mu.Lock()
	n.at[node] = s
	n.mu.Unlock()
	return s
}

func diskOf(t testing.TB, real bool) durable.FS {
	if !real {
		return durable.Mem(1 << 30)
	}
	d, err := durable.Dir(t.TempDir())
	must(t, err)
	return d
}

// two are the supplies of nodes a and b.
func two(t testing.TB, real bool, change func(*Config)) (a, b *Supply) {
	n := newNetwork()
	a, b = n.join(t, "a", diskOf(t, real), change), n.join(t, "b", diskOf(t, real), change)
	t.Cleanup(func() {
		must(t, a.Close())
		must(t, b.Close())
		for _, s := range []*Supply{a, b} {
			balanced(t, s)
		}
	})
	return a, b
}

func balanced(t testing.TB, s *Supply) {
	t.Helper()
	for _, x := range s.Status().Streams {
		if b := x.Books; !b.Balanced() || b.Produced < 0 || b.Used < 0 || b.Burnt < 0 || b.Expired < 0 || b.Left < 0 {
			t.Fatalf("the book with %s (master %v, app %v) does not close: %+v", x.Peer, x.Master, x.App, b)
		}
	}
}

func ask(master, slave qsc.AppID, n int) keymgmt.KeyRequest {
	return keymgmt.KeyRequest{Master: master, Slaves: []qsc.AppID{slave}, Number: n, Want: keymgmt.AnyClass}
}

func TestPair(t *testing.T) {
	a, b := two(t, false, nil)
	for _, n := range []int{1, 128, 5} {
		k, err := a.Issue(t.Context(), ask("a1", "b1", n))
		must(t, err)
		_, err = b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b2", Master: "a1", IDs: k.IDs})
		want(t, err, qsc.Denied)
		_, err = b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a2", IDs: k.IDs})
		want(t, err, qsc.Denied)
		got, err := b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs})
		must(t, err)
		if !got.Bytes.Equal(k.Bytes) || got.Bytes.Len() != 32*n || got.Class != k.Class || got.Hops != k.Hops {
			t.Fatal("the two ends differ")
		}
		_, err = b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs[:1]})
		want(t, err, qsc.NotFound)
	}
}

func TestSameNode(t *testing.T) {
	a, _ := two(t, false, nil)
	k, err := a.Issue(t.Context(), ask("a1", "a2", 3))
	must(t, err)
	got, err := a.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "a2", Master: "a1", IDs: k.IDs})
	must(t, err)
	if !got.Bytes.Equal(k.Bytes) || k.Class != qsc.OSRandom {
		t.Fatal("the two ends differ")
	}
}

func TestMulticast(t *testing.T) {
	n := newNetwork()
	a, b, c := n.join(t, "a", diskOf(t, false), nil), n.join(t, "b", diskOf(t, false), nil), n.join(t, "c", diskOf(t, false), nil)
	slaves := []qsc.AppID{"b1", "b2", "c1", "c2", "a2"}
	k, err := a.Issue(t.Context(), keymgmt.KeyRequest{Master: "a1", Slaves: slaves, Number: 128, Want: keymgmt.AnyClass})
	must(t, err)
	for _, x := range slaves {
		s := map[byte]*Supply{'a': a, 'b': b, 'c': c}[x[0]]
		_, err := s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: x[:1] + "9", Master: "a1", IDs: k.IDs})
		if !qsc.IsKind(err, qsc.Denied) && (x == "b1" || !qsc.IsKind(err, qsc.NotFound)) {
			t.Fatalf("a stranger's fetch: %v", err)
		}
		got, err := s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: x, Master: "a1", IDs: k.IDs})
		must(t, err)
		if !got.Bytes.Equal(k.Bytes) {
			t.Fatal("the two ends differ")
		}
		_, err = s.Fetch(t.Context(), keymgmt.FetchRequest{Slave: x, Master: "a1", IDs: k.IDs[3:4]})
		if !qsc.IsKind(err, qsc.NotFound) && !qsc.IsKind(err, qsc.Denied) {
			t.Fatalf("fetched twice: %v", err)
		}
	}
	for _, s := range []*Supply{a, b, c} {
		if n := s.Status().Gifts; n != 0 {
			t.Fatalf("%d gifts are left", n)
		}
		must(t, s.Close())
	}
}

// A gift that reaches a node before the state of its stream does is kept when it
// comes again.
func TestGiftComesBeforeTheState(t *testing.T) {
	n := newNetwork()
	a, b, c := n.join(t, "a", diskOf(t, false), nil), n.join(t, "b", diskOf(t, false), nil), n.join(t, "c", diskOf(t, false), nil)
	r := keymgmt.KeyRequest{Master: "a1", Slaves: []qsc.AppID{"b1", "c1"}, Number: 2, Want: keymgmt.AnyClass}
	_, err := a.Issue(t.Context(), r)
	must(t, err)
	c.mu.Lock()
	c.slaves["a"][0].confirmed = false // as after a start
	c.mu.Unlock()
	k, err := a.Issue(t.Context(), r)
	must(t, err)
	got, err := c.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "c1", Master: "a1", IDs: k.IDs})
	must(t, err)
	if !got.Bytes.Equal(k.Bytes) {
		t.Fatal("the two ends differ")
	}
	for _, s := range []*Supply{a, b, c} {
		must(t, s.Close())
	}
}

func TestRetry(t *testing.T) {
	d := &directory{policy: keymgmt.Policy{Retry: time.Minute}}
	a, b := two(t, false, func(c *Config) { c.Directory = d })
	r := ask("a1", "b1", 2)
	r.Client, r.Retry = "x", "first"
	k, err := a.Issue(t.Context(), r)
	must(t, err)
	again, err := a.Issue(t.Context(), r)
	must(t, err)
	if !again.Bytes.Equal(k.Bytes) || !slices.Equal(again.IDs, k.IDs) {
		t.Fatal("a retry got another key")
	}
	f := keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs, Client: "y"}
	got, err := b.Fetch(t.Context(), f)
	must(t, err)
	got.Bytes.Zeroise()
	got, err = b.Fetch(t.Context(), f)
	must(t, err)
	if !got.Bytes.Equal(k.Bytes) {
		t.Fatal("a retry got another key")
	}
	f.Client = "z"
	_, err = b.Fetch(t.Context(), f)
	want(t, err, qsc.NotFound)
}

func TestReopen(t *testing.T) {
	n := newNetwork()
	da, db := diskOf(t, false), diskOf(t, false)
	a, b := n.join(t, "a", da, nil), n.join(t, "b", db, nil)
	k, err := a.Issue(t.Context(), ask("a1", "b1", 10))
	must(t, err)
	for i := range 5 {
		must(t, a.Close())
		must(t, b.Close())
		a, b = n.join(t, "a", da, nil), n.join(t, "b", db, nil)
		got, err := b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs[i : i+1]})
		must(t, err)
		if string(got.Bytes.Expose()) != string(k.Bytes.Expose()[32*i:32*i+32]) {
			t.Fatal("the two ends differ")
		}
		_, err = b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs[i : i+1]})
		want(t, err, qsc.NotFound)
		_, err = a.Issue(t.Context(), ask("a1", "b1", 1))
		must(t, err)
	}
	for _, x := range slices.Concat(a.Status().Streams, b.Status().Streams) {
		if x.Books.Burnt != 0 {
			t.Fatalf("a start in order has burnt key: %+v", x)
		}
	}
	must(t, a.Close())
	must(t, b.Close())
}

func TestStream(t *testing.T) {
	a, b := two(t, false, func(c *Config) { c.Chunk = 8192; c.First = 4096; c.Segment = 8192 })
	x, err := a.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: 3000}})
	must(t, err)
	y, err := b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID()})
	for i := 0; qsc.IsKind(err, qsc.Other) && i < 100; i++ {
		y, err = b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID()})
	}
	must(t, err)
	<-x.Connected()
	<-y.Connected()
	_, err = b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b2", Destination: "a1", ID: x.ID()})
	want(t, err, qsc.Busy)
	p, q := make([]byte, 3000), make([]byte, 3000)
	for i := range uint32(40) {
		_, err := x.Get(t.Context(), i, p)
		must(t, err)
		_, err = y.Get(t.Context(), i, q)
		must(t, err)
		if string(p) != string(q) {
			t.Fatalf("chunk %d differs", i)
		}
		_, err = y.Get(t.Context(), i, q)
		want(t, err, qsc.NotFound)
	}
	must(t, x.Close())
	must(t, y.Close())
	if os.Getenv("QSC_TRACE") != "" {
		t.Logf("%+v", a.Status())
	}
}

func TestConform(t *testing.T) {
	keymgmttest.ConformSupply(t, func(t *testing.T) keymgmttest.SupplyPair {
		a, b := two(t, false, func(c *Config) { c.Chunk = 16 << 10 })
		return keymgmttest.SupplyPair{A: a, B: b}
	})
}
