package supply

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// spy is a port that shows what its node tells.
type spy struct {
	port
	told func(topic keymgmt.Topic, body []byte)
}

func (p spy) Tell(ctx context.Context, to qsc.NodeID, topic keymgmt.Topic, body []byte) error {
	p.told(topic, body)
	return p.port.Tell(ctx, to, topic, body)
}

// nextPlace is where a start from this disk would put the next segment of the
// only application stream.
func nextPlace(t *testing.T, disk *durable.Disk) (next uint32, ok bool) {
	s, err := Open(Config{Node: "a", FS: disk, Directory: &directory{}, Chunk: 8192, First: 4096, Segment: 8192, room: 64 << 10, tick: -1})
	must(t, err)
	defer s.Close()
	for _, st := range s.byNum {
		if st.app != nil {
			return st.app.nextPlace, true
		}
	}
	return 0, false
}

// A place that the slave was told of is never given to another segment, whenever
// the master crashes: the two applications would get different key under one
// index.
func TestToldPlacesOutlastACrash(t *testing.T) {
	n := newNetwork()
	disk := durable.Mem(1 << 30)
	var looked atomic.Int64
	tell := func(topic keymgmt.Topic, body []byte) {
		if topic != keymgmt.TopicSync || body[0] != syncState_ {
			return
		}
		r := wire.NewReader(body[17:])
		m, err := parseState(r)
		if err != nil || len(m.numbers) == 0 {
			return
		}
		looked.Add(1)
		if next, ok := nextPlace(t, disk.Crashed(nil)); !ok || next < m.firstPlace+uint32(len(m.numbers)) {
			t.Errorf("the slave knows %d places, a start would go on at %d", m.firstPlace+uint32(len(m.numbers)), next)
		}
	}
	change := func(c *Config) { c.Chunk, c.First, c.Segment = 8192, 4096, 8192 }
	a := n.join(t, "a", disk, func(c *Config) { change(c); c.Relay = spy{port{n, "a"}, tell} })
	b := n.join(t, "b", durable.Mem(1<<30), change)
	x, err := a.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: 4096}})
	must(t, err)
	y, err := b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID(), QoS: keymgmt.QoS{ChunkSize: 4096}})
	must(t, err)
	for i := range uint32(30) {
		_, err := x.Get(t.Context(), i, make([]byte, 4096))
		must(t, err)
		_, err = y.Get(t.Context(), i, make([]byte, 4096))
		must(t, err)
	}
	must(t, a.Close())
	must(t, b.Close())
	if looked.Load() == 0 {
		t.Fatal("the slave was told of no place: the test shows nothing")
	}
}

// Places of segments that expired are not given again after a start, even when
// the journal has forgotten the segments.
func TestExpiredPlacesOutlastAStart(t *testing.T) {
	n := newNetwork()
	disk := durable.Mem(1 << 30)
	var passed atomic.Int64
	change := func(c *Config) {
		c.Chunk, c.First, c.Segment, c.TTL = 8192, 4096, 8192, time.Hour
		c.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	}
	a, b := n.join(t, "a", disk, change), n.join(t, "b", durable.Mem(1<<30), change)
	x, err := a.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: 4096}})
	must(t, err)
	y, err := b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID(), QoS: keymgmt.QoS{ChunkSize: 4096}})
	must(t, err)
	_, err = y.Get(t.Context(), 3, make([]byte, 4096)) // places 0 and 1 are at both ends
	must(t, err)
	must(t, b.Close())
	passed.Store(int64(2 * time.Hour))
	a.mu.Lock()
	a.expire()
	st := x.(*appStream).end()
	places := st.app.nextPlace
	a.mu.Unlock()
	must(t, a.Close())
	for range 2 { // the second start reads a journal without the segments
		if next, ok := nextPlace(t, disk); !ok || next < places {
			t.Fatalf("after %d places a start goes on at %d", places, next)
		}
	}
}

// slowUse configures a supply whose clock runs fast: all that is drawn is drawn
// slowly, so that no more is kept than must be.
func slowUse() func(*Config) {
	start := time.Now()
	return func(c *Config) {
		c.Chunk, c.First, c.Segment = 8192, 4096, 8192
		c.Now = func() time.Time { return start.Add(200 * time.Since(start)) }
	}
}

// drawAll gets chunks first to last, not included, at one end after the other,
// each within a bounded time.
func drawAll(t *testing.T, first, last uint32, ends ...keymgmt.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := first; i < last; i++ {
		for _, x := range ends {
			if _, err := x.Get(ctx, i, make([]byte, x.QoS().ChunkSize)); err != nil {
				t.Fatalf("chunk %d: %v", i, err)
			}
		}
	}
}

