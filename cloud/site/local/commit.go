package local

import (
	"context"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// request is a commit (w is set) or a deletion, waiting for the disk.
type request struct {
	w    *writer
	ref  cloud.Ref
	meta []byte

	ctl  control
	seg  uint32 // of the record, once written
	off  uint32
	done bool
	err  error
}

// Delete implements cloud.Site. After an error the share is still there, but
// may be gone at the next start.
func (s *Site) Delete(ctx context.Context, ref cloud.Ref) error {
	const op = "site.Delete"
	if err := s.ctxErr(ctx, op); err != nil {
		return err
	}
	if err := ref.Check(op); err != nil {
		return err
	}
	return s.fail(op, s.submit(&request{ref: ref}))
}

// submit has the request carried out together with all that wait at that
// moment: whoever comes first works for the others.
func (s *Site) submit(r *request) error {
	s.queueMu.Lock()
	s.queue = append(s.queue, r)
	s.queueMu.Unlock()
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if !r.done {
		s.queueMu.Lock()
		batch := s.queue
		s.queue = nil
		s.queueMu.Unlock()
		s.run(batch)
	}
	return r.err
}

// run carries out a batch. The order is:
//
//  1. sync every segment that holds pieces of the batch's shares,
//  2. write the commit and kill records, sync their segment,
//  3. make the commits visible and the deletions happen.
//
// When step 2 fails the records may be on disk all the same, so commits are
// taken back by kill records in another segment.
func (s *Site) run(batch []*request) {
	for _, r := range batch {
		if r.w != nil {
			r.err = s.syncPieces(r.w)
		}
	}
	good := s.number(batch)
	if err := s.record(good); err != nil {
		s.takeBack(good, err)
	} else {
		s.apply(good)
	}
	for _, r := range batch {
		r.done = true
	}
}

func (s *Site) syncPieces(w *writer) error {
	for g, mark := range w.marks {
		if err := s.syncTo(g, mark); err != nil {
			return err
		}
	}
	return nil
}

// number gives sequence numbers to those that need a record.
func (s *Site) number(batch []*request) []*request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var good []*request
	fresh := map[cloud.Ref]bool{} // committed earlier in this batch
	for _, r := range batch {
		switch {
		case s.closed:
			r.err = s.errClosed()
		case r.err != nil:
		case r.w != nil:
			s.clock++
			w := r.w
			r.ctl = control{recCommit, r.ref, s.clock, w.gen, w.chunks, w.bytes + int64(len(r.meta)), uint32(len(r.meta))}
			fresh[r.ref] = true
			good = append(good, r)
		case fresh[r.ref] || s.idx.get(r.ref) != nil || s.owes(r.ref):
			s.clock++
			r.ctl = control{typ: recKill, ref: r.ref, a: 0, b: s.clock}
			good = append(good, r)
		}
	}
	return good
}

// owes reports whether a commit of the ref may be on disk that the disk would
// not let us take back: a deletion must not succeed before that is done.
func (s *Site) owes(ref cloud.Ref) bool {
	return slices.ContainsFunc(s.owed, func(k *kill) bool { return k.ref == ref })
}

// record makes the batch's records durable, owed kills before them.
func (s *Site) record(batch []*request) error {
	if len(batch) == 0 {
		return nil
	}
	for len(s.owed) > 0 {
		if err := s.writeKill(s.owed[0]); err != nil {
			return err
		}
		s.owed = s.owed[1:]
	}
	var list []ctlMeta
	for _, r := range batch {
		list = append(list, ctlMeta{r.ctl, r.meta})
	}
	seg, offs, err := s.writeControls(list)
	for i, off := range offs {
		batch[i].seg, batch[i].off = seg.id, off
	}
	return err
}

// ctlMeta is a control record with its metadata.
type ctlMeta struct {
	control
	data []byte
}

