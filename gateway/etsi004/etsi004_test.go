package etsi004

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/internal/etsi004/etsi004test"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// world is a KME that serves every application, over the double of a supply.
type world struct {
	ca     *etsi004test.CA
	supply *keymgmttest.Supply
	s      *Server
}

func newWorld(t testing.TB, sc keymgmttest.SupplyConfig, change func(*Config)) *world {
	t.Helper()
	w := &world{ca: etsi004test.NewCA(t), supply: keymgmttest.NewSupply(sc)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Supply: w.supply, TLS: w.ca.Server(t), Timeout: time.Minute}
	if change != nil {
		change(&cfg)
	}
	if w.s, err = Serve(l, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.s.Close() })
	return w
}

func (w *world) addr() string { return w.s.Addr().String() }

// client connects as an application.
func (w *world) client(t testing.TB, name string, uris ...string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), w.addr(), w.ca.Client(t, name, uris...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// id makes a key stream ID out of a digit.
func id(n byte) wire.KSID {
	return wire.KSID{n, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, n}
}

// opening is what a call of OPEN_CONNECT came to.
type opening struct {
	wire.OpenResponse
	err error
}

func (o opening) check(t *testing.T, want wire.Status) opening {
	t.Helper()
	if got, ok := wire.StatusOf(o.err); !ok && o.err != nil {
		t.Fatal(o.err)
	} else if o.err == nil && o.Status != want || o.err != nil && got != want {
		t.Fatalf("OPEN_CONNECT: %v (%v), want %v", o.Status, o.err, want)
	}
	return o
}

// open calls OPEN_CONNECT in the background.
func open(t *testing.T, c *Client, from, to string, id wire.KSID, q wire.QoS) <-chan opening {
	done := make(chan opening, 1)
	ctx := t.Context()
	var wg sync.WaitGroup
	wg.Go(func() {
		r, err := c.Open(ctx, wire.OpenRequest{Source: from, Destination: to, QoS: q, ID: id})
		done <- opening{r, err}
	})
	return done
}

// pair opens one stream at both ends.
func (w *world) pair(t *testing.T, id wire.KSID, q wire.QoS) (a, b *Client) {
	t.Helper()
	a, b = w.client(t, "alice"), w.client(t, "bob")
	one, two := open(t, a, "alice", "bob", id, q), open(t, b, "bob", "alice", id, q)
	(<-one).check(t, wire.OK)
	(<-two).check(t, wire.OK)
	return a, b
}

// get calls GET_KEY and checks the status.
func get(t *testing.T, c *Client, id wire.KSID, index uint32, dst []byte, want wire.Status) wire.Metadata {
	t.Helper()
	m, err := c.Get(t.Context(), wire.GetRequest{ID: id, Index: index, MetaRoom: 256}, dst)
	if got, ok := wire.StatusOf(err); !ok || got != want {
		t.Fatalf("GET_KEY of chunk %d: %v, want %v", index, err, want)
	}
	return m
}

func TestBothEndsGetTheSameKeyOnce(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{Class: qsc.OSRandom, Hops: 3}, nil)
	q := wire.QoS{ChunkSize: 1000, Mimetype: wire.QSC}
	a, b := w.pair(t, id(1), q)
	seen := map[string]bool{}
	for i := range uint32(20) {
		one, two := make([]byte, 1000), make([]byte, 1000)
		m := get(t, a, id(1), i, one, wire.OK)
		get(t, b, id(1), i, two, wire.OK)
		if !bytes.Equal(one, two) || seen[string(one)] {
			t.Fatalf("chunk %d differs at the ends or came before", i)
		}
		if m.Hops != 2 || !m.Known || m.Class != qsc.OSRandom {
			t.Fatalf("metadata: %d hops, class %v", m.Hops, m.Class)
		}
		seen[string(one)] = true
		get(t, a, id(1), i, two, wire.Insufficient)
		if a.Broken() != nil {
			t.Fatal("a refusal has broken the connection")
		}
	}
	for _, c := range []*Client{a, b} {
		if err := c.CloseStream(t.Context(), id(1)); err != nil {
			t.Fatal(err)
		}
		if s, _ := wire.StatusOf(c.CloseStream(t.Context(), id(1))); s != wire.NoConnection {
			t.Fatalf("CLOSE again: %v", s)
		}
		get(t, c, id(1), 30, make([]byte, 1000), wire.NoConnection)
	}
}

func TestCreatorTellsItsPeerTheID(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, b := w.client(t, "alice"), w.client(t, "bob")
	first := (<-open(t, a, "alice", "bob", wire.KSID{}, wire.QoS{ChunkSize: 64})).check(t, wire.NoPeerYet)
	if first.ID[6]>>4 != 4 || first.ID[8]>>6 != 2 {
		t.Fatalf("%v is no UUID of version 4", first.ID)
	}
	get(t, a, first.ID, 0, make([]byte, 64), wire.PeerAway)
	waiting := open(t, w.client(t, "alice"), "alice", "bob", first.ID, wire.QoS{})
	second := (<-open(t, b, "bob", "alice", first.ID, wire.QoS{ChunkSize: 999})).check(t, wire.OK)
	if second.QoS.ChunkSize != 64 {
		t.Fatalf("chunks of %d bytes: the first opener's quality does not win", second.QoS.ChunkSize)
	}
	(<-waiting).check(t, wire.OK)
	one, two := make([]byte, 64), make([]byte, 64)
	get(t, b, first.ID, 5, two, wire.OK)
	get(t, a, first.ID, 5, one, wire.OK)
	if !bytes.Equal(one, two) {
		t.Fatal("the ends differ")
	}
}

