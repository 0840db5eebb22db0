package supply

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// maxStreams bounds the pool streams that one other node may begin here, and the
// application streams of all.
const (
	maxPoolsOfPeer = 64
	maxApps        = 4096
)

func newStream(d streamDesc) *stream {
	st := &stream{streamDesc: d, segs: map[uint32]*segment{}, storing: map[uint32]bool{}, changed: make(chan struct{})}
	if d.purpose == forApp {
		st.app = newAppEnd()
	}
	return st
}

// found makes a stream and its record. mu is held.
func (s *Supply) found(d streamDesc) (*stream, *round) {
	st := newStream(d)
	s.lastNum++
	st.num = s.lastNum
	st.confirmed = true
	st.demand.size = s.cfg.First
	s.place(st)
	wake(s.stir)
	return st, s.j.add(record{kind: recStream, stream: st.num, desc: &st.streamDesc})
}

// poolStream returns the stream from which keys for a node are issued, a new one
// if need be. mu is held.
func (s *Supply) poolStream(to qsc.NodeID, p keymgmt.Protection) (*stream, error) {
	p = normal(p)
	if st := s.pools[poolKey{to, p}]; st != nil {
		return st, nil
	}
	d := streamDesc{role: master, purpose: forPool, peer: to, prot: p}
	if _, err := rand.Read(d.id[:]); err != nil {
		return nil, qsc.E("supply.Issue", qsc.Other, "", "no identifier for a stream: %w", err)
	}
	st, _ := s.found(d) // durable with its first reserved number
	return st, nil
}

// normal returns the one form of equal protections.
func normal(p keymgmt.Protection) keymgmt.Protection {
	p.Paths = max(p.Paths, 1)
	if p.Need <= 0 || p.Need > p.Paths {
		p.Need = p.Paths
	}
	return p
}

// retire stops holding a segment. r says how; its slot is free once the record
// is durable and nobody reads it. mu is held.
func (s *Supply) retire(st *stream, g *segment, r record) {
	r.kind, r.stream, r.n, r.c, r.d = recGone, st.num, g.n, uint64(g.used), uint64(g.expired)
	st.gone(g, r)
	g.after = s.j.add(r)
	s.freeSlot(st, g)
}

// freeSlot gives the slot of a segment back that is no longer held or read.
func (s *Supply) freeSlot(st *stream, g *segment) {
	if g.done && g.readers == 0 && g.after != nil {
		s.slabOf(st).give(g.slot, g.after, s.cfg.Now())
		g.after = nil
	}
}

// leave ends a reader's use of a segment. mu is held.
func (s *Supply) leave(st *stream, g *segment) {
	g.readers--
	if g.done {
		s.freeSlot(st, g)
		return
	}
	s.finish(st, g)
}

// finish retires a segment of which nothing is left. mu is held.
func (s *Supply) finish(st *stream, g *segment) {
	if g.readers > 0 || g.done {
		return
	}
	switch {
	case st.purpose == forApp:
		if g.left == 0 && (st.role == slave || g.place < st.sync.ordered) {
			s.retire(st, g, record{})
		}
	case st.role == slave:
		if g.free == 0 && g.gifts == 0 {
			s.retire(st, g, record{})
		}
	case int(g.size-g.pos) < stride(int(s.cfg.Limits.MinSize.Bytes())):
		s.retire(st, g, record{a: g.pos, b: 1})
		s.touch(st)
	}
}

// drop ends a stream at this end; what is left of it is burnt. mu is held.
func (s *Supply) drop(st *stream, format string, args ...any) {
	if st.dropped {
		return
	}
	left := st.available()
	r := s.j.add(record{kind: recDrop, stream: st.num})
	for _, g := range segments(st) {
		st.gone(g, record{c: uint64(g.used), d: uint64(g.expired)})
		g.after = r
		s.freeSlot(st, g)
	}
	if st.head != nil {
		s.head.give(st.head.slot, r, s.cfg.Now())
	}
	st.dropped = true
	s.forget(st)
	s.past.add(st.book)
	st.notify()
	if st.role == master && st.head != nil && s.cfg.tick >= 0 {
		s.start(func() { s.sayGone(st.peer, st.id) })
	}
	if left > 0 && format != "" {
		s.alarm(format, args...)
	}
}

// sayGone tells a slave that a stream has ended. If that is lost it finds out by
// asking.
func (s *Supply) sayGone(to qsc.NodeID, id [16]byte) {
	w := wire.Writer{}
	w.U8(syncGone).Raw(id[:])
	s.tell(to, keymgmt.TopicSync, w.B)
}

func segments(st *stream) []*segment {
	list := make([]*segment, 0, len(st.segs))
	for _, g := range st.segs {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *segment) int { return int(a.n) - int(b.n) })
	return list
}

// touch says that there is something to tell the peer. mu is held.
func (s *Supply) touch(st *stream) {
	st.sync.changes++
	st.sync.dirty = true
}

// dropReports forgets the reports that the slave has taken in, up to number c.
func (st *stream) dropReports(c uint64) {
	if c > st.reported {
		n := min(c-st.reported, uint64(len(st.reports)))
		st.reports = slices.Delete(st.reports, 0, int(n))
		st.reported += n
	}
}

// store puts key into a slot of its slab, durably. Errors: NoSpace.
func (s *Supply) store(b *slab, key []byte) (uint32, error) {
	slot, dirty, err := b.take(s.j.settle)
	if err != nil {
		return 0, err
	}
	err = b.write(slot, 0, key)
	if dirty && err == nil {
		err = b.zero(slot, int64(len(key)), b.slot)
	}
	if err == nil {
		err = b.sync()
	}
	if err != nil {
		b.give(slot, nil, time.Time{})
		return 0, qsc.E("supply.store", qsc.KindOf(err), string(s.cfg.Node), "key could not be stored: %w", err)
	}
	return slot, nil
}
