package local

import (
	"context"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

func isNotFound(err error) bool { return qsc.IsKind(err, qsc.NotFound) }

// move is what compaction has copied of one share.
type move struct {
	sh      *share
	extents []extent // in place of those in the old segment
	lost    []uint32 // chunks whose record could not be found again
	commit  bool     // the commit record was copied, to seg and off
	seg     uint32
	off     uint32
}

// evacuation copies what is alive in one segment.
type evacuation struct {
	s      *Site
	from   *segment
	moves  []*move
	kills  []*kill
	marks  map[*segment]uint64
	spaces []space
	buf    []byte
}

// compact copies what is alive in a segment to the active one and removes it.
// The order is: copy, sync the copies, count them instead of the originals,
// remove the file, sync the directory. A crash before the removal leaves two
// copies of the same records, which replay takes for one.
func (s *Site) compact(ctx context.Context, id uint32) (bool, error) {
	e := &evacuation{s: s, from: s.segment(id), marks: map[*segment]uint64{}}
	e.collect()
	err := e.copyAll(ctx)
	if err == nil {
		err = e.sync()
	}
	if err != nil {
		e.undo(ctx.Err() == nil && !qsc.IsKind(err, qsc.NoSpace))
		return false, err
	}
	e.swap()
	return s.removeDead(id)
}

// collect finds the shares and kills with something in the segment. Nothing
// can join them: the segment takes no more records and no writer has any there.
func (e *evacuation) collect() {
	s := e.s
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sh := range s.idx.all() {
		here := sh.seg == e.from.id
		if here || slices.ContainsFunc(sh.extents, func(x extent) bool { return x.seg == e.from.id }) {
			e.moves = append(e.moves, &move{sh: sh, commit: here})
		}
	}
	for _, list := range s.idx.kills {
		for _, k := range list {
			if k.seg == e.from.id && k.needed() {
				e.kills = append(e.kills, k)
			}
		}
	}
}

func (e *evacuation) copyAll(ctx context.Context) error {
	for _, m := range e.moves {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.copyShare(m); err != nil {
			return err
		}
	}
	return nil
}

// copyShare copies a share's records. Only compaction changes extents and the
// place of the commit record, so they are read without the lock.
func (e *evacuation) copyShare(m *move) error {
	for _, x := range m.sh.extents {
		if x.seg != e.from.id {
			continue
		}
		for x.count > 0 {
			part := x
			part.count = uint32(min(int64(x.count), max(1, batchBytes/step(x.size))))
			if err := e.copyRun(m, part); err != nil {
				return err
			}
			x.first, x.count, x.off = x.first+part.count, x.count-part.count, x.off+uint32(part.room())
		}
	}
	if m.commit {
		return e.copyCommit(m)
	}
	return nil
}

func (e *evacuation) bytes(n int64) []byte {
	if int64(cap(e.buf)) < n {
		e.buf = make([]byte, n)
	}
	return e.buf[:n]
}

// copyRun copies records as they are but for the salt and offset in their
// headers: a damaged payload stays recognisably damaged.
func (e *evacuation) copyRun(m *move, x extent) error {
	b := e.bytes(x.room())
	n, err := e.from.file.ReadAt(b, int64(x.off))
	if want := len(b) - int(step(x.size)) + recHeader + int(x.size); n < want {
		return err
	}
	sp, err := e.s.reserve(x.room(), false)
	if err != nil {
		return err
	}
	good := x
	good.seg, good.off = sp.seg.id, uint32(sp.off)
	for i := range x.count {
		at := int64(i) * step(x.size)
		h, ok := parseHeader(b[at:], e.from.salt, x.off+uint32(at))
		if !ok || h.gen != m.sh.gen || h.chunk != x.first+i || h.size != x.size {
			m.lost = append(m.lost, x.first+i)
			clear(b[at : at+recHeader])
			continue
		}
		h.put(b[at:], sp.seg.salt, uint32(sp.off+at))
	}
	err = e.landed(sp, writeAll(sp, b), func(c *content) {
		for i := range x.count {
			if !slices.Contains(m.lost, x.first+i) {
				c.add(m.sh.gen, x.first+i, good.off+uint32(int64(i)*step(x.size)), x.size)
			}
		}
	})
	if err == nil {
		m.extents = joinExtent(m.extents, good)
	}
	return err
}

// copyCommit copies the commit record.
func (e *evacuation) copyCommit(m *move) error {
	c := m.sh.control()
	b := e.bytes(recHeader + int64(c.size()))
	_, err := e.from.file.ReadAt(b, int64(m.sh.off))
	var meta []byte
	if err == nil {
		meta, err = checkCommit(b, e.from.salt, m.sh.off, m.sh)
	}
	if err != nil {
		return qsc.E("site", qsc.Corrupt, string(e.s.id), "a commit record in %s cannot be read: %w", segName(e.from.id), err)
	}
	m.seg, m.off, err = e.control(ctlMeta{c, meta})
	return err
}

func (e *evacuation) control(c ctlMeta) (seg, off uint32, err error) {
	sp, err := e.s.reserve(step(c.size()), false)
	if err != nil {
		return 0, 0, err
	}
	buf := appendControl(nil, &c, sp.seg.salt, uint32(sp.off))
	err = e.landed(sp, writeAll(sp, buf), func(o *content) {
		o.ctls = append(o.ctls, placed{c.control, uint32(sp.off)})
	})
	return sp.seg.id, uint32(sp.off), err
}

func (e *evacuation) landed(sp space, err error, note func(*content)) error {
	mark := e.s.landed(sp, err, note)
	if err == nil {
		e.marks[sp.seg] = max(e.marks[sp.seg], mark)
		e.spaces = append(e.spaces, sp)
	}
	return err
}

// sync copies the kills, last, and makes all copies durable.
func (e *evacuation) sync() error {
	for g, mark := range e.marks {
		if err := e.s.syncTo(g, mark); err != nil {
			return err
		}
	}
	for _, k := range e.kills {
		seg, offs, err := e.s.writeControls([]ctlMeta{{k.control, nil}})
		if err != nil {
			return err
		}
		e.s.mu.Lock()
		k.seg, k.off = seg.id, offs[0]
		e.s.mu.Unlock()
	}
	return nil
}

// undo leaves the originals in force; the copies are garbage.
func (e *evacuation) undo(stuck bool) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.from.stuck = e.from.stuck || stuck
	for _, sp := range e.spaces {
		sp.seg.pending -= sp.n
	}
	for _, m := range e.moves {
		if m.commit && m.seg != 0 {
			e.s.alsoHeld(m.sh, m.seg)
		}
	}
}

