package supply

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// appWindow is how many segments of an application stream either end stores.
const appWindow = 32

// appEnd is what a node knows of its application's end of a stream. Positions
// are bytes of the concatenation of the segments in order of their places.
type appEnd struct {
	byPlace   map[uint32]*segment
	places    uint32 // one above the highest place that is known
	nextPlace uint32 // master

	given   spans
	mark    uint64 // durable: below it nothing is given after a start
	pending uint64 // on its way to be durable
	round   *round
	markAt  time.Time
	markPos uint64

	open, closed         bool // this node's application
	peerOpen, peerClosed bool
	established          bool   // master: the other node follows
	refused              string // by the other node, in words
	connected            chan struct{}
	version              uint64    // of what is announced
	peerVersion          uint64    // last heard
	peerSaw              uint64    // of our version
	peerHeld             int       // segments the slave stores
	idle                 time.Time // since when neither application is there
}

func newAppEnd() *appEnd {
	return &appEnd{byPlace: map[uint32]*segment{}, connected: make(chan struct{})}
}

func (a *appEnd) unsettled() bool { return a.peerSaw != a.version }

// numbers returns the segments in order from a place on, up to most; first moves
// over places that are gone.
func (a *appEnd) numbers(first uint32, most int) (list []uint32) {
	for p := first; p < a.nextPlace && len(list) < most; p++ {
		g := a.byPlace[p]
		if g == nil {
			break
		}
		list = append(list, g.n)
	}
	return list
}

// local returns the application of this node's end.
func (d *streamDesc) local() qsc.AppID {
	if d.role == master {
		return d.source
	}
	return d.dest
}

func (d *streamDesc) remote() qsc.AppID {
	if d.role == master {
		return d.dest
	}
	return d.source
}

// settleApp turns a restored end into one to go on with.
func (s *Supply) settleApp(st *stream) {
	a := st.app
	top := st.wholeChunks(a.mark)
	a.given.add(0, top)
	a.pending = a.mark
	a.version = s.boot
	a.nextPlace = max(a.places, uint32((a.mark+uint64(st.size)-1)/uint64(st.size)))
	a.places = max(a.places, a.nextPlace)
	first := a.nextPlace
	for _, g := range segments(st) {
		if g.place == noPlace {
			continue
		}
		first = min(first, g.place)
		from := uint64(g.place) * uint64(st.size)
		if from < top {
			g.left = uint32(from + uint64(g.size) - min(top, from+uint64(g.size)))
			g.used = g.size - g.left
		}
	}
	if st.role == master {
		st.sync.ordered = first
		a.established = true
		st.demand.active = true
	}
	st.confirmed = false
}

// wholeChunks returns the end of the chunk in which n bytes end. A chunk of which
// a part was given is never given, so nobody waits for its rest.
func (d *streamDesc) wholeChunks(n uint64) uint64 {
	c := uint64(max(1, d.qos.ChunkSize))
	return (n + c - 1) / c * c
}

// appStream is what OpenStream returns.
type appStream struct {
	s  *Supply
	st *stream
}

// end returns the stream that this end belongs to now. mu is held.
func (e *appStream) end() *stream {
	for e.st.heir != nil {
		e.st = e.st.heir
	}
	return e.st
}

func (e *appStream) now() *stream {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	return e.end()
}

