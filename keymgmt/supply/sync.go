package supply

import (
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Messages of TopicSync.
const (
	syncState_  = 1 + iota // master: what it holds and has issued
	syncAnswer             // slave: what it has taken in
	syncAsk                // slave: has started and wants a syncState
	syncGone               // master: no such stream here
	syncUnknown            // slave: no such stream here
	syncStale              // slave: a later start of yours has spoken already
)

// Bounds of one message.
const (
	maxSyncReports = 1000
	maxSyncActive  = 256
	maxSyncOrders  = 256
	maxSyncHeld    = 1000
)

// syncState is a master's side of the conversation about one stream.
type syncState struct {
	changes uint64 // counts what is worth telling
	told    uint64 // of them, up to which the slave has answered
	dirty   bool
	seq     uint64
	sent    uint64 // changes at the time of the last message
	held    []uint32
	ordered uint32 // places the slave knows
	at      time.Time
	wait    time.Duration
	peer    uint64 // the slave's start, as last heard
	peerWas uint64 // what the last message said of it
}

// told is a message that waits for the reader.
type told struct {
	from  qsc.NodeID
	topic keymgmt.Topic
	body  []byte
}

// Told implements keymgmt.Sink. When too many messages wait, this one is lost:
// all of them are sent again until answered.
func (s *Supply) Told(from qsc.NodeID, topic keymgmt.Topic, body []byte) {
	select {
	case s.inbox <- told{from, topic, slices.Clone(body)}:
	default:
	}
}

func (s *Supply) reader() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case m := <-s.inbox:
			s.take(m)
		}
	}
}

// take acts on a message.
func (s *Supply) take(m told) {
	if len(m.body) == 0 {
		return
	}
	switch {
	case m.topic == keymgmt.TopicSync:
		s.takeSync(m)
	case m.topic == keymgmt.TopicOpen:
		s.takeOpen(m.from, m.body)
	case m.topic == keymgmt.TopicGift && m.body[0] == 1:
		s.takeGift(m.from, m.body)
	case m.topic == keymgmt.TopicGift && m.body[0] == 2:
		s.giftAnswer(m.body)
	}
}

// tell sends a message if there is a relay; whatever is lost is sent again.
func (s *Supply) tell(to qsc.NodeID, topic keymgmt.Topic, body []byte) {
	s.mu.Lock()
	relay := s.relay
	s.mu.Unlock()
	if relay == nil {
		return
	}
	if err := relay.Tell(s.ctx, to, topic, body); err != nil {
		s.cfg.Logger.Debug("supply: a message was not sent", "to", to, "topic", topic, "err", err)
	}
}

// Bounds of the pause between two messages about one stream.
const (
	syncEvery = time.Second
	syncSlow  = 15 * time.Second
	syncRare  = time.Hour // a slave asks whether a silent stream is still there
)

func (s *Supply) syncer() {
	timer := time.NewTicker(50 * time.Millisecond)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
			s.syncAll()
		}
	}
}

// syncAll speaks of every stream that is due.
func (s *Supply) syncAll() {
	now := s.cfg.Now()
	s.mu.Lock()
	var due []*stream
	for _, st := range s.streams {
		if st.due(now) {
			due = append(due, st)
		}
	}
	s.mu.Unlock()
	for _, st := range due {
		switch {
		case st.role == master:
			s.sendSync(st)
		default:
			s.ask(st)
		}
		if st.app != nil {
			s.announce(st)
		}
	}
}

// due reports whether the stream has something to say now. mu is held.
func (st *stream) due(now time.Time) bool {
	y := &st.sync
	every := syncEvery
	switch {
	case st.app != nil && st.app.unsettled():
		every = 200 * time.Millisecond
	case st.role == slave && st.confirmed:
		return now.Sub(y.at) >= syncRare && now.Sub(st.heard) >= syncRare
	case st.role == master && (st.head == nil && st.purpose == forPool || st.confirmed && !y.dirty && len(st.reports) == 0):
		return false
	case !st.confirmed:
		every = 100 * time.Millisecond
	}
	return now.Sub(y.at) >= max(every, y.wait)
}

