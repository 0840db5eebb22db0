package supply

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// numbersAhead is how many segment numbers one record reserves.
const numbersAhead = 64

// roundTime bounds one relay round.
const roundTime = 30 * time.Second

// A label: version 1, purpose, kind (0 identifier key, 1 segment), stream 16,
// number 4.
const labelSize = 23

func label(st *stream, n uint32) []byte {
	w := wire.Writer{B: make([]byte, 0, labelSize)}
	kind := uint8(1)
	if n == 0 && st.purpose == forPool {
		kind = 0
	}
	return w.U8(1).U8(uint8(st.purpose)).U8(kind).Raw(st.id[:]).U32(n).B
}

func parseLabel(b []byte) (p purpose, isHead bool, id [16]byte, n uint32, err error) {
	r := wire.NewReader(b)
	version, pu, kind := r.U8(), r.U8(), r.U8()
	id, n = r.Array16(), r.U32()
	if err = r.Done(); err == nil && (version != 1 || pu > uint8(forApp) || kind > 1 || kind == 0 && (n != 0 || pu != uint8(forPool))) {
		err = qsc.E("supply.Accept", qsc.Invalid, "", "a label that this version does not know")
	}
	return purpose(pu), kind == 0, id, n, err
}

// loop is a relay that keeps what is for the node itself.
type loop struct {
	s     *Supply
	relay keymgmt.Relay
}

func (l *loop) Make(ctx context.Context, to qsc.NodeID, p keymgmt.Protection, label []byte, n int) (keymgmt.Delivery, error) {
	if to != l.s.cfg.Node {
		return l.relay.Make(ctx, to, p, label, n)
	}
	b := make([]byte, n)
	class, err := l.s.local(b)
	if err != nil {
		return keymgmt.Delivery{}, err
	}
	d := keymgmt.Delivery{From: to, To: to, Label: label, Key: qsc.NewSecret(slices.Clone(b)), Class: class, Paths: 1, Need: 1, Disjoint: true}
	if err := l.s.Accept(d); err != nil {
		return keymgmt.Delivery{}, err
	}
	d.Key = qsc.NewSecret(b)
	return d, nil
}

func (l *loop) Tell(ctx context.Context, to qsc.NodeID, topic keymgmt.Topic, body []byte) error {
	if to != l.s.cfg.Node {
		return l.relay.Tell(ctx, to, topic, body)
	}
	l.s.Told(to, topic, body)
	return nil
}

func (l *loop) Receive(context.Context, qsc.NodeID, []byte) error { return nil }
func (l *loop) Status() keymgmt.RelayStatus                       { return l.relay.Status() }
func (l *loop) Close() error                                      { return nil }

// maker starts rounds until the supply closes.
func (s *Supply) maker() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.poke:
		case <-timer.C:
		}
		timer.Reset(s.makeSome())
	}
}

// makeSome starts what may start now and returns when to look again.
func (s *Supply) makeSome() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, again := s.cfg.Now(), time.Minute
	type candidate struct {
		st       *stream
		size     int
		priority int
		have     int64
	}
	var list []candidate
	for _, st := range s.streams {
		size, yes := s.hungry(st)
		if !yes {
			continue
		}
		if wait := max(st.demand.after.Sub(now), s.due(st).Sub(now)); wait > 0 {
			again = min(again, wait, repace)
			continue
		}
		list = append(list, candidate{st, size, s.priority(st), st.available()})
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(b.priority-a.priority, cmp.Compare(a.have, b.have))
	})
	for _, c := range list {
		select {
		case s.slots <- struct{}{}:
		default:
			return again // a round that ends pokes
		}
		n, round := s.begin(c.st, c.size)
		if !s.start(func() {
			defer func() { <-s.slots; wake(s.poke) }()
			s.round(c.st, n, c.size, round)
		}) {
			<-s.slots
			return again
		}
		wake(s.poke) // the stream may want more than one
	}
	return again
}