// writeControls writes records behind one another and syncs their segment,
// which is retired if that fails. The segment and the offsets are returned as
// soon as anything may have been written.
func (s *Site) writeControls(list []ctlMeta) (*segment, []uint32, error) {
	room := int64(0)
	for i := range list {
		room += step(list[i].size())
	}
	sp, err := s.reserve(room, false)
	if err != nil {
		return nil, nil, err
	}
	buf := make([]byte, 0, room)
	offs := make([]uint32, len(list))
	for i := range list {
		offs[i] = uint32(sp.off) + uint32(len(buf))
		buf = appendControl(buf, &list[i], sp.seg.salt, offs[i])
	}
	err = writeAll(sp, buf)
	mark := s.landed(sp, err, func(c *content) {
		for i := range list {
			c.ctls = append(c.ctls, placed{list[i].control, offs[i]})
		}
	})
	if err == nil {
		err = s.syncTo(sp.seg, mark)
		s.settle(sp)
	}
	if err != nil {
		s.mu.Lock()
		s.retire(sp.seg)
		s.mu.Unlock()
	}
	return sp.seg, offs, err
}

// settle ends the pending state of control records: from here on they count
// with the share, or the kill, that they belong to.
func (s *Site) settle(sp space) {
	s.mu.Lock()
	sp.seg.pending -= sp.n
	s.mu.Unlock()
}

func appendControl(buf []byte, c *ctlMeta, salt uint64, off uint32) []byte {
	at := len(buf)
	buf = append(buf, make([]byte, recHeader)...)
	buf = append(c.control.append(buf), c.data...)
	h := header{typ: c.typ, size: c.size(), sum: crc(buf[at+recHeader:])}
	h.put(buf[at:], salt, off)
	return append(buf, make([]byte, int(step(h.size))-(len(buf)-at))...)
}

// takeBack makes sure that commits whose record failed stay invisible.
func (s *Site) takeBack(batch []*request, cause error) {
	for _, r := range batch {
		r.err = cause
		if r.w == nil || r.seg == 0 {
			continue // a deletion, or nothing was written
		}
		k := &kill{control: control{typ: recKill, ref: r.ref, a: r.ctl.a, b: r.ctl.a}, victims: []uint32{r.seg}}
		if err := s.writeKill(k); err != nil {
			s.owed = append(s.owed, k)
			r.err = qsc.E("site", qsc.Unreachable, string(s.id), "the disk fails; at the next start the share may be there or not: %w", cause)
		}
	}
}

// writeKill makes a kill durable and remembers it while it is needed.
func (s *Site) writeKill(k *kill) error {
	seg, offs, err := s.writeControls([]ctlMeta{{k.control, nil}})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.seg, k.off = seg.id, offs[0]
	k.victims = slices.DeleteFunc(k.victims, func(id uint32) bool { return s.segs[id] == nil })
	s.remember(k)
	return nil
}

// remember keeps a kill that has victims. The caller holds mu.
func (s *Site) remember(k *kill) {
	if len(k.victims) > 0 {
		s.idx.kills[k.ref] = append(s.idx.kills[k.ref], k)
	}
}

// apply makes durable records count, in the order of their numbers.
func (s *Site) apply(batch []*request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		old := s.idx.get(r.ref)
		var holders []uint32 // segments with commits of the ref that no longer count
		if old != nil {
			holders = addSegment(old.shadows, old.seg)
			s.drop(old)
		}
		if r.w == nil {
			s.remember(&kill{r.ctl, r.seg, r.off, holders})
			continue
		}
		s.show(r, holders)
	}
}

// drop takes a share out of sight; its room is for reclaiming.
func (s *Site) drop(sh *share) {
	s.idx.remove(sh)
	for _, e := range sh.extents {
		if g := s.segs[e.seg]; g != nil {
			g.live -= e.room()
		}
	}
	c := sh.control()
	s.segs[sh.seg].live -= step(c.size())
	s.kick()
}

// show makes a committed share visible.
func (s *Site) show(r *request, shadows []uint32) {
	w := r.w
	for g, n := range w.pending {
		g.pending -= n
		g.live += n
	}
	s.segs[r.seg].live += step(r.ctl.size())
	s.idx.put(&share{
		ref: r.ref, seq: r.ctl.a, gen: r.ctl.b, bytes: r.ctl.bytes, chunks: r.ctl.chunks, meta: r.ctl.meta,
		seg: r.seg, off: r.off, extents: slices.Clip(w.extents), shadows: shadows,
	})
}