// spoke notes that a message goes out; without an answer the next waits longer.
func (y *syncState) spoke(now time.Time) {
	y.at = now
	y.wait = min(max(2*y.wait, 100*time.Millisecond), syncSlow)
}

// ask is a slave's call for its master's state.
func (s *Supply) ask(st *stream) {
	s.mu.Lock()
	st.sync.spoke(s.cfg.Now())
	needless := st.confirmed && s.cfg.Now().Sub(st.heard) < syncRare
	w := wire.Writer{}
	w.U8(syncAsk).Raw(st.id[:]).U64(s.boot)
	s.mu.Unlock()
	if !needless {
		s.tell(st.peer, keymgmt.TopicSync, w.B)
	}
}

// sendSync tells the slave what this master holds.
func (s *Supply) sendSync(st *stream) {
	s.mu.Lock()
	if st.dropped || st.role != master || st.purpose == forPool && st.head == nil || st.app != nil && !st.app.established {
		s.mu.Unlock()
		return
	}
	y := &st.sync
	y.seq++
	y.sent, y.peerWas = y.changes, y.peer
	y.spoke(s.cfg.Now())
	body := s.stateMessage(st)
	s.mu.Unlock()
	s.tell(st.peer, keymgmt.TopicSync, body)
}

// stateMessage encodes a master's state and notes what it said. mu is held.
func (s *Supply) stateMessage(st *stream) []byte {
	y := &st.sync
	w := &wire.Writer{B: make([]byte, 0, 256)}
	w.U8(syncState_).Raw(st.id[:]).U64(s.boot).U64(y.seq).U64(y.peer).U32(st.next).U32(uint32(s.streamTTL(st) / time.Second)).U64(st.peerHas)
	n := min(len(st.reports), maxSyncReports)
	w.U64(st.reported + uint64(n)).U16(uint16(n))
	for _, r := range st.reports[:n] {
		w.U32(r.n).U32(r.from)
	}
	var active []*segment
	for _, g := range st.order {
		if min(g.pos, g.mark) > 0 && len(active) < maxSyncActive {
			active = append(active, g)
		}
	}
	w.U16(uint16(len(active)))
	for _, g := range active {
		w.U32(g.n).U32(min(g.pos, g.mark))
	}
	y.held = y.held[:0]
	for _, g := range st.order {
		if len(y.held) < maxSyncHeld {
			y.held = append(y.held, g.n)
		}
	}
	s.orders(st, w)
	return w.B
}

// orders appends the places of an application stream's segments that the slave
// does not know yet.
func (s *Supply) orders(st *stream, w *wire.Writer) {
	if st.app == nil {
		w.U32(0).U16(0)
		return
	}
	first := st.sync.ordered
	list := st.app.numbers(first, maxSyncOrders)
	w.U32(first).U16(uint16(len(list)))
	for _, n := range list {
		w.U32(n)
	}
}

// streamTTL is the longest that key of a stream waits to be fetched. mu is held.
func (s *Supply) streamTTL(st *stream) time.Duration {
	ttl := time.Duration(0)
	for _, p := range s.pairs {
		if p.to != st.peer || normal(p.policy.Protection) != st.prot {
			continue
		}
		if p.policy.TTL <= 0 {
			return s.cfg.TTL
		}
		ttl = max(ttl, p.policy.TTL)
	}
	if ttl == 0 {
		return s.cfg.TTL
	}
	return ttl
}

// state is a syncState as it came.
type state struct {
	boot, seq, peer uint64
	next, ttl       uint32
	peerHas         uint64
	upto            uint64
	reports         []report
	active          []report // n and position
	firstPlace      uint32
	numbers         []uint32
}

