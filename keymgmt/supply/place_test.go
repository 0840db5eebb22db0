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
