package local

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// segment is one file. Everything but id, file and salt is guarded by Site.mu.
type segment struct {
	id   uint32
	file durable.File
	salt uint64

	size    int64 // behind the last record: where the next one goes
	sealed  bool  // it has its footer and never changes again
	failed  bool  // a write or a sync failed: it takes no further record
	stuck   bool  // compaction failed: left alone until the next start
	torn    bool  // bytes lie behind size, to be cut before the footer is written
	live    int64 // bytes of visible pieces and their commit records
	pending int64 // bytes of writers still at work
	writing int   // writes under way
	pins    int   // readers that may come back to it

	writes  uint64 // writes finished
	synced  uint64 // of those, how many a successful sync has covered
	flushed int64  // write-back was begun up to here
	content        // what the footer will say; dropped when sealed
}

func segName(id uint32) string { return fmt.Sprintf("seg-%08x", id) }

// segID is the reverse of segName.
func segID(name string) (id uint32, ok bool) {
	_, err := fmt.Sscanf(name, "seg-%08x", &id)
	return id, err == nil && segName(id) == name
}

// newSegment makes a file whose name and header are durable.
func (s *Site) newSegment(id uint32) (_ *segment, err error) {
	var salt [8]byte
	rand.Read(salt[:])
	g := &segment{id: id, salt: binary.BigEndian.Uint64(salt[:]), size: segHeader, flushed: segHeader}
	g.file, err = s.fs.Open(segName(id), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	// Header, its sync, then the name: a name that is durable stands for a
	// segment that can be read.
	_, err = g.file.WriteAt(encodeSegHeader(s.id, id, g.salt), 0)
	if err == nil {
		err = g.file.Sync()
	}
	if err == nil {
		err = s.fs.SyncDir(".")
	}
	if err != nil {
		g.file.Close()
		_ = s.fs.Remove(segName(id)) // else the next start removes it
		return nil, err
	}
	return g, nil
}

// space is room in a segment, to be written once and then given to landed.
type space struct {
	seg *segment
	off int64
	n   int64
}

// reserve takes n bytes in the active segment, a new one if it is full.
// Ordinary pieces leave Config.MinFree to commits, deletions and compaction.
func (s *Site) reserve(n int64, ordinary bool) (space, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return space{}, s.errClosed()
	}
	if ordinary {
		if err := s.checkFree(n); err != nil {
			return space{}, err
		}
	}
	g := s.active
	if g != nil && g.size > segHeader && g.size+n > s.cfg.SegmentSize {
		s.active, g = nil, nil
		s.kick()
	}
	if g == nil {
		var err error
		if g, err = s.newSegment(s.nextSeg); err != nil {
			s.nextSeg++ // its file may be there
			return space{}, err
		}
		s.nextSeg++
		s.segs[g.id], s.active = g, g
	}
	sp := space{g, g.size, n}
	g.size += n
	g.pending += n
	g.writing++
	return sp, nil
}

// checkFree asks the file system now and then; the caller holds mu.
func (s *Site) checkFree(n int64) error {
	if s.unchecked -= n; s.unchecked > 0 {
		return nil
	}
	free, err := s.fs.Free()
	if err != nil {
		return err
	}
	if free-n < s.cfg.MinFree {
		s.unchecked = 0
		return qsc.E("site", qsc.NoSpace, string(s.id), "%d MiB are free and %d MiB are kept in reserve: give the site more disk or delete objects", free>>20, s.cfg.MinFree>>20)
	}
	s.unchecked = min(freeStep, (free-s.cfg.MinFree)/4)
	return nil
}

const (
	freeStep  = 16 << 20 // bytes written between two looks at the free space
	flushStep = 8 << 20  // bytes written before their write-back is begun
)

// landed ends the write of a space: what lies there is noted if it succeeded.
// It returns the mark that a sync must reach for it to be durable.
func (s *Site) landed(sp space, err error, note func(*content)) uint64 {
	s.mu.Lock()
	g := sp.seg
	g.writing--
	if err != nil {
		g.pending -= sp.n
	} else {
		g.writes++
		note(&g.content)
	}
	mark := g.writes
	from, n := g.flushed, sp.off+sp.n-g.flushed
	if n >= flushStep {
		g.flushed += n
	}
	if g != s.active {
		s.kick()
	}
	s.mu.Unlock()
	if n >= flushStep {
		_ = g.file.Flush(from, n) // only a hint
	}
	return mark
}

// syncTo makes a segment's writes up to mark durable. After a failed sync
// nobody knows which of its pages were lost, so the segment takes no more.
func (s *Site) syncTo(g *segment, mark uint64) error {
	s.mu.Lock()
	upto, done, failed := g.writes, g.synced >= mark, g.failed
	s.mu.Unlock()
	if done {
		return nil
	}
	if failed {
		return qsc.E("site", qsc.Other, string(s.id), "an earlier sync of %s failed: store the share again", segName(g.id))
	}
	err := g.file.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.retire(g)
		return err
	}
	g.synced = max(g.synced, upto)
	return nil
}

// retire takes a segment out of use; what is visible in it stays readable and
// is moved elsewhere. The caller holds mu.
func (s *Site) retire(g *segment) {
	g.failed = true
	if s.active == g {
		s.active = nil
	}
	s.log.Error("a segment failed and takes no further share", "site", s.id, "segment", segName(g.id))
	s.kick()
}

// writeAll writes the parts one behind the other.
func writeAll(sp space, parts ...[]byte) error {
	off := sp.off
	for _, p := range parts {
		if _, err := sp.seg.file.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}