func parseState(r *wire.Reader) (m state, err error) {
	m = state{boot: r.U64(), seq: r.U64(), peer: r.U64(), next: r.U32(), ttl: r.U32(), peerHas: r.U64(), upto: r.U64()}
	pairs := func(most int) (list []report) {
		n := int(r.U16())
		if n > most {
			r.Take(-1)
		}
		for i := 0; i < n && r.Err() == nil; i++ {
			list = append(list, report{r.U32(), r.U32()})
		}
		return list
	}
	m.reports, m.active = pairs(maxSyncReports), pairs(maxSyncActive)
	m.firstPlace = r.U32()
	n := int(r.U16())
	if n > maxSyncOrders {
		r.Take(-1)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		m.numbers = append(m.numbers, r.U32())
	}
	return m, r.Done()
}

// answer is a syncAnswer as it came.
type answer struct {
	boot, seq, peer, taken, upto uint64
	ordered, seen                uint32
	older, more                  bool
	held                         spans
}

func parseAnswer(r *wire.Reader) (m answer, err error) {
	m = answer{boot: r.U64(), seq: r.U64(), peer: r.U64(), taken: r.U64(), upto: r.U64(), ordered: r.U32(), seen: r.U32()}
	m.older, m.more = r.U8() != 0, r.U8() != 0
	n := int(r.U16())
	if n > maxSyncHeld {
		r.Take(-1)
	}
	for i := 0; i < n && r.Err() == nil; i++ {
		m.held.add(uint64(r.U32()), uint64(r.U32()))
	}
	return m, r.Done()
}

// takeSync acts on a message of TopicSync.
func (s *Supply) takeSync(m told) {
	r := wire.NewReader(m.body)
	kind, id := r.U8(), r.Array16()
	if r.Err() != nil {
		return
	}
	switch kind {
	case syncState_:
		if x, err := parseState(r); err == nil {
			s.takeState(m.from, id, x)
		}
	case syncAnswer:
		if x, err := parseAnswer(r); err == nil {
			s.takeAnswer(m.from, id, x)
		}
	case syncAsk:
		if boot := r.U64(); r.Done() == nil {
			s.takeAsk(m.from, id, boot)
		}
	case syncGone:
		if r.Done() == nil {
			s.endOf(slave, m.from, id, "the master's node does not know a stream that this node holds key of: that key is burnt")
		}
	case syncUnknown, syncStale:
		if boot := r.U64(); r.Done() == nil && boot == s.boot {
			s.endOf(master, m.from, id, "the node at the other end does not know a stream, or knows more of it than this node: was a backup restored? Its key is burnt")
		}
	}
}

func (s *Supply) endOf(side role, from qsc.NodeID, id [16]byte, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[streamKey{side, id}]; st != nil && st.peer == from {
		s.drop(st, "stream with %s: %s", from, text)
	}
}

func (s *Supply) takeAsk(from qsc.NodeID, id [16]byte, boot uint64) {
	s.mu.Lock()
	st := s.streams[streamKey{master, id}]
	if st == nil || st.peer != from {
		s.mu.Unlock()
		s.sayGone(from, id)
		return
	}
	if st.sync.peer != boot {
		st.sync.peer = boot
	}
	s.touch(st)
	s.mu.Unlock()
	s.sendSync(st)
}

// takeState is the slave's part. All that it answers is durable by then.
func (s *Supply) takeState(from qsc.NodeID, id [16]byte, m state) {
	w := &wire.Writer{}
	s.mu.Lock()
	st := s.streams[streamKey{slave, id}]
	switch {
	case st == nil || st.peer != from:
		w.U8(syncUnknown).Raw(id[:]).U64(m.boot)
	case m.boot>>32 < st.peerBoot>>32 || m.boot>>32 == st.peerBoot>>32 && m.boot != st.peerBoot:
		w.U8(syncStale).Raw(id[:]).U64(m.boot)
	case m.boot == st.peerBoot && m.seq <= st.peerSeq:
		s.mu.Unlock()
		return
	case st.takenAll() < m.peerHas:
		s.drop(st, "stream with %s: this node had taken more of it before: was a backup restored? Its key is burnt", from)
		w.U8(syncUnknown).Raw(id[:]).U64(m.boot)
	default:
		s.follow(st, m)
		s.answer(st, m, w)
	}
	round := s.j.now()
	s.mu.Unlock()
	if s.j.wait(round) == nil {
		s.tell(from, keymgmt.TopicSync, w.B)
	}
}

