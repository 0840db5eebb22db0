package supply

import (
	"github.com/quantum-secure-cloud/qsc"
)

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