func TestOpenRefusals(t *testing.T) {
	allowed := func(m, s qsc.AppID) (keymgmt.Policy, bool) { return keymgmt.Policy{}, m != "eve" && s != "eve" }
	w := newWorld(t, keymgmttest.SupplyConfig{Allowed: allowed}, func(c *Config) { c.MaxStreams = 2 })
	w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	short := wire.QoS{Timeout: 30}
	for name, c := range map[string]struct {
		app, from, to string
		id            wire.KSID
		q             wire.QoS
		want          wire.Status
	}{
		"third application":       {"carol", "carol", "bob", id(1), short, wire.InUse},
		"other destination":       {"alice", "alice", "carol", id(1), short, wire.InUse},
		"not the certificate's":   {"carol", "alice", "bob", id(2), short, wire.NoConnection},
		"not allowed":             {"eve", "eve", "bob", id(2), short, wire.NoConnection},
		"with itself":             {"carol", "carol", "carol", id(2), short, wire.NoConnection},
		"no name":                 {"carol", "carol", "", id(2), short, wire.NoConnection},
		"nobody comes":            {"carol", "carol", "bob", id(2), short, wire.TimedOut},
		"unknown mimetype":        {"carol", "carol", "bob", id(2), wire.QoS{Mimetype: "text/plain"}, wire.QoSNotMet},
		"chunk too large":         {"carol", "carol", "bob", id(2), wire.QoS{ChunkSize: 1<<20 + 1}, wire.QoSNotMet},
		"least above most":        {"carol", "carol", "bob", id(2), wire.QoS{MinBps: 9, MaxBps: 8}, wire.QoSNotMet},
		"created, nobody there":   {"carol", "carol", "bob", wire.KSID{}, short, wire.NoPeerYet},
		"qkd URI of the name":     {"dave", "qkd://dave@node-3", "qkd://bob@node-1/x?token=y", wire.KSID{}, short, wire.NoPeerYet},
		"qkd URI of another name": {"dave", "qkd://bob@dave", "alice", wire.KSID{}, short, wire.NoConnection},
	} {
		o := (<-open(t, w.client(t, c.app), c.from, c.to, c.id, c.q))
		if got, ok := wire.StatusOf(o.err); o.err == nil && o.Status != c.want || o.err != nil && (!ok || got != c.want) {
			t.Errorf("%s: status %v, error %v; want %v", name, o.Status, o.err, c.want)
		}
		if c.want == wire.QoSNotMet && (o.QoS.Mimetype == "text/plain" || o.QoS.ChunkSize > 1<<20 || o.QoS.MinBps > 8) {
			t.Errorf("%s: no counter-proposal: %+v", name, o.QoS)
		}
	}
	c := w.client(t, "frank")
	for _, want := range []wire.Status{wire.NoPeerYet, wire.NoPeerYet, wire.NoConnection} {
		(<-open(t, c, "frank", "bob", wire.KSID{}, short)).check(t, want)
	}
}

// What only the supply knows to be impossible is left to the KME's choice.
func TestSupplyRefusesTheQuality(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) { c.MaxChunk = 4 << 20 })
	a := w.client(t, "alice")
	o := (<-open(t, a, "alice", "bob", wire.KSID{}, wire.QoS{ChunkSize: 2 << 20, MinBps: 5, TTL: 7})).check(t, wire.QoSNotMet)
	if o.QoS != (wire.QoS{TTL: 7}) {
		t.Fatalf("%+v", o.QoS)
	}
	(<-open(t, a, "alice", "bob", wire.KSID{}, o.QoS)).check(t, wire.NoPeerYet)
}

func TestMetadataRoomIsCheckedBeforeKeyIsTaken(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, _ := w.pair(t, id(1), wire.QoS{ChunkSize: 32, Mimetype: wire.JSON})
	dst := make([]byte, 32)
	_, err := a.Get(t.Context(), wire.GetRequest{ID: id(1), MetaRoom: 5}, dst)
	var e *wire.StatusError
	if !errors.As(err, &e) || e.Status != wire.MetadataTooBig || e.Needed == 0 {
		t.Fatal(err)
	}
	if _, err := a.Get(t.Context(), wire.GetRequest{ID: id(1), MetaRoom: e.Needed}, dst); err != nil {
		t.Fatalf("the same chunk with the room that was named: %v", err)
	}
}