func (st *stream) takenAll() uint64 {
	if st.purpose == forApp {
		return 0
	}
	return st.taken()
}

// follow does at the slave what the master's state asks for. Burning is only for
// what the master has given up for ever, so an old message does no harm. mu is
// held.
func (s *Supply) follow(st *stream, m state) {
	st.peerBoot, st.peerSeq, st.heard = m.boot, m.seq, s.cfg.Now()
	for _, r := range m.reports {
		s.burnFrom(st, r)
	}
	st.keep = time.Duration(m.ttl) * time.Second
	now := s.cfg.Now()
	for _, a := range m.active {
		if g := st.segs[a.n]; g != nil && g.bits != nil {
			s.issuedTo(st, g, min(a.from, g.size), now, time.Duration(m.ttl)*time.Second)
		}
	}
	if st.app != nil {
		s.takeOrder(st, m.firstPlace, m.numbers)
	}
}

// burnFrom burns a segment from a position on; 0 is all of it, for ever.
func (s *Supply) burnFrom(st *stream, r report) {
	g := st.segs[r.n]
	if g == nil {
		if _, ok := st.storing[r.n]; ok && r.from == 0 {
			st.storing[r.n] = true
		}
		if !st.seen.has(uint64(r.n)) {
			st.seen.add(uint64(r.n), uint64(r.n)+1)
			s.j.add(record{kind: recSeen, stream: st.num, c: uint64(r.n), d: uint64(r.n) + 1})
		}
		return
	}
	if g.bits == nil {
		if r.from == 0 {
			s.retire(st, g, record{})
		}
		return
	}
	a, b := (min(r.from, g.size)+unit-1)/unit, uint32(g.units())
	if n := g.take(a, b); n > 0 {
		s.j.add(record{kind: recTaken, stream: st.num, n: g.n, a: a, b: b, how: tookBurnt})
	}
	s.issuedTo(st, g, a*unit, s.cfg.Now(), s.cfg.TTL)
	s.finish(st, g)
}

// marksKept is into how many steps the life of unfetched key is divided.
const marksKept = 32

// issuedTo notes that the master has issued up to off.
func (s *Supply) issuedTo(st *stream, g *segment, off uint32, now time.Time, ttl time.Duration) {
	n := len(g.issued)
	if off == 0 || n > 0 && g.issued[n-1].off >= off {
		return
	}
	m := issuedMark{off, now.UnixNano()}
	if n > 1 && now.UnixNano()-g.issued[n-2].at < int64(ttl)/marksKept {
		g.issued[n-1] = m // the last mark is still open
	} else {
		g.issued = append(g.issued, m)
	}
	s.j.add(record{kind: recIssued, stream: st.num, n: g.n, a: off, c: uint64(m.at)})
}

// answer encodes the slave's state. mu is held.
func (s *Supply) answer(st *stream, m state, w *wire.Writer) {
	older := st.ahead(m)
	if !older && m.peer == s.boot && !st.confirmed {
		st.confirmed = true
		st.notify()
	}
	seen := uint32(0)
	if n := len(st.seen); n > 0 {
		seen = uint32(st.seen[n-1].to)
	}
	w.U8(syncAnswer).Raw(st.id[:]).U64(m.boot).U64(m.seq).U64(s.boot).U64(st.takenAll()).U64(m.upto)
	places := uint32(0)
	if st.app != nil {
		places = st.app.places
	}
	var held spans
	for n := range st.segs {
		held.add(uint64(n), uint64(n)+1)
	}
	more := len(held) > maxSyncHeld
	held = held[:min(len(held), maxSyncHeld)]
	w.U32(places).U32(seen).U8(flag(older)).U8(flag(more)).U16(uint16(len(held)))
	for _, x := range held {
		w.U32(uint32(x.from)).U32(uint32(x.to))
	}
}

