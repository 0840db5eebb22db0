package supply

import (
	"encoding/binary"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// apply takes one record of the journal in.
func (s *Supply) apply(r record) error {
	if r.kind == recStream {
		return s.applyStream(r)
	}
	st := s.byNum[r.stream]
	if st == nil {
		return nil // of a stream that has ended
	}
	switch r.kind {
	case recHead:
		st.head = &head{slot: r.a}
		st.seen.add(0, 1)
	case recNext:
		st.reserved = max(st.reserved, r.n)
	case recSegment:
		return s.applySegment(st, r)
	case recSeen:
		st.seen.add(r.c, r.d)
	case recReport:
		st.reports = append(st.reports, report{r.n, r.a})
		st.seen.add(uint64(r.n), uint64(r.n)+1)
	case recReported:
		st.dropReports(r.c)
	case recPeer:
		st.peerHas = max(st.peerHas, r.c)
	case recDrop:
		s.forget(st)
	case recBooks:
		return st.applyBooks(r.body)
	case recGift:
		return s.applyGift(st, r)
	case recGiven:
		s.applyGiven(st, r)
	default:
		return st.applyTo(r)
	}
	return nil
}

func (s *Supply) applyStream(r record) error {
	if r.desc.role > slave || r.desc.purpose > forApp {
		return qsc.E("supply.Open", qsc.Corrupt, "", "a stream's record makes no sense")
	}
	st := newStream(*r.desc)
	st.num = r.stream
	s.place(st)
	return nil
}

// place puts a stream into the tables. mu is held, or nobody else is there yet.
func (s *Supply) place(st *stream) {
	s.lastNum = max(s.lastNum, st.num)
	s.byNum[st.num] = st
	s.streams[streamKey{st.role, st.id}] = st
	switch {
	case st.purpose == forApp:
	case st.role == master:
		s.pools[poolKey{st.peer, st.prot}] = st
	default:
		s.slaves[st.peer] = append(s.slaves[st.peer], st)
	}
}

// forget takes a stream out of the tables. mu is held.
func (s *Supply) forget(st *stream) {
	delete(s.byNum, st.num)
	delete(s.streams, streamKey{st.role, st.id})
	if k := (poolKey{st.peer, st.prot}); s.pools[k] == st {
		delete(s.pools, k)
	}
	s.slaves[st.peer] = slices.DeleteFunc(s.slaves[st.peer], func(x *stream) bool { return x == st })
	for id, g := range s.gifts {
		if g.stream == st {
			delete(s.gifts, id)
			delete(s.told, g.key())
		}
	}
}

func (s *Supply) applySegment(st *stream, r record) error {
	most := s.cfg.Segment
	if st.purpose == forApp {
		most = s.cfg.Chunk
	}
	if r.info.size == 0 || r.info.size > uint32(most) || r.info.size%unit != 0 {
		return qsc.E("supply.Open", qsc.Conflict, "", "a segment of %d bytes does not fit: the store was made with another segment size; set that again", r.info.size)
	}
	st.hold(st.newSegment(r.n, *r.info))
	return nil
}

// applyTo takes in a record about one segment. A record about one that is gone
// changes nothing.
func (st *stream) applyTo(r record) error {
	g := st.segs[r.n]
	if r.kind == recMark && st.purpose == forApp {
		st.app.mark = r.c
		return nil
	}
	if g == nil {
		return nil
	}
	bad := qsc.E("supply.Open", qsc.Corrupt, "", "a record of the journal makes no sense: remove the supply's directory at both ends to start with fresh key")
	switch r.kind {
	case recMark:
		if r.a > g.size {
			return bad
		}
		g.pos, g.pending, g.mark, g.used = r.a, r.a, r.a, uint32(r.c)
	case recTaken:
		if r.b > uint32(g.units()) || r.a > r.b || g.bits == nil {
			return bad
		}
		g.took(r.how, g.take(r.a, r.b))
	case recBits:
		if len(r.body) != 8*len(g.bits) {
			return bad
		}
		g.applyBits(r)
	case recIssued:
		g.issued = append(g.issued, issuedMark{r.a, int64(r.c)})
	case recOrder:
		st.setPlace(g, r.a)
	case recGone:
		st.gone(g, r)
	}
	return nil
}

func (g *segment) applyBits(r record) {
	g.free = g.units()
	for i := range g.bits {
		g.bits[i] = binary.BigEndian.Uint64(r.body[8*i:])
	}
	g.free -= count(g.bits, 0, uint32(g.units()))
	g.used, g.expired = uint32(r.c), uint32(r.d)
}

// took books n units of a slave's segment.
func (g *segment) took(how uint8, n int) {
	switch how {
	case tookFetched:
		g.used += uint32(n) * unit
	case tookExpired:
		g.expired += uint32(n) * unit
	}
}

// taken returns how many bytes a slave's stream has ever taken: fetched, expired
// or burnt. It only grows.
func (st *stream) taken() uint64 {
	n := uint64(st.book.Produced)
	for _, g := range st.segs {
		n += uint64(g.units()-g.free) * unit
	}
	return n
}

// gone books a segment that is no longer held. r.a is where its report to the
// slave begins, r.b is 1 when there is one.
func (st *stream) gone(g *segment, r record) {
	st.book.Produced += int64(g.size)
	st.book.Used += int64(r.c)
	st.book.Expired += int64(r.d)
	st.book.Burnt += int64(g.size) - int64(r.c) - int64(r.d)
	if r.b == 1 {
		st.reports = append(st.reports, report{g.n, r.a})
	}
	delete(st.segs, g.n)
	if i := slices.Index(st.order, g); i >= 0 {
		st.order = slices.Delete(st.order, i, i+1)
	}
	if st.app != nil && g.place != noPlace {
		delete(st.app.byPlace, g.place)
	}
	g.done = true
}

func (st *stream) applyBooks(b []byte) error {
	if len(b) != 5*8 {
		return qsc.E("supply.Open", qsc.Corrupt, "", "an account in the journal is cut short")
	}
	v := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }
	st.book = Books{Produced: v(0), Used: v(1), Burnt: v(2), Expired: v(3)}
	st.reported = uint64(v(4))
	return nil
}