func TestGetStatuses(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, b := w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	dst := make([]byte, 32)
	w.supply.SetChunks(id(1), 2, false)
	get(t, a, id(1), 7, dst, wire.Insufficient)
	// A stream of its own for the short time, which bounds its opener's calls only.
	short := (<-open(t, a, "alice", "bob", wire.KSID{}, wire.QoS{ChunkSize: 32, Timeout: 30})).check(t, wire.NoPeerYet).ID
	(<-open(t, b, "bob", "alice", short, wire.QoS{})).check(t, wire.OK)
	w.supply.SetChunks(short, 2, true)
	get(t, a, short, 7, dst, wire.TimedOut)
	if a.Broken() != nil {
		t.Fatal("the KME's time was up, and the client gave its connection up")
	}
	get(t, a, id(1), 0, dst, wire.OK)
	get(t, a, id(1), 1, dst, wire.OK)
	_, err := a.Get(t.Context(), wire.GetRequest{ID: id(1), Index: 0, MetaRoom: 256}, dst)
	var e *wire.StatusError
	if !errors.As(err, &e) || e.Status != wire.Insufficient || e.Index != 2 {
		t.Fatalf("an index given before does not name the next one: %v", err)
	}
	get(t, w.client(t, "carol"), id(1), 1, dst, wire.NoConnection)
	if err := b.CloseStream(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	get(t, a, id(1), 2, dst, wire.PeerAway)
	w.supply.Fail(qsc.E("test", qsc.NoSpace, "", "the disk is full"))
	get(t, a, id(1), 3, dst, wire.NoConnection)
}

// A stream belongs to the application: a lost connection does not end it, but
// staying away does.
func TestApplicationComesBack(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, b := w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	dst, before := make([]byte, 32), w.s.end("alice", id(1))
	_ = a.Close()
	until(t, func() bool { return w.s.connections("alice") == 0 })
	get(t, b, id(1), 0, dst, wire.OK)
	a = w.client(t, "alice")
	(<-open(t, a, "alice", "bob", id(1), wire.QoS{})).check(t, wire.OK)
	get(t, a, id(1), 0, dst, wire.OK)
	if w.s.end("alice", id(1)) != before {
		t.Fatal("the stream has ended with the connection")
	}

	w = newWorld(t, keymgmttest.SupplyConfig{}, func(c *Config) { c.Linger = 10 * time.Millisecond })
	a, b = w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	_ = a.Close()
	var index uint32
	until(t, func() bool {
		_, err := b.Get(t.Context(), wire.GetRequest{ID: id(1), Index: index, MetaRoom: 256}, dst)
		index++
		s, _ := wire.StatusOf(err)
		return s == wire.PeerAway
	})
}

// until asks again and again until cond holds.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}

func (s *Server) connections(app qsc.AppID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.saes[app]; a != nil {
		return len(a.conns)
	}
	return 0
}

// end is an application's end of a stream that is open.
func (s *Server) end(app qsc.AppID, id wire.KSID) *end {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saes[app].ends[id]
}

func TestDropEndsAnApplication(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, b := w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	w.s.Drop("alice")
	w.s.Drop("nobody")
	if _, err := a.Get(t.Context(), wire.GetRequest{ID: id(1)}, make([]byte, 32)); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatalf("the connection of a dropped application: %v", err)
	}
	get(t, b, id(1), 0, make([]byte, 32), wire.PeerAway)
}

func TestPipelineGoesOnAfterARefusal(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, _ := w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	dst := make([]byte, 32)
	get(t, a, id(1), 3, dst, wire.OK)
	p := a.Pipeline(id(1), 0, 50, 256, 8)
	for i := range uint32(50) {
		index, _, err := p.Next(t.Context(), dst)
		if s, ok := wire.StatusOf(err); !ok || index != i || (s == wire.OK) != (i != 3) {
			t.Fatalf("answer %d is of chunk %d: %v", i, index, err)
		}
	}
	if _, _, err := p.Next(t.Context(), dst); !qsc.IsKind(err, qsc.NotFound) {
		t.Fatal(err)
	}
}

func TestCancelledCallBreaksOnlyItsConnection(t *testing.T) {
	w := newWorld(t, keymgmttest.SupplyConfig{}, nil)
	a, b := w.pair(t, id(1), wire.QoS{ChunkSize: 32})
	w.supply.SetChunks(id(1), 0, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	var calling sync.WaitGroup
	calling.Go(func() {
		_, err := a.Get(ctx, wire.GetRequest{ID: id(1), MetaRoom: 256}, make([]byte, 32))
		done <- err
	})
	until(t, func() bool { return len(w.s.end("alice", id(1)).turn) > 0 }) // a Get is under way
	cancel()
	if err := <-done; !qsc.IsKind(err, qsc.Timeout) {
		t.Fatal(err)
	}
	if _, err := a.Get(t.Context(), wire.GetRequest{ID: id(1)}, make([]byte, 32)); !qsc.IsKind(err, qsc.Unreachable) {
		t.Fatal(err)
	}
	until(t, func() bool { return w.s.connections("alice") == 0 })
	w.supply.SetChunks(id(1), 1, true)
	get(t, b, id(1), 0, make([]byte, 32), wire.OK)
	get(t, w.client(t, "alice"), id(1), 0, make([]byte, 32), wire.OK)
}