// begin takes the number of a new segment and books the round. mu is held.
func (s *Supply) begin(st *stream, size int) (n uint32, round *round) {
	n = st.next
	st.next++
	if st.next > st.reserved {
		st.reserved = st.next + numbersAhead - 1
		round = s.j.add(record{kind: recNext, stream: st.num, n: st.reserved})
	}
	st.making++
	d := &st.demand
	d.coming += int64(size)
	from := s.cfg.Now()
	if at := s.due(st); at.After(from.Add(-time.Second)) {
		from = at
	}
	d.from, d.booked = from, size
	if st.purpose == forPool && st.head != nil && (float64(d.size) < d.rate/4 || d.need > int64(d.size)) {
		d.size = min(2*d.size, s.cfg.Segment)
	}
	return n, round
}

// round makes one segment.
func (s *Supply) round(st *stream, n uint32, size int, reserved *round) {
	ctx, cancel := context.WithTimeout(s.ctx, roundTime)
	defer cancel()
	var d keymgmt.Delivery
	var err error
	if reserved != nil {
		err = s.j.wait(reserved)
	}
	if err == nil {
		d, err = s.relay.Make(ctx, st.peer, st.prot, label(st, n), size)
	}
	if err == nil && d.Key.Len() != size {
		err = qsc.E("supply.make", qsc.Conflict, string(st.peer), "the relay made %d bytes instead of %d", d.Key.Len(), size)
	}
	if err == nil {
		err = s.receive(st, n, d)
	}
	d.Key.Zeroise()
	s.mu.Lock()
	s.ended(st, n, size, err)
	urgent := st.purpose == forApp && !st.dropped
	s.mu.Unlock()
	if urgent {
		s.sendSync(st)
	}
}

// receive stores a segment at the master's end. Its record need not be waited
// for: a mark that lets key out comes after it in the journal.
func (s *Supply) receive(st *stream, n uint32, d keymgmt.Delivery) error {
	isHead := n == 0 && st.purpose == forPool
	slab := s.slabOf(st)
	if isHead {
		slab = s.head
	}
	slot, err := s.store(slab, d.Key.Expose())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.dropped {
		slab.give(slot, nil, s.cfg.Now())
		return qsc.E("supply.make", qsc.Conflict, string(st.peer), "the stream has ended meanwhile")
	}
	if isHead {
		s.setHead(st, slot, d.Key.Expose())
		return nil
	}
	info := classOf(d)
	info.slot, info.born = slot, s.cfg.Now().UnixNano()
	if st.purpose == forApp {
		info.place = st.app.nextPlace
		st.app.nextPlace++
	}
	g := st.newSegment(n, info)
	st.hold(g)
	if st.purpose == forApp {
		g.left = st.leftIn(g) // a chunk that ends in it may be gone
	}
	s.j.add(record{kind: recSegment, stream: st.num, n: n, info: &g.segmentInfo})
	return nil
}

// setHead gives a pool stream its identifier key. mu is held.
func (s *Supply) setHead(st *stream, slot uint32, key []byte) *round {
	st.head = &head{slot: slot, perm: newPermutation(key), tags: newTagger(key[32:])}
	st.seen.add(0, 1)
	return s.j.add(record{kind: recHead, stream: st.num, a: slot})
}

// ended books the end of a round. mu is held.
func (s *Supply) ended(st *stream, n uint32, size int, err error) {
	st.making--
	st.demand.coming -= int64(size)
	st.lastErr = err
	defer st.notify()
	d := &st.demand
	if err == nil {
		d.backoff = 0
		s.touch(st)
		return
	}
	s.cfg.Logger.Debug("supply: a round failed", "to", st.peer, "err", err)
	d.backoff = min(max(2*d.backoff, backoffMin), backoffMax)
	d.after, d.booked = s.cfg.Now().Add(d.backoff), 0
	switch {
	case st.dropped:
	case st.head == nil && st.purpose == forPool:
		s.drop(st, "") // a new one, with a new name, may begin
	default:
		s.void(st, n)
	}
}

// void says that the master never got a segment, and never will. mu is held.
func (s *Supply) void(st *stream, n uint32) {
	st.seen.add(uint64(n), uint64(n)+1)
	st.reports = append(st.reports, report{n, 0})
	s.j.add(record{kind: recReport, stream: st.num, n: n})
	s.touch(st)
}

