package relay_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
	"github.com/quantum-secure-cloud/qsc/keymgmt/ledger"
	"github.com/quantum-secure-cloud/qsc/keymgmt/relay"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err error, k qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, k) {
		t.Fatalf("got error %v, want kind %v", err, k)
	}
}

// network is nodes with real ledgers, joined by wires in memory.
type network struct {
	t       testing.TB
	routes  map[[2]qsc.NodeID]keymgmt.Route
	nodes   map[qsc.NodeID]*host
	ledgers map[string]keymgmt.Ledger // "a-b": a's end of the link to b
	tamper  func(from, to qsc.NodeID, msg []byte)
	shut    atomic.Bool // taps give nothing
	mu      sync.Mutex
	cut     map[[2]qsc.NodeID]bool
}

type setup struct {
	block, pad int64
	blocks     int
	hop        bool
	timeout    time.Duration
	dry        string // "a-b": a has no key to send to b
	tap        bool   // key without end, on a real disk
}

// host is one node.
type host struct {
	id     qsc.NodeID
	net    *network
	relay  *relay.Relay
	wires  map[qsc.NodeID]chan []byte // to this node, by neighbour
	work   sync.WaitGroup
	refuse error

	mu   sync.Mutex
	got  map[string]keymgmt.Delivery // by label
	told []string
}

func (h *host) Accept(d keymgmt.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	h.got[string(d.Label)] = d
	return nil
}

func (h *host) Told(from qsc.NodeID, topic keymgmt.Topic, text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, fmt.Sprintf("%s %d %s", from, topic, text))
}

func (h *host) Route(to qsc.NodeID, _ keymgmt.Protection) (keymgmt.Route, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	r, ok := h.net.routes[[2]qsc.NodeID{h.id, to}]
	if !ok {
		return r, qsc.E("route", qsc.NotFound, string(to), "no path leads there")
	}
	return r, nil
}