// OpenStream implements keymgmt.Supply.
func (s *Supply) OpenStream(_ context.Context, r keymgmt.StreamRequest) (keymgmt.Stream, error) {
	const op = "supply.OpenStream"
	to, known := s.cfg.Directory.Home(r.Destination)
	home, ok := s.cfg.Directory.Home(r.Source)
	policy, allowed := s.cfg.Directory.Allowed(r.Source, r.Destination)
	if back, ok := s.cfg.Directory.Allowed(r.Destination, r.Source); !allowed && ok {
		policy, allowed = back, true // the destination may share with the source
	}
	switch {
	case !known:
		return nil, qsc.E(op, qsc.NotFound, string(s.cfg.Node), "no application %q is known", r.Destination)
	case !ok || home != s.cfg.Node || !allowed || r.Source == r.Destination:
		return nil, qsc.E(op, qsc.Denied, string(s.cfg.Node), "%q may not open a stream with %q from here: ask the operator to allow the pair", r.Source, r.Destination)
	}
	if err := s.checkQoS(&r.QoS, policy); err != nil {
		return nil, err
	}
	s.mu.Lock()
	st, round, err := s.openEnd(r, to, policy)
	s.mu.Unlock()
	if err == nil && round != nil {
		err = s.j.wait(round)
	}
	if err != nil {
		return nil, err
	}
	s.announce(st)
	wake(s.poke)
	return &appStream{s, st}, nil
}

func (s *Supply) checkQoS(q *keymgmt.QoS, p keymgmt.Policy) error {
	if q.ChunkSize == 0 {
		q.ChunkSize = uint32(s.cfg.Limits.KeySize.Bytes())
	}
	if q.ChunkSize > uint32(s.cfg.Chunk) || q.MinRate < 0 || q.MaxRate < 0 || q.TTL < 0 || q.MaxRate > 0 && q.MinRate > q.MaxRate {
		return qsc.E("supply.OpenStream", qsc.Invalid, string(s.cfg.Node), "chunks of %d bytes at %v to %v: give at most %d bytes and a rising range", q.ChunkSize, q.MinRate, q.MaxRate, s.cfg.Chunk)
	}
	if p.MaxRate > 0 && (q.MaxRate == 0 || q.MaxRate > p.MaxRate) {
		q.MaxRate = p.MaxRate
		q.MinRate = min(q.MinRate, q.MaxRate)
	}
	if q.TTL == 0 {
		q.TTL = p.TTL
	}
	return nil
}

// openEnd finds or makes the end of r.Source. mu is held.
func (s *Supply) openEnd(r keymgmt.StreamRequest, to qsc.NodeID, p keymgmt.Policy) (*stream, *round, error) {
	const op = "supply.OpenStream"
	taken := 0
	for _, side := range []role{master, slave} {
		st := s.streams[streamKey{side, r.ID}]
		if st == nil || st.purpose != forApp {
			continue
		}
		taken++
		if st.local() != r.Source || st.remote() != r.Destination {
			continue
		}
		if st.app.open && !st.app.closed {
			return nil, nil, qsc.E(op, qsc.Busy, string(s.cfg.Node), "%q has this stream open already", r.Source)
		}
		s.opened(st)
		return st, nil, nil
	}
	if taken > 0 {
		return nil, nil, qsc.E(op, qsc.Busy, string(s.cfg.Node), "two other applications have this stream")
	}
	if s.closed || s.countApps() >= maxApps {
		return nil, nil, qsc.E(op, qsc.NoSpace, string(s.cfg.Node), "%d streams are open, or the node is stopping: close some", maxApps)
	}
	d := streamDesc{role: master, purpose: forApp, id: r.ID, peer: to, prot: normal(p.Protection), source: r.Source, dest: r.Destination, qos: r.QoS}
	if d.id == ([16]byte{}) {
		if _, err := rand.Read(d.id[:]); err != nil {
			return nil, nil, qsc.E(op, qsc.Other, "", "no identifier for the stream: %w", err)
		}
		d.id[6], d.id[8] = d.id[6]&0x0f|0x40, d.id[8]&0x3f|0x80
	}
	d.size = s.appSegment(&d)
	st, round := s.found(d)
	st.app.version = s.boot
	st.demand.active = true
	s.opened(st)
	if to == s.cfg.Node {
		d.role = slave
		twin, r := s.found(d)
		twin.app.version = s.boot
		round = r
	}
	return st, round, nil
}