// swap lets the copies count.
func (e *evacuation) swap() {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	for _, sp := range e.spaces {
		sp.seg.pending -= sp.n
	}
	for _, m := range e.moves {
		if !m.sh.dead {
			e.s.swapShare(m, e.from)
		} else if m.commit {
			e.s.alsoHeld(m.sh, m.seg)
		}
	}
}

// alsoHeld notes that a segment may hold a commit of the share's ref besides
// the one that counts. The share may have been deleted or replaced while its
// commit was copied.
func (s *Site) alsoHeld(sh *share, seg uint32) {
	if now := s.idx.get(sh.ref); now != nil {
		s.idx.shade(now, seg)
	}
	for _, k := range s.idx.kills[sh.ref] {
		if k.a <= sh.seq && sh.seq <= k.b {
			k.victims = addSegment(k.victims, seg)
		}
	}
}

func (s *Site) swapShare(m *move, from *segment) {
	sh := m.sh
	var rest []extent
	for _, x := range sh.extents {
		if x.seg == from.id {
			from.live -= x.room()
			continue
		}
		rest = append(rest, x)
	}
	for _, x := range m.extents {
		s.segs[x.seg].live += x.room()
	}
	sh.extents = arrange(append(rest, m.extents...), sh.chunks)
	if m.commit {
		c := sh.control()
		from.live -= step(c.size())
		s.segs[m.seg].live += step(c.size())
		s.idx.shade(sh, from.id)
		sh.seg, sh.off = m.seg, m.off
	}
}
