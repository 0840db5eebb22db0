package supply

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

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
