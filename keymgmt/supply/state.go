package supply

import (
	"crypto/rand"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// restore reads the directory and burns what a crash has left uncertain.
func (s *Supply) restore() (err error) {
	s.j = newJournal(s.cfg.FS, s.cfg.room, s.snapshot)
	boots := uint64(0)
	s.j.gen, err = load(s.cfg.FS, func(payload []byte) error {
		for len(payload) > 0 {
			r, rest, err := parseRecord(payload)
			if err != nil {
				return err
			}
			if r.kind == recBoot {
				boots = max(boots, r.c)
			} else if err := s.apply(r); err != nil {
				return err
			}
			payload = rest
		}
		return nil
	})
	if err != nil {
		return err
	}
	var nonce [4]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	s.boot = (boots+1)<<32 | uint64(binary.BigEndian.Uint32(nonce[:]))
	if err := s.openSlabs(); err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return err
	}
	r, err := s.j.begin()
	r.err = err
	close(r.done)
	return err
}

func (s *Supply) openSlabs() (err error) {
	c := &s.cfg
	for _, x := range []struct {
		to    **slab
		name  string
		slot  int64
		limit int64
	}{{&s.pool, "pool", int64(c.Segment), c.Disk}, {&s.apps, "apps", int64(c.Chunk), c.Disk}, {&s.head, "heads", sector, 64 << 20}} {
		if *x.to, err = openSlab(c.FS, x.name, x.slot, x.limit); err != nil {
			return err
		}
		if err := (*x.to).begin(x.name, s.slotsOf(*x.to)); err != nil {
			return err
		}
	}
	return c.FS.SyncDir(".")
}

func (s *Supply) slotsOf(b *slab) map[uint32]bool {
	used := map[uint32]bool{}
	for _, st := range s.streams {
		if b == s.head && st.head != nil {
			used[st.head.slot] = true
		}
		if b == s.head || s.slabOf(st) != b {
			continue
		}
		for _, g := range st.segs {
			used[g.slot] = true
		}
	}
	return used
}

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

// settle turns a restored state into one to go on with.
func (s *Supply) settle() error {
	for _, st := range s.byNum {
		if st.purpose == forPool && st.role == master && st.head == nil {
			s.forget(st) // it never began
			continue
		}
		if st.purpose == forPool && st.head != nil {
			if err := s.loadHead(st); err != nil {
				return err
			}
		}
		if st.role == master {
			st.next = st.reserved
			for _, gap := range st.seen.gaps(0, uint64(st.next)) {
				for n := gap.from; n < gap.to; n++ {
					st.reports = append(st.reports, report{uint32(n), 0})
				}
			}
			st.seen.add(0, uint64(st.next))
		}
		st.sync.dirty = true
		if st.app != nil {
			s.settleApp(st)
		}
		st.demand.size = s.cfg.First
	}
	return nil
}

func (s *Supply) loadHead(st *stream) error {
	b := make([]byte, headSize)
	defer clear(b)
	if err := s.head.read(st.head.slot, 0, b); err != nil {
		return qsc.E("supply.Open", qsc.Corrupt, "", "the identifier key of a stream cannot be read: %w", err)
	}
	st.head.perm, st.head.tags = newPermutation(b), newTagger(b[32:])
	return nil
}

// snapshot encodes all state; seal is called under mu.
func (s *Supply) snapshot(seal func()) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := record{kind: recBoot, c: s.boot >> 32}.append(nil)
	for _, num := range slices.Sorted(maps.Keys(s.byNum)) {
		b = s.byNum[num].encode(b)
	}
	for _, g := range s.told {
		b = g.encode(b)
	}
	seal()
	return b
}

func (st *stream) encode(b []byte) []byte {
	put := func(r record) {
		r.stream = st.num
		b = r.append(b)
	}
	put(record{kind: recStream, desc: &st.streamDesc})
	if st.head != nil {
		put(record{kind: recHead, a: st.head.slot})
	}
	put(record{kind: recNext, n: st.reserved})
	for _, x := range st.seen {
		put(record{kind: recSeen, c: x.from, d: x.to})
	}
	book := st.book
	body := make([]byte, 0, 40)
	for _, v := range []int64{book.Produced, book.Used, book.Burnt, book.Expired, int64(st.reported)} {
		body = binary.BigEndian.AppendUint64(body, uint64(v))
	}
	put(record{kind: recBooks, body: body})
	put(record{kind: recPeer, c: st.peerHas})
	for _, r := range st.reports {
		put(record{kind: recReport, n: r.n, a: r.from})
	}
	if st.app != nil {
		put(record{kind: recMark, c: max(st.app.mark, st.app.pending)})
	}
	for _, n := range slices.Sorted(maps.Keys(st.segs)) {
		st.encodeSegment(st.segs[n], put)
	}
	return b
}

func (st *stream) encodeSegment(g *segment, put func(record)) {
	put(record{kind: recSegment, n: g.n, info: &g.segmentInfo})
	switch {
	case st.purpose == forApp:
	case st.role == master:
		if g.pos > 0 || g.pending > 0 {
			put(record{kind: recMark, n: g.n, a: max(g.pending, g.pos), b: g.pos, c: uint64(g.used)})
		}
	default:
		body := make([]byte, 0, 8*len(g.bits))
		for _, w := range g.bits {
			body = binary.BigEndian.AppendUint64(body, w)
		}
		put(record{kind: recBits, n: g.n, c: uint64(g.used), d: uint64(g.expired), body: body})
		for _, m := range g.issued {
			put(record{kind: recIssued, n: g.n, a: m.off, c: uint64(m.at)})
		}
	}
}
