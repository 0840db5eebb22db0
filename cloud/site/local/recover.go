package local

import (
	"cmp"
	"context"
	"io"
	"os"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// Open opens a site and rebuilds its index: from the footers of sealed
// segments, by a scan of the others. Shares that were not committed are gone.
// Errors: Invalid (configuration), Conflict (the directory belongs to another
// site), NotFound, Denied.
func Open(cfg Config) (*Site, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	s := &Site{
		id: cfg.ID, cfg: cfg, fs: cfg.FS, log: cfg.Logger, idx: newIndex(),
		segs: map[uint32]*segment{}, nextSeg: 1, work: make(chan struct{}, 1),
	}
	if err := s.load(); err != nil {
		s.closeFiles()
		return nil, s.fail("site.Open", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if !cfg.Manual {
		s.bg.Go(func() { s.background(ctx) })
		s.kick()
	}
	return s, nil
}

// load reads the directory. What it sees must be durable before it builds on
// it: a removal or a record that only the page cache knows might come undone.
func (s *Site) load() error {
	if err := s.fs.SyncDir("."); err != nil {
		return err
	}
	entries, err := s.fs.ReadDir(".")
	if err != nil {
		return err
	}
	found := map[uint32]content{}
	for _, e := range entries {
		id, ok := segID(e.Name())
		if !ok {
			continue
		}
		s.nextSeg = max(s.nextSeg, id+1)
		g, c, err := s.loadSegment(id)
		if err != nil {
			return err
		}
		if g != nil {
			s.segs[id], found[id] = g, c
		}
	}
	s.replay(found)
	s.resume()
	return nil
}

// loadSegment reads what a segment holds; nil without an error for a file that
// is none.
func (s *Site) loadSegment(id uint32) (g *segment, c content, err error) {
	f, err := s.fs.Open(segName(id), os.O_RDWR, 0)
	if err != nil {
		return nil, c, err
	}
	defer func() {
		if g == nil {
			f.Close()
		}
	}()
	size, err := f.Size()
	if err != nil {
		return nil, c, err
	}
	head := make([]byte, segHeader)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, c, err
	}
	site, hid, salt, ok := parseSegHeader(head[:n])
	if !ok || hid != id {
		return nil, c, s.notSegment(id, size)
	}
	if site != s.id {
		return nil, c, qsc.E("site.Open", qsc.Conflict, string(s.id), "this directory holds the shares of site %q: give each site its own", site)
	}
	g = &segment{id: id, file: f, salt: salt, size: size, flushed: size}
	if c, ok := readFooter(f, size, salt); ok {
		g.sealed = true
		return g, c, nil
	}
	if err = f.Sync(); err == nil {
		c, g.size, err = scan(f, size, salt)
	}
	if err != nil {
		return nil, c, err
	}
	g.torn, g.flushed, g.content = size > g.size, g.size, c
	return g, c, nil
}

// notSegment removes what a crash left of a new segment. Anything longer is a
// damaged segment, which is kept for a human, out of use.
func (s *Site) notSegment(id uint32, size int64) error {
	if size <= segHeader {
		return s.fs.Remove(segName(id))
	}
	s.log.Error("the header of a segment is damaged, its shares need repair", "site", s.id, "segment", segName(id), "bytes", size)
	return nil
}

// readFooter reads the table of contents at the end of a sealed segment.
func readFooter(f io.ReaderAt, size int64, salt uint64) (c content, ok bool) {
	tail := make([]byte, trailer)
	if size < segHeader+recHeader+trailer || size > 1<<32-1 {
		return c, false
	}
	if n, _ := f.ReadAt(tail, size-trailer); n < trailer {
		return c, false
	}
	off, ok := parseTrailer(tail, salt)
	if !ok || int64(off) < segHeader || int64(off)+recHeader > size-trailer {
		return c, false
	}
	b := make([]byte, size-trailer-int64(off))
	if n, _ := f.ReadAt(b, int64(off)); n < len(b) {
		return c, false
	}
	h, ok := parseHeader(b, salt, off)
	if !ok || h.typ != recFooter || int64(h.size) > int64(len(b)-recHeader) {
		return c, false
	}
	b = b[recHeader:][:h.size]
	if crc(b) != h.sum {
		return c, false
	}
	return parseFooter(b, int64(off))
}

// holder is a commit record at its place.
type holder struct {
	placed
	seg uint32
}

// replay finds the visible shares: of each ref the last commit that no kill
// reaches.
func (s *Site) replay(found map[uint32]content) {
	commits := map[cloud.Ref][]holder{}
	for id, c := range found {
		for _, r := range c.runs {
			s.clock = max(s.clock, r.gen)
		}
		for _, p := range c.ctls {
			s.clock = max(s.clock, p.a, p.b)
			if p.typ == recCommit {
				commits[p.ref] = append(commits[p.ref], holder{p, id})
				continue
			}
			s.idx.kills[p.ref] = append(s.idx.kills[p.ref], &kill{p.control, id, p.off, nil})
		}
	}
	s.clock += 1 << 20 // numbers of records that a crash lost are not given out again
	gens := map[uint64]*share{}
	for ref, list := range commits {
		if sh := s.elect(ref, list); sh != nil {
			gens[sh.gen] = sh
			s.idx.put(sh)
			c := sh.control()
			s.segs[sh.seg].live += step(c.size())
		}
	}
	s.place(gens, found)
	for ref, list := range s.idx.kills {
		list = slices.DeleteFunc(list, func(k *kill) bool { return len(k.victims) == 0 })
		if s.idx.kills[ref] = list; len(list) == 0 {
			delete(s.idx.kills, ref)
		}
	}
}

// elect returns the visible share of a ref, if any, and notes who else holds
// commits of it.
func (s *Site) elect(ref cloud.Ref, list []holder) *share {
	slices.SortFunc(list, func(a, b holder) int { return cmp.Or(cmp.Compare(b.a, a.a), cmp.Compare(a.seg, b.seg)) })
	var sh *share
	for _, h := range list {
		dead := false
		for _, k := range s.idx.kills[ref] {
			if k.a <= h.a && h.a <= k.b {
				dead = true
				k.victims = addSegment(k.victims, h.seg)
			}
		}
		switch {
		case sh == nil && !dead:
			sh = &share{ref: ref, seq: h.a, gen: h.b, bytes: h.bytes, chunks: h.chunks, meta: h.meta, seg: h.seg, off: h.off}
		case sh != nil && h.seg != sh.seg:
			sh.shadows = addSegment(sh.shadows, h.seg)
		}
	}
	return sh
}

// place gives the shares their extents. A piece that compaction had copied
// when it was cut short is there twice; either serves, since the scan checks
// payloads and a footer vouches for them.
func (s *Site) place(gens map[uint64]*share, found map[uint32]content) {
	for id, c := range found {
		for _, r := range c.runs {
			if sh := gens[r.gen]; sh != nil {
				sh.extents = append(sh.extents, extent{id, r.first, r.count, r.off, r.size})
			}
		}
	}
	for _, sh := range gens {
		sh.extents = arrange(sh.extents, sh.chunks)
		for _, e := range sh.extents {
			s.segs[e.seg].live += e.room()
		}
	}
}

// arrange sorts extents by chunk and cuts what is there twice.
func arrange(list []extent, chunks uint32) []extent {
	slices.SortFunc(list, func(a, b extent) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.seg, b.seg), cmp.Compare(a.off, b.off))
	})
	var out []extent
	next := uint64(0)
	for _, e := range list {
		end := min(uint64(e.first)+uint64(e.count), uint64(chunks))
		from := max(next, uint64(e.first))
		if from >= end {
			continue
		}
		cut := uint32(from) - e.first
		e.off += uint32(int64(cut) * step(e.size))
		e.first, e.count = uint32(from), uint32(end-from)
		out = joinExtent(out, e)
		next = end
	}
	return slices.Clip(out)
}

// resume takes up the last segment where a crash or a stop left it.
func (s *Site) resume() {
	g := s.segs[s.nextSeg-1]
	if g == nil || g.sealed || g.size >= s.cfg.SegmentSize {
		return
	}
	if s.settleTail(g) == nil { // else the next record begins another segment
		s.active = g
	}
}

// settleTail cuts what a crash or a failed write left behind the last record
// and makes the rest durable. If that fails, what was written since the last
// good sync may be lost: commits that count on it must fail.
func (s *Site) settleTail(g *segment) error {
	var err error
	if g.torn {
		err = g.file.Truncate(g.size)
	}
	if err == nil {
		err = g.file.Sync()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.retire(g)
		return err
	}
	g.torn = false
	return nil
}
