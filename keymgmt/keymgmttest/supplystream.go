package keymgmttest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// doubleStream is what two applications share; guarded by Supply.mu.
type doubleStream struct {
	s      *Supply
	id     [16]byte
	apps   [2]qsc.AppID
	ends   [2]*doubleEnd
	qos    keymgmt.QoS
	seed   [32]byte
	chunks int64 // that exist or may come; -1: endless
	coming bool  // more may come: Get waits for it
	both   chan struct{}
	joined bool
	more   chan struct{} // closed and replaced when something changes
	born   time.Time
}

// doubleEnd implements keymgmt.Stream.
type doubleEnd struct {
	d      *doubleStream
	given  map[uint32]bool
	closed bool
}

// OpenStream implements keymgmt.Supply.
func (s *Supply) OpenStream(_ context.Context, r keymgmt.StreamRequest) (keymgmt.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const op = "supply.OpenStream"
	if s.fail != nil {
		return nil, s.fail
	}
	if _, ok := s.Home(r.Destination); !ok {
		return nil, qsc.E(op, qsc.NotFound, "", "no application %q is known", r.Destination)
	}
	d := s.streams[r.ID]
	if d != nil {
		return d.join(r)
	}
	if _, err := s.pair(op, r.Source, r.Destination); err != nil {
		return nil, err
	}
	if r.QoS.ChunkSize > keymgmt.MaxRound {
		return nil, qsc.E(op, qsc.Invalid, "", "chunks of %d bytes: give at most %d", r.QoS.ChunkSize, keymgmt.MaxRound)
	}
	d = s.newStream(r)
	s.streams[d.id] = d
	return d.ends[0], nil
}

func (s *Supply) newStream(r keymgmt.StreamRequest) *doubleStream {
	d := &doubleStream{s: s, id: r.ID, apps: [2]qsc.AppID{r.Source, r.Destination}, qos: r.QoS, chunks: s.cfg.Chunks,
		both: make(chan struct{}), more: make(chan struct{}), born: s.cfg.Now()}
	if d.id == ([16]byte{}) {
		d.id = s.newID()
	}
	if d.qos.ChunkSize == 0 {
		d.qos.ChunkSize = 32
	}
	if d.chunks == 0 {
		d.chunks = -1
	}
	_, _ = s.r.Read(d.seed[:])
	d.ends[0] = &doubleEnd{d: d, given: map[uint32]bool{}}
	return d
}

func (d *doubleStream) join(r keymgmt.StreamRequest) (keymgmt.Stream, error) {
	i := -1
	for j, a := range d.apps {
		if a == r.Source && d.apps[1-j] == r.Destination {
			i = j
		}
	}
	switch {
	case i < 0:
		return nil, qsc.E("supply.OpenStream", qsc.Busy, "", "two other applications have this stream")
	case d.ends[i] != nil && !d.ends[i].closed:
		return nil, qsc.E("supply.OpenStream", qsc.Busy, "", "%q has this stream open already", r.Source)
	case d.ends[i] == nil:
		d.ends[i] = &doubleEnd{d: d, given: map[uint32]bool{}}
	}
	d.ends[i].closed = false
	if !d.joined && d.ends[0] != nil && d.ends[1] != nil {
		d.joined = true
		close(d.both)
	}
	return d.ends[i], nil
}

// SetChunks sets how many chunks a stream has, -1 for endless, and whether Get
// waits for those beyond.
func (s *Supply) SetChunks(id [16]byte, chunks int64, coming bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.streams[id]; d != nil {
		d.chunks, d.coming = chunks, coming
		d.wake()
	}
}

func (d *doubleStream) wake() {
	close(d.more)
	d.more = make(chan struct{})
}

// ID implements keymgmt.Stream.
func (e *doubleEnd) ID() [16]byte { return e.d.id }

// QoS implements keymgmt.Stream.
func (e *doubleEnd) QoS() keymgmt.QoS { return e.d.qos }

// Connected implements keymgmt.Stream.
func (e *doubleEnd) Connected() <-chan struct{} { return e.d.both }

// Get implements keymgmt.Stream.
func (e *doubleEnd) Get(ctx context.Context, index uint32, dst []byte) (keymgmt.ChunkInfo, error) {
	const op = "stream.Get"
	d, s := e.d, e.d.s
	if len(dst) != int(d.qos.ChunkSize) {
		return keymgmt.ChunkInfo{}, qsc.E(op, qsc.Invalid, "", "room for %d bytes, a chunk has %d", len(dst), d.qos.ChunkSize)
	}
	for {
		more, err := e.take(index)
		if err != nil {
			return keymgmt.ChunkInfo{}, err
		}
		if more == nil {
			break
		}
		select {
		case <-more:
		case <-ctx.Done():
			return keymgmt.ChunkInfo{}, qsc.E(op, qsc.Timeout, "", "no key came in time: %w", context.Cause(ctx))
		}
	}
	d.fill(index, dst)
	return keymgmt.ChunkInfo{Age: s.cfg.Now().Sub(d.born), Hops: s.cfg.Hops - 1, Class: s.cfg.Class}, nil
}

// take marks the chunk as given, or returns what to wait for.
func (e *doubleEnd) take(index uint32) (<-chan struct{}, error) {
	const op = "stream.Get"
	d, s := e.d, e.d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	peer := d.ends[0]
	if peer == e {
		peer = d.ends[1]
	}
	old := d.qos.TTL > 0 && s.cfg.Now().Sub(d.born) > d.qos.TTL
	switch {
	case s.fail != nil:
		return nil, s.fail
	case e.closed:
		return nil, qsc.E(op, qsc.Unreachable, "", "this end of the stream is closed")
	case e.given[index] || old:
		return nil, qsc.E(op, qsc.NotFound, "", "chunk %d was given or erased already", index)
	case d.chunks < 0 && peer != nil && peer.closed && !peer.given[index]:
		return nil, qsc.E(op, qsc.Unreachable, "", "the peer has closed the stream and nothing is left")
	case d.chunks >= 0 && int64(index) >= d.chunks && peer != nil && peer.closed:
		return nil, qsc.E(op, qsc.Unreachable, "", "the peer has closed the stream and nothing is left")
	case d.chunks >= 0 && int64(index) >= d.chunks && !d.coming:
		return nil, qsc.E(op, qsc.Exhausted, "", "chunk %d is not there: ask again in a second", index)
	case d.chunks >= 0 && int64(index) >= d.chunks:
		return d.more, nil
	}
	e.given[index] = true
	return nil, nil
}

// fill writes the chunk, which both ends compute from the stream's seed.
func (d *doubleStream) fill(index uint32, dst []byte) {
	seed := d.seed
	binary.BigEndian.PutUint32(seed[28:], binary.BigEndian.Uint32(seed[28:])^index)
	_, _ = rand.NewChaCha8(seed).Read(dst)
}

// Close implements keymgmt.Stream.
func (e *doubleEnd) Close() error {
	d := e.d
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	d.wake()
	if (d.ends[0] == nil || d.ends[0].closed) && (d.ends[1] == nil || d.ends[1].closed) {
		delete(d.s.streams, d.id)
	}
	return nil
}