// A stream goes on though what the slave said of its room was lost.
func TestLostWordOfRoom(t *testing.T) {
	n := newNetwork()
	var deaf atomic.Bool
	change := slowUse()
	a := n.join(t, "a", durable.Mem(1<<30), change)
	lossy := lossyPort{port{n, "b"}, &deaf}
	b := n.join(t, "b", durable.Mem(1<<30), func(c *Config) { change(c); c.Relay = lossy })
	x, err := a.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: 4096}})
	must(t, err)
	y, err := b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID(), QoS: keymgmt.QoS{ChunkSize: 4096}})
	must(t, err)
	drawAll(t, 0, 2, x, y)
	places := full(t, a, x)
	deaf.Store(true)
	drawAll(t, 2, 2*places, y, x)
	deaf.Store(false)
	drawAll(t, 2*places, 20, x, y)
	must(t, a.Close())
	must(t, b.Close())
}

// full waits until the slave's window is full and the master has heard so: no key
// is made until the slave says that it has room. It returns how many places there
// are.
func full(t *testing.T, a *Supply, x keymgmt.Stream) uint32 {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		st := x.(*appStream).now()
		a.sendSync(st)
		a.mu.Lock()
		_, hungry := a.hungryApp(st)
		still := !hungry && st.making == 0 && st.app.peerHeld == len(st.segs) && !st.app.unsettled() && !st.sync.dirty
		places := st.app.nextPlace
		a.mu.Unlock()
		if still {
			return places
		}
	}
	t.Fatal("the window never fills")
	return 0
}

// lossyPort loses what its node tells while it is deaf.
type lossyPort struct {
	port
	deaf *atomic.Bool
}

func (p lossyPort) Tell(ctx context.Context, to qsc.NodeID, topic keymgmt.Topic, body []byte) error {
	if p.deaf.Load() {
		return nil
	}
	return p.port.Tell(ctx, to, topic, body)
}

// leave takes a node off the network and waits until the other has no round with
// it any more.
func (n *network) leave(node qsc.NodeID, other *Supply) {
	n.mu.Lock()
	delete(n.at, node)
	n.mu.Unlock()
	for making := 1; making > 0; time.Sleep(time.Millisecond) {
		making = 0
		for _, x := range other.Status().Streams {
			making += x.Making
		}
	}
}

// What a crash leaves of a chunk is in nobody's way: the stream goes on after it.
func TestRestOfAChunkIsNoStock(t *testing.T) {
	n := newNetwork()
	disk := durable.Mem(1 << 30)
	change := slowUse()
	a, b := n.join(t, "a", durable.Mem(1<<30), change), n.join(t, "b", disk, change)
	x, err := a.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: 3000}})
	must(t, err)
	next := uint32(0)
	for range 4 {
		y, err := b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID(), QoS: keymgmt.QoS{ChunkSize: 3000}})
		must(t, err)
		if next > 0 {
			drawAll(t, next-1, next, x) // which b has lost
		}
		drawAll(t, next, next+4, y, x)
		next += 5
		n.leave("b", a)
		b.mu.Lock() // a mark made ahead, into the next chunk
		round := b.j.add(record{kind: recMark, stream: y.(*appStream).end().num, c: uint64(next-1)*3000 + 1000})
		b.mu.Unlock()
		must(t, b.j.wait(round))
		disk = disk.Crashed(nil)
		must(t, b.Close())
		b = n.join(t, "b", disk, change)
	}
	balanced(t, b)
	must(t, a.Close())
	must(t, b.Close())
}

// An application that passes chunks over goes on, and may come back for the
// latest of them.
func TestSkippedChunks(t *testing.T) {
	a, b := two(t, false, slowUse())
	x, err := a.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "a1", Destination: "b1", QoS: keymgmt.QoS{ChunkSize: 3000}})
	must(t, err)
	y, err := b.OpenStream(t.Context(), keymgmt.StreamRequest{Source: "b1", Destination: "a1", ID: x.ID(), QoS: keymgmt.QoS{ChunkSize: 3000}})
	must(t, err)
	const last = 200
	for i := uint32(0); i < last; i += 2 {
		drawAll(t, i, i+1, x)
		drawAll(t, i+1, i+2, x, y)
	}
	for _, s := range []*Supply{a, b} {
		if n := s.Status().Streams[0].Segments; n > appWindow {
			t.Errorf("%d segments are stored", n)
		}
	}
	drawAll(t, last-2, last-1, y)
	_, err = y.Get(t.Context(), 0, make([]byte, 3000))
	want(t, err, qsc.NotFound)
}