// appSegment is the segment size of a stream: less for a slow one.
func (s *Supply) appSegment(d *streamDesc) uint32 {
	rate := d.qos.MaxRate
	if s.cfg.Pace != nil {
		if p := s.cfg.Pace(d.peer, d.prot); p > 0 && (rate == 0 || p < rate) {
			rate = p
		}
	}
	size := s.cfg.Chunk
	for rate > 0 && float64(size) > float64(rate)/32 && size > s.cfg.First {
		size /= 2
	}
	return uint32(size &^ (unit - 1))
}

func (s *Supply) countApps() (n int) {
	for _, st := range s.streams {
		if st.purpose == forApp {
			n++
		}
	}
	return n
}

// opened notes that this node's application is there. mu is held.
func (s *Supply) opened(st *stream) {
	st.app.open, st.app.closed = true, false
	st.app.version++
	s.connect(st)
}

// connect tells the application when both are there. mu is held.
func (s *Supply) connect(st *stream) {
	a := st.app
	if a.open && a.peerOpen {
		select {
		case <-a.connected:
		default:
			close(a.connected)
		}
	}
	st.notify()
	wake(s.poke)
}

// hungryApp is hungry for an application stream. mu is held.
func (s *Supply) hungryApp(st *stream) (size int, yes bool) {
	a := st.app
	if !a.established || !st.confirmed || a.closed || a.peerClosed || a.refused != "" || !a.open && !a.peerOpen {
		return 0, false
	}
	window := int64(1)
	if a.open && a.peerOpen {
		window = max(2, min(appWindow/2, 1+int64(st.demand.rate/2)/int64(st.size)), (4*int64(st.qos.ChunkSize)+int64(st.size))/int64(st.size))
	}
	coming, here := int64(st.making), int64(0)
	for _, g := range st.segs {
		if !st.behind(g) {
			here++
		}
	}
	return int(st.size), max(here, int64(a.peerHeld))+coming < window && len(st.segs)+st.making < appWindow
}

// behind reports whether a segment lies before all that the application asks for:
// it holds what was passed over, and is no stock. mu is held.
func (st *stream) behind(g *segment) bool {
	n := len(st.app.given)
	return n > 0 && g.place != noPlace && uint64(g.place+1)*uint64(st.size) <= st.app.given[n-1].to
}

// trim burns the oldest of what was passed over when it fills half of what an
// end may store. mu is held.
func (s *Supply) trim(st *stream) {
	var old []*segment
	for _, g := range segments(st) {
		if g.left > 0 && st.behind(g) {
			old = append(old, g)
		}
	}
	slices.SortFunc(old, func(a, b *segment) int { return int(a.place) - int(b.place) })
	for _, g := range old[:max(0, len(old)-appWindow/2)] {
		st.app.given.add(uint64(g.place)*uint64(st.size), uint64(g.place+1)*uint64(st.size))
		g.left = 0
		s.finish(st, g)
	}
}

// takeOrder learns the places of segments at the slave. mu is held.
func (s *Supply) takeOrder(st *stream, first uint32, numbers []uint32) {
	for i, n := range numbers {
		place := first + uint32(i)
		if g := st.segs[n]; g != nil && g.place == noPlace {
			st.setPlace(g, place)
			s.j.add(record{kind: recOrder, stream: st.num, n: n, a: place})
			g.left = st.leftIn(g)
			if st.app.closed {
				g.left = 0
			}
			s.finish(st, g)
		}
		st.app.places = max(st.app.places, place+1)
	}
	if len(numbers) > 0 {
		st.notify()
	}
}

// setPlace puts a segment of an application stream in order.
func (st *stream) setPlace(g *segment, place uint32) {
	if st.app == nil {
		return
	}
	g.place = place
	st.app.byPlace[place] = g
	st.app.places = max(st.app.places, place+1)
}

// leftIn returns how many bytes of a segment were not given.
func (st *stream) leftIn(g *segment) (n uint32) {
	from := uint64(g.place) * uint64(st.size)
	for _, x := range st.app.given.gaps(from, from+uint64(g.size)) {
		n += uint32(x.to - x.from)
	}
	return n
}