// ahead reports whether the master has said before that it had issued more: then
// its state is an old one. Segment numbers are the master's to compare, which
// may have made more since it wrote.
func (st *stream) ahead(m state) bool {
	if len(m.active) >= maxSyncActive || len(m.reports) >= maxSyncReports {
		return false // not all is said
	}
	pos := map[uint32]uint32{}
	for _, a := range m.active {
		pos[a.n] = a.from
	}
	for n, g := range st.segs {
		if g.bits != nil && pos[n] < g.issuedUpTo() && !g.ended() {
			return true
		}
	}
	return false
}

// issuedUpTo returns the position up to which the master said to have issued.
func (g *segment) issuedUpTo() uint32 {
	if n := len(g.issued); n > 0 {
		return g.issued[n-1].off
	}
	return 0
}

// ended reports whether the master will issue nothing more of the segment.
func (g *segment) ended() bool {
	a, b := g.issuedUpTo()/unit, uint32(g.units())
	return count(g.bits, a, b) == int(b-a)
}

// takeAnswer is the master's part.
func (s *Supply) takeAnswer(from qsc.NodeID, id [16]byte, m answer) {
	s.mu.Lock()
	st := s.streams[streamKey{master, id}]
	if st == nil || st.peer != from || m.boot != s.boot || m.seq > st.sync.seq {
		s.mu.Unlock()
		return
	}
	y := &st.sync
	fresh := m.seq == y.seq
	if m.upto > st.reported {
		st.dropReports(m.upto)
		s.j.add(record{kind: recReported, stream: st.num, c: st.reported})
	}
	if st.app != nil {
		y.ordered = max(y.ordered, m.ordered)
		st.app.peerHeld = len(m.held.numbers())
		for _, g := range segments(st) {
			s.finish(st, g)
		}
	}
	restored := m.older || m.taken < st.peerHas && fresh
	if restored || m.seen > st.next {
		s.drop(st, "stream with %s: one of the two nodes has an older state than the other has seen: was a backup restored? Its key is burnt", from)
		s.mu.Unlock()
		return
	}
	if m.taken > st.peerHas {
		st.peerHas = m.taken
		s.j.add(record{kind: recPeer, stream: st.num, c: st.peerHas})
	}
	again := false
	if fresh {
		again = s.settleWith(st, m)
	}
	s.mu.Unlock()
	wake(s.poke)
	if again {
		s.sendSync(st)
	}
}

// settleWith takes in the answer to the last message. It reports whether another
// is needed at once. mu is held.
func (s *Supply) settleWith(st *stream, m answer) (again bool) {
	y := &st.sync
	y.wait = 0
	y.told = y.sent
	y.dirty = y.changes != y.told
	for _, n := range y.held {
		g := st.segs[n]
		if g == nil || m.held.has(uint64(n)) || m.more && uint64(n) > m.held[len(m.held)-1].to {
			continue
		}
		s.burnRest(st, g)
	}
	if y.peer != m.peer {
		y.peer = m.peer
	}
	if !st.confirmed {
		st.confirmed = true
		st.notify()
	}
	return y.peerWas != m.peer || len(st.reports) >= maxSyncReports
}

// burnRest burns what the slave does not have. mu is held.
func (s *Supply) burnRest(st *stream, g *segment) {
	if g.pos < g.size {
		s.alarm("stream with %s: the other end has lost a segment of %d bytes; it is burnt here too", st.peer, g.size)
	}
	at := g.pos
	g.pos = g.size
	if g.readers == 0 {
		s.retire(st, g, record{a: at, b: 1})
	}
	s.touch(st)
}

// numbers lists the members of a set.
func (s spans) numbers() (list []uint32) {
	for _, x := range s {
		for n := x.from; n < x.to && len(list) < 1<<16; n++ {
			list = append(list, uint32(n))
		}
	}
	return list
}