// Accept implements keymgmt.Sink: the slave's copy of a segment.
func (s *Supply) Accept(d keymgmt.Delivery) error {
	defer d.Key.Zeroise()
	p, isHead, id, n, err := parseLabel(d.Label)
	if err != nil {
		return err
	}
	st, err := s.admit(d, p, isHead, id, n)
	if err != nil {
		return err
	}
	slab := s.slabOf(st)
	if isHead {
		slab = s.head
	}
	slot, err := s.store(slab, d.Key.Expose())
	if err != nil {
		s.refuse(st, isHead, n)
		return err
	}
	s.mu.Lock()
	givenUp := st.storing[n]
	delete(st.storing, n)
	if st.dropped || givenUp {
		slab.give(slot, nil, s.cfg.Now())
		s.mu.Unlock()
		return qsc.E("supply.Accept", qsc.Conflict, string(d.From), "the stream has ended, or the segment was given up, meanwhile")
	}
	var round *round
	var g *segment
	if isHead {
		round = s.setHead(st, slot, d.Key.Expose())
	} else {
		info := classOf(d)
		info.slot, info.born = slot, s.cfg.Now().UnixNano()
		g = st.newSegment(n, info)
		round = s.j.add(record{kind: recSegment, stream: st.num, n: n, info: &g.segmentInfo})
		st.hold(g)
	}
	s.mu.Unlock()
	if err := s.j.wait(round); err != nil {
		s.mu.Lock()
		if g != nil && !g.done {
			s.retire(st, g, record{})
		}
		s.mu.Unlock()
		s.refuse(st, isHead, n)
		return err
	}
	return nil
}

// admit checks a delivery and reserves its number.
func (s *Supply) admit(d keymgmt.Delivery, p purpose, isHead bool, id [16]byte, n uint32) (*stream, error) {
	bad := func(k qsc.Kind, text string) error { return qsc.E("supply.Accept", k, string(d.From), "%s", text) }
	if err := s.j.ready(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[streamKey{slave, id}]
	size, most := d.Key.Len(), s.cfg.Segment
	if p == forApp {
		most = s.cfg.Chunk
	}
	switch {
	case s.closed:
		return nil, bad(qsc.Unreachable, "the supply is closed")
	case isHead && st != nil, st == nil && !isHead:
		return nil, bad(qsc.Conflict, "a segment of a stream that is not known, or begun twice")
	case isHead && size != headSize, !isHead && (size < unit || size > most || size%unit != 0):
		return nil, bad(qsc.Invalid, "a segment of a size that does not fit here: set the same sizes at all nodes")
	case isHead && len(s.slaves[d.From]) >= maxPoolsOfPeer:
		return nil, bad(qsc.NoSpace, "too many streams from this node")
	case isHead:
		st, _ = s.found(streamDesc{role: slave, purpose: forPool, id: id, peer: d.From, prot: poolProtection(d)})
		return st, nil
	case st.peer != d.From || st.purpose != p:
		return nil, bad(qsc.Conflict, "the stream is another node's")
	case !s.protected(st, d):
		return nil, bad(qsc.Denied, "fewer relays know this key than the network description allows for the stream: somebody lies, or the two ends have different descriptions")
	case st.seen.has(uint64(n)):
		return nil, bad(qsc.Conflict, "this segment was here before, or is given up")
	case p == forApp && len(st.segs) >= appWindow, p == forPool && st.available() > 2*s.cfg.Max+int64(st.demand.size):
		return nil, bad(qsc.NoSpace, "too much key of this stream waits to be fetched")
	}
	st.seen.add(uint64(n), uint64(n)+1)
	s.j.add(record{kind: recSeen, stream: st.num, c: uint64(n), d: uint64(n) + 1})
	st.storing[n] = false
	return st, nil
}

// refuse forgets a stream that could not begin.
func (s *Supply) refuse(st *stream, isHead bool, n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(st.storing, n)
	if isHead {
		s.drop(st, "")
	}
}
