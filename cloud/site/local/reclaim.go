package local

import (
	"context"
	"errors"
	"slices"
)

// standing is how a segment stands, for plan.
type standing struct {
	id      uint32
	size    int64
	live    int64 // with the kills that are needed
	pending int64
	writing int
	pins    int
	active  bool
	sealed  bool
	failed  bool
	stuck   bool
}

// todo is what to do next, in this order.
type todo struct {
	roll    bool     // let the active segment take no more records
	seal    []uint32 // write their footers
	remove  []uint32 // nothing in them is alive
	compact []uint32 // copy what is alive, then remove
}

const (
	smallOnes   = 8 // that many small segments are worth joining
	compactions = 4 // segments compacted in one go
)

// plan decides; it looks at nothing but its arguments.
func plan(list []standing, segmentSize int64) todo {
	var t todo
	var small []uint32
	for _, g := range list {
		quiet := g.writing == 0 && g.pending == 0
		switch {
		case g.active:
			t.roll = quiet && g.size >= segmentSize/4 && g.live*2 < g.size
		case quiet && g.live == 0 && g.pins == 0:
			t.remove = append(t.remove, g.id)
		case !g.sealed && !g.failed && !g.stuck && g.writing == 0:
			t.seal = append(t.seal, g.id)
		case !quiet || g.stuck || g.pins > 0:
		case g.failed || g.live*2 < g.size:
			t.compact = append(t.compact, g.id)
		case g.size < segmentSize/4:
			small = append(small, g.id)
		}
	}
	if len(small) >= smallOnes {
		t.compact = append(t.compact, small...)
	}
	t.compact = t.compact[:min(len(t.compact), compactions)]
	return t
}

func (s *Site) standings() []standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	kills := map[uint32]int64{}
	for _, list := range s.idx.kills {
		for _, k := range list {
			if k.needed() {
				kills[k.seg] += step(k.size())
			}
		}
	}
	list := make([]standing, 0, len(s.segs))
	for _, g := range s.segs {
		list = append(list, standing{g.id, g.size, g.live + kills[g.id], g.pending, g.writing, g.pins, g == s.active, g.sealed, g.failed, g.stuck})
	}
	slices.SortFunc(list, func(a, b standing) int { return int(int64(a.id) - int64(b.id)) })
	return list
}

// Reclaim seals full segments, removes dead ones and compacts those less than
// half alive, until there is nothing left to do. The site does so by itself
// unless Config.Manual is set.
func (s *Site) Reclaim(ctx context.Context) error {
	s.reclaimMu.Lock()
	defer s.reclaimMu.Unlock()
	for {
		if err := s.ctxErr(ctx, "site.Reclaim"); err != nil {
			return err
		}
		t := plan(s.standings(), s.cfg.SegmentSize)
		did, err := s.carryOut(ctx, t)
		if err != nil || !did {
			return s.fail("site.Reclaim", err)
		}
	}
}

// carryOut does what was planned and reports whether anything came of it.
func (s *Site) carryOut(ctx context.Context, t todo) (did bool, err error) {
	if t.roll {
		s.mu.Lock()
		s.active, did = nil, true
		s.mu.Unlock()
	}
	var errs []error
	note := func(ok bool, err error) {
		did = did || ok
		errs = append(errs, err)
	}
	for _, id := range t.seal {
		note(s.seal(id))
	}
	for _, id := range t.remove {
		note(s.removeDead(id))
	}
	for _, id := range t.compact {
		if ctx.Err() == nil {
			note(s.compact(ctx, id))
		}
	}
	return did, errors.Join(errs...)
}

func (s *Site) segment(id uint32) *segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.segs[id]
}

// seal writes the footer of a segment that takes no more records: cut the torn
// tail, sync, write footer and trailer, sync. The first sync lets a good footer
// vouch for everything it names. A crash in between leaves a segment that is
// scanned at the next start.
func (s *Site) seal(id uint32) (bool, error) {
	g := s.segment(id)
	s.mu.RLock()
	mark := g.writes
	s.mu.RUnlock()
	foot := g.encodeFooter()
	h := header{typ: recFooter, size: uint32(len(foot)), sum: crc(foot)}
	head := make([]byte, recHeader)
	h.put(head, g.salt, uint32(g.size))
	pad := make([]byte, step(h.size)-recHeader-int64(h.size))
	end := encodeTrailer(g.salt, uint32(g.size))
	if err := s.settleTail(g); err != nil {
		return false, err
	}
	if err := writeAll(space{g, g.size, 0}, head, foot, pad, end); err != nil {
		s.mu.Lock()
		g.torn = true // to be tried again
		s.mu.Unlock()
		return false, err
	}
	err := g.file.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.retire(g)
		return false, err
	}
	g.sealed, g.torn, g.synced = true, false, max(g.synced, mark)
	g.size += step(h.size) + trailer
	g.content = content{}
	return true, nil
}

// removeDead removes a segment if it is still dead.
func (s *Site) removeDead(id uint32) (bool, error) {
	s.mu.Lock()
	g := s.segs[id]
	if g == s.active || g.live != 0 || g.pending != 0 || g.pins != 0 || g.writing != 0 {
		s.mu.Unlock()
		return false, nil
	}
	s.mu.Unlock() // nothing can come back to life or be added to it
	return s.unlink(g)
}

// unlink removes the file, and only when that is durable forgets that the
// segment may hold commits: kills of those may then go too.
func (s *Site) unlink(g *segment) (bool, error) {
	err := s.fs.Remove(segName(g.id))
	if err == nil || isNotFound(err) {
		err = s.fs.SyncDir(".")
	}
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.segs, g.id)
	s.idx.withoutSegment(g.id)
	s.unchecked = 0
	return true, g.file.Close()
}