func (h *host) Send(ctx context.Context, peer qsc.NodeID, parts ...[]byte) error {
	h.net.mu.Lock()
	cut := h.net.cut[[2]qsc.NodeID{h.id, peer}]
	h.net.mu.Unlock()
	if cut {
		return qsc.E("send", qsc.Unreachable, string(peer), "the link is down")
	}
	msg := slices.Concat(parts...)
	if h.net.tamper != nil {
		h.net.tamper(h.id, peer, msg)
	}
	select {
	case h.net.nodes[peer].wires[h.id] <- msg:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newNetwork joins the nodes of the paths and gives the first node of each group
// of paths a route to the last.
func newNetwork(t testing.TB, s setup, need int, paths ...keymgmt.Path) *network {
	n := &network{t: t, routes: map[[2]qsc.NodeID]keymgmt.Route{}, nodes: map[qsc.NodeID]*host{}, ledgers: map[string]keymgmt.Ledger{}, cut: map[[2]qsc.NodeID]bool{}}
	links := map[qsc.NodeID]map[qsc.NodeID]relay.Link{}
	for _, p := range paths {
		for i := range p[1:] {
			n.link(s, links, p[i], p[i+1])
		}
		for _, id := range p {
			if n.nodes[id] == nil {
				n.nodes[id] = &host{id: id, net: n, wires: map[qsc.NodeID]chan []byte{}, got: map[string]keymgmt.Delivery{}}
			}
		}
		ends := [2]qsc.NodeID{p[0], p[len(p)-1]}
		r := n.routes[ends]
		r.Paths, r.Need = append(r.Paths, p), need
		n.routes[ends] = r
	}
	boot := uint64(0)
	for id, h := range n.nodes {
		boot++
		for peer := range links[id] {
			h.wires[peer] = make(chan []byte, 256)
		}
		r, err := relay.Open(relay.Config{Node: id, Links: links[id], Carrier: h, Routes: h, Sink: h, Timeout: s.timeout, Boot: boot, Hop: s.hop})
		must(t, err)
		h.relay = r
	}
	for _, h := range n.nodes {
		for peer, wire := range h.wires {
			h.work.Go(func() {
				for msg := range wire {
					_ = h.relay.Receive(context.Background(), peer, msg) // refusals show in the oracle
				}
			})
		}
	}
	t.Cleanup(n.close)
	return n
}

// link makes both ends of a link.
func (n *network) link(s setup, links map[qsc.NodeID]map[qsc.NodeID]relay.Link, a, b qsc.NodeID) {
	if _, ok := links[a][b]; ok {
		return
	}
	id := qsc.LinkID(a + "-" + b)
	for end, who := range [2][2]qsc.NodeID{{a, b}, {b, a}} {
		stock := &keymgmttest.Stock{Link: id, Epoch: 1, Block: s.block}
		for seq := range uint64(s.blocks + 2) {
			lane, _ := keymgmt.LaneOf(seq)
			if s.dry == string(a+"-"+b) && lane == keymgmt.DataAB || s.dry == string(b+"-"+a) && lane == keymgmt.DataBA {
				continue
			}
			stock.Add(seq)
		}
		var fs durable.FS = durable.Mem(1 << 30)
		var source quantum.Link = stock
		if s.tap {
			dir, err := durable.Dir(n.t.TempDir())
			must(n.t, err)
			fs, source = dir, newTap(id, s.block, &n.shut)
		}
		l, err := ledger.Open(ledger.Config{FS: fs, Link: id, End: end, Epoch: 1, Block: s.block, Pad: s.pad, Source: source, Wait: time.Minute, Retry: time.Millisecond})
		must(n.t, err)
		n.ledgers[string(who[0]+"-"+who[1])] = l
		if links[who[0]] == nil {
			links[who[0]] = map[qsc.NodeID]relay.Link{}
		}
		links[who[0]][who[1]] = relay.Link{ID: id, End: end, Ledger: l}
	}
}

func (n *network) close() {
	for _, h := range n.nodes {
		must(n.t, h.relay.Close())
	}
	for _, h := range n.nodes {
		for _, w := range h.wires {
			close(w)
		}
		h.work.Wait()
	}
	for _, l := range n.ledgers {
		must(n.t, l.Close())
	}
}

// same fails unless the far end has the same key and says the same of it.
func (n *network) same(d keymgmt.Delivery) {
	n.t.Helper()
	h := n.nodes[d.To]
	h.mu.Lock()
	defer h.mu.Unlock()
	o, ok := h.got[string(d.Label)]
	switch {
	case !ok:
		n.t.Fatalf("%q was made, and %s does not have it", d.Label, d.To)
	case !o.Key.Equal(d.Key):
		n.t.Fatalf("the two ends of %q have different keys", d.Label)
	case o.From != d.From || o.Class != d.Class || o.Hops != d.Hops || o.Paths != d.Paths || o.Need != d.Need || o.Disjoint != d.Disjoint:
		n.t.Fatalf("the two ends of %q say different things of it", d.Label)
	}
}

func path(names ...qsc.NodeID) keymgmt.Path { return names }

var small = setup{block: 16 << 10, pad: 64 << 10, blocks: 40, timeout: 20 * time.Second}

func TestMake(t *testing.T) {
	three := []keymgmt.Path{path("m", "a", "d"), path("m", "b", "c", "d"), path("m", "e", "f", "g", "d")}
	for name, c := range map[string]struct {
		need  int
		hop   bool
		paths []keymgmt.Path
	}{
		"link":        {1, false, []keymgmt.Path{path("m", "d")}},
		"three hops":  {1, false, three[1:2]},
		"all of 3":    {3, false, three},
		"2 of 3":      {2, false, three},
		"1 of 2":      {1, false, three[:2]},
		"hop by hop":  {1, true, three[2:]},
		"hops 2 of 3": {2, true, three},
	} {
		t.Run(name, func(t *testing.T) {
			s := small
			s.hop = c.hop
			n := newNetwork(t, s, c.need, c.paths...)
			for i, size := range []int{1, 16, 32, 1000, 5000} {
				d, err := n.nodes["m"].relay.Make(t.Context(), "d", keymgmt.Protection{Paths: len(c.paths), Need: c.need}, fmt.Append(nil, "key ", i), size)
				must(t, err)
				if d.Key.Len() != size || d.Class != qsc.Simulated || d.Paths != len(c.paths) || d.Need != c.need {
					t.Fatalf("%d bytes, class %v, %d of %d paths", d.Key.Len(), d.Class, d.Need, d.Paths)
				}
				n.same(d)
			}
		})
	}
}

func TestLostPathGoesUnnoticed(t *testing.T) {
	n := newNetwork(t, small, 2, path("m", "a", "d"), path("m", "b", "d"), path("m", "c", "d"))
	n.cut[[2]qsc.NodeID{"b", "d"}] = true
	for i := range 10 {
		d, err := n.nodes["m"].relay.Make(t.Context(), "d", keymgmt.Protection{Paths: 3, Need: 2}, fmt.Append(nil, i), 32)
		must(t, err)
		n.same(d)
	}
}

func TestPipelined(t *testing.T) {
	s := small
	s.pad, s.blocks = 1<<20, 200
	n := newNetwork(t, s, 1, path("m", "a", "b", "d"))
	var work sync.WaitGroup
	for i := range 16 {
		work.Go(func() {
			for j := range 20 {
				d, err := n.nodes["m"].relay.Make(t.Context(), "d", keymgmt.Protection{}, fmt.Append(nil, i, j), 100)
				if err != nil {
					t.Error(err)
					return
				}
				n.same(d)
			}
		})
	}
	work.Wait()
}

func TestFailures(t *testing.T) {
	ask := func(n *network) error {
		_, err := n.nodes["m"].relay.Make(n.t.Context(), "d", keymgmt.Protection{}, nil, 32)
		return err
	}
	s := small
	dry := func(where string) setup {
		s := s
		s.dry = where
		return s
	}
	t.Run("dry relay", func(t *testing.T) {
		t.Parallel() // waits for key, half a round's time
		n := newNetwork(t, dry("a-b"), 1, path("m", "a", "b", "d"))
		want(t, ask(n), qsc.Exhausted)
		if st := n.nodes["m"].relay.Status(); st.Failed != 1 || st.Open != 0 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("dry source", func(t *testing.T) {
		t.Parallel()
		want(t, ask(newNetwork(t, dry("m-a"), 1, path("m", "a", "d"))), qsc.Exhausted)
	})
	t.Run("cut", func(t *testing.T) {
		n := newNetwork(t, s, 1, path("m", "a", "b", "d"))
		n.cut[[2]qsc.NodeID{"a", "b"}] = true
		want(t, ask(n), qsc.Unreachable)
	})
	t.Run("altered", func(t *testing.T) {
		n := newNetwork(t, s, 1, path("m", "a", "d"))
		n.tamper = func(from, to qsc.NodeID, msg []byte) {
			if from == "a" && to == "d" && msg[1] == 2 { // an announcement
				msg[len(msg)-1] ^= 1
			}
		}
		want(t, ask(n), qsc.Tampered)
	})
	t.Run("refused", func(t *testing.T) {
		n := newNetwork(t, s, 1, path("m", "a", "d"))
		n.nodes["d"].refuse = qsc.E("sink", qsc.NoSpace, "d", "the disk is full")
		want(t, ask(n), qsc.NoSpace)
	})
	t.Run("no route", func(t *testing.T) {
		n := newNetwork(t, s, 1, path("m", "a", "d"))
		_, err := n.nodes["m"].relay.Make(t.Context(), "x", keymgmt.Protection{}, nil, 32)
		want(t, err, qsc.NotFound)
	})
	t.Run("invalid", func(t *testing.T) {
		m := newNetwork(t, s, 1, path("m", "a", "d")).nodes["m"].relay
		for _, size := range []int{0, -1, keymgmt.MaxRound + 1} {
			_, err := m.Make(t.Context(), "d", keymgmt.Protection{}, nil, size)
			want(t, err, qsc.Invalid)
		}
		_, err := m.Make(t.Context(), "d", keymgmt.Protection{}, make([]byte, keymgmt.MaxLabel+1), 32)
		want(t, err, qsc.Invalid)
		want(t, m.Receive(t.Context(), "a", []byte("no message")), qsc.Unsupported)
		want(t, m.Receive(t.Context(), "stranger", nil), qsc.NotFound)
	})
}

func TestTell(t *testing.T) {
	n := newNetwork(t, small, 1, path("m", "a", "b", "d"))
	must(t, n.nodes["m"].relay.Tell(t.Context(), "d", keymgmt.TopicSync, []byte("which live")))
	want(t, n.nodes["m"].relay.Tell(t.Context(), "x", keymgmt.TopicSync, nil), qsc.NotFound)
	want(t, n.nodes["m"].relay.Tell(t.Context(), "d", keymgmt.TopicSync, make([]byte, keymgmt.MaxTold+1)), qsc.Invalid)
	// A round behind it on the same wires arrives after it.
	_, err := n.nodes["m"].relay.Make(t.Context(), "d", keymgmt.Protection{}, nil, 32)
	must(t, err)
	d := n.nodes["d"]
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.told, []string{"m 1 which live"}) {
		t.Errorf("%q", d.told)
	}
}

// Close ends the rounds that wait, and later calls.
func TestClose(t *testing.T) {
	n := newNetwork(t, small, 1, path("m", "a", "d"))
	n.cut[[2]qsc.NodeID{"d", "a"}] = true // the ack never comes
	m := n.nodes["m"].relay
	done := make(chan error, 1)
	var work sync.WaitGroup
	work.Go(func() {
		_, err := m.Make(context.Background(), "d", keymgmt.Protection{}, nil, 32)
		done <- err
	})
	defer work.Wait()
	for m.Status().Open == 0 {
		select {
		case err := <-done:
			t.Fatalf("ended before it was closed: %v", err)
		case <-time.After(100 * time.Microsecond):
		}
	}
	must(t, m.Close())
	want(t, <-done, qsc.Unreachable)
	_, err := m.Make(t.Context(), "d", keymgmt.Protection{}, nil, 32)
	want(t, err, qsc.Unreachable)
	want(t, m.Receive(t.Context(), "a", nil), qsc.Unreachable)
}

// The longest round, with a spare path, in pieces where the rings wrap.
func TestLongestRound(t *testing.T) {
	s := setup{block: 256 << 10, pad: 3 << 20, blocks: 30, timeout: 20 * time.Second}
	n := newNetwork(t, s, 2, path("m", "a", "b", "d"), path("m", "c", "d"), path("m", "e", "d"))
	for i := range 2 {
		d, err := n.nodes["m"].relay.Make(t.Context(), "d", keymgmt.Protection{Paths: 3, Need: 2}, fmt.Append(nil, i), keymgmt.MaxRound)
		must(t, err)
		n.same(d)
	}
}
