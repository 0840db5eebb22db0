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

// syncLook is how often streams are looked at, syncIdle without any.
const (
	syncLook = 50 * time.Millisecond
	syncIdle = time.Second
)

func (s *Supply) syncer() {
	timer := time.NewTimer(syncLook)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.stir:
		case <-timer.C:
		}
		pause := syncIdle
		if s.syncAll() > 0 {
			pause = syncLook
		}
		timer.Reset(pause)
	}
}

// syncAll speaks of every stream that is due, and returns how many there are.
func (s *Supply) syncAll() int {
	now := s.cfg.Now()
	s.mu.Lock()
	var due []*stream
	for _, st := range s.streams {
		if st.due(now) {
			due = append(due, st)
		}
	}
	all := len(s.streams)
	s.mu.Unlock()
	for _, st := range due {
		switch {
		case st.role == master:
			s.sendSync(st)
		case st.app != nil:
			s.ask(st)
			s.answerAgain(st)
		default:
			s.ask(st)
		}
		if st.app != nil {
			s.announce(st)
		}
	}
	return all
}

// due reports whether the stream has something to say now. mu is held.
func (st *stream) due(now time.Time) bool {
	y := &st.sync
	every := syncEvery
	switch {
	case st.app != nil && st.app.unsettled():
		every = 200 * time.Millisecond
	case st.app != nil && st.confirmed && st.waiters > 0:
		// What the slave holds may have changed unheard, and nobody makes key then.
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
	round := s.j.now()
	s.mu.Unlock()
	// A segment whose place the slave knows must keep it through a crash: what a
	// start forgets, it would number anew.
	if st.purpose == forApp && s.j.wait(round) != nil {
		return
	}
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

// answer is a syncAnswer as it came.
type answer struct {
	boot, seq, peer, taken, upto uint64
	ordered, seen                uint32
	older, more                  bool
	held                         spans
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
	for n, g := range st.segs {
		if st.app == nil || !st.behind(g) {
			held.add(uint64(n), uint64(n)+1)
		}
	}
	more := len(held) > maxSyncHeld
	held = held[:min(len(held), maxSyncHeld)]
	w.U32(places).U32(seen).U8(flag(older)).U8(flag(more)).U16(uint16(len(held)))
	for _, x := range held {
		w.U32(uint32(x.from)).U32(uint32(x.to))
	}
}
