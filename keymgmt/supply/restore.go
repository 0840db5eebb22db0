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
