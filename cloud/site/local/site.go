// Package local is the cloud.Site on this machine's disk: append-only segment
// files, every share durable before it is acknowledged, space given back.
//
// It cannot read what it keeps: a piece is bytes with a length. It checks
// pieces against accidental damage only (crc32c, kept here); what tampering
// does to them, their tags show to their owner. It does not lock its
// directory: the node that opens it does.
//
// The format and the order of system calls are in docs/design/storage.md.
package local

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

var _ cloud.Site = (*Site)(nil)

// Config describes a site. ID and one of Dir and FS are needed.
type Config struct {
	ID  qsc.SiteID
	Dir string     // a directory that exists and holds nothing else
	FS  durable.FS // instead of Dir; Close closes it

	SegmentSize int64 // bytes of a segment file, up to 1 GiB; 0: 256 MiB
	MinFree     int64 // bytes of free space that shares leave alone; 0: 64 MiB, negative: none
	MaxWriters  int   // shares that may be written at a time; 0: 256
	Logger      *slog.Logger

	// Manual leaves sealing and compaction to calls of Reclaim.
	Manual bool
}

const maxSegment = 1 << 30

func (c *Config) fill() error {
	const op = "site.Open"
	if c.ID == "" || len(c.ID) > maxSiteID {
		return qsc.E(op, qsc.Invalid, string(c.ID), "the site's name must be 1 to %d bytes", maxSiteID)
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = 256 << 20
	}
	if c.SegmentSize < 4<<10 || c.SegmentSize > maxSegment {
		return qsc.E(op, qsc.Invalid, string(c.ID), "segment size %d is not in 4 KiB..1 GiB", c.SegmentSize)
	}
	if c.MinFree == 0 {
		c.MinFree = 64 << 20
	}
	c.MinFree = max(c.MinFree, 0)
	if c.MaxWriters <= 0 {
		c.MaxWriters = 256
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.FS != nil {
		return nil
	}
	var err error
	c.FS, err = durable.Dir(c.Dir)
	return err
}

// Site keeps shares in segment files.
type Site struct {
	id  qsc.SiteID
	cfg Config
	fs  durable.FS
	log *slog.Logger

	mu        sync.RWMutex
	closed    bool
	idx       index
	segs      map[uint32]*segment
	active    *segment // that takes records; nil: the next record makes one
	nextSeg   uint32
	clock     uint64 // last generation or sequence number given out
	writers   int
	unchecked int64 // bytes that may be written before the next look at free space

	queueMu  sync.Mutex
	queue    []*request
	commitMu sync.Mutex
	owed     []*kill // kills that a failed disk did not take; guarded by commitMu

	reclaimMu sync.Mutex
	work      chan struct{}
	bg        sync.WaitGroup
	stop      context.CancelFunc
}

// ID implements cloud.Site.
func (s *Site) ID() qsc.SiteID { return s.id }

// kick asks for a look at what can be reclaimed.
func (s *Site) kick() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

func (s *Site) background(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.work:
			if err := s.Reclaim(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("reclaiming space failed", "site", s.id, "err", err)
			}
		}
	}
}

// Close waits for commits and compaction under way, then ends the site's use.
// Open writers and readers fail from then on.
func (s *Site) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.bg.Wait()
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	s.reclaimMu.Lock()
	defer s.reclaimMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeFiles()
}

func (s *Site) closeFiles() error {
	var errs []error
	for _, g := range s.segs {
		errs = append(errs, g.file.Close())
	}
	return errors.Join(append(errs, s.fs.Close())...)
}

func (s *Site) errClosed() error {
	return qsc.E("site", qsc.Unreachable, string(s.id), "the site is closed")
}

// fail names the site and the operation, and keeps the kind.
func (s *Site) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return qsc.E(op, qsc.KindOf(err), string(s.id), "%w", err)
}

func (s *Site) ctxErr(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return qsc.E(op, qsc.Timeout, string(s.id), "%w", err)
	}
	return nil
}

// Stat implements cloud.Site. Corrupt if the commit record is damaged.
func (s *Site) Stat(ctx context.Context, ref cloud.Ref) (cloud.ShareInfo, error) {
	const op = "site.Stat"
	if err := s.ctxErr(ctx, op); err != nil {
		return cloud.ShareInfo{}, err
	}
	return s.describe(op, ref)
}

// List implements cloud.Site. Where the metadata piece is damaged its Meta is nil.
func (s *Site) List(ctx context.Context, after cloud.Ref, limit int) ([]cloud.ShareInfo, error) {
	const op = "site.List"
	if err := s.ctxErr(ctx, op); err != nil {
		return nil, err
	}
	limit, err := cloud.Page(op, limit)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	shares, closed := s.idx.after(after, limit), s.closed
	s.mu.RUnlock()
	if closed {
		return nil, s.errClosed()
	}
	list := make([]cloud.ShareInfo, 0, len(shares))
	for _, sh := range shares {
		info, err := s.describe(op, sh.ref)
		switch {
		case qsc.IsKind(err, qsc.NotFound):
			continue // deleted meanwhile
		case qsc.IsKind(err, qsc.Corrupt):
			s.log.Error("a commit record is damaged", "site", s.id, "object", info.Ref.Object, "err", err)
		case err != nil:
			return nil, err
		}
		list = append(list, info)
	}
	return list, nil
}

// describe reads a share's metadata from its commit record.
func (s *Site) describe(op string, ref cloud.Ref) (cloud.ShareInfo, error) {
	s.mu.Lock()
	sh, err := s.visible(op, ref)
	if err != nil {
		s.mu.Unlock()
		return cloud.ShareInfo{}, err
	}
	g, off := s.segs[sh.seg], sh.off
	g.pins++
	s.mu.Unlock()
	defer s.unpin(g)
	info := cloud.ShareInfo{Ref: sh.ref, Chunks: sh.chunks, Bytes: sh.bytes}
	c := sh.control()
	b := make([]byte, recHeader+c.size())
	_, err = g.file.ReadAt(b, int64(off))
	if err == nil {
		info.Meta, err = checkCommit(b, g.salt, off, sh)
	}
	if err != nil {
		return info, qsc.E(op, qsc.Corrupt, string(s.id), "the commit record of the share cannot be read, let it be repaired: %w", err)
	}
	return info, nil
}

// visible returns a share of an open site. The caller holds mu.
func (s *Site) visible(op string, ref cloud.Ref) (*share, error) {
	if s.closed {
		return nil, s.errClosed()
	}
	if sh := s.idx.get(ref); sh != nil {
		return sh, nil
	}
	return nil, qsc.E(op, qsc.NotFound, string(s.id), "this site keeps no such share")
}

var errDamaged = errors.New("checksum or header is wrong")

// checkCommit returns the metadata of a commit record that is the share's own.
func checkCommit(b []byte, salt uint64, off uint32, sh *share) ([]byte, error) {
	h, ok := parseHeader(b, salt, off)
	if !ok || h.typ != recCommit || int(h.size) != len(b)-recHeader || h.sum != crc(b[recHeader:]) {
		return nil, errDamaged
	}
	c, meta, ok := parseRecord(recCommit, b[recHeader:])
	if !ok || c != sh.control() {
		return nil, errDamaged
	}
	return meta, nil
}

func (s *Site) unpin(segs ...*segment) {
	s.mu.Lock()
	for _, g := range segs {
		g.pins--
		if g.pins == 0 && g.live*2 < g.size {
			s.kick()
		}
	}
	s.mu.Unlock()
}

// Status implements cloud.Site.
func (s *Site) Status(ctx context.Context) (cloud.SiteStatus, error) {
	const op = "site.Status"
	if err := s.ctxErr(ctx, op); err != nil {
		return cloud.SiteStatus{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return cloud.SiteStatus{}, s.errClosed()
	}
	free, err := s.fs.Free()
	if err != nil {
		return cloud.SiteStatus{}, s.fail(op, err)
	}
	st := cloud.SiteStatus{Shares: s.idx.shares, Live: s.idx.bytes, Free: max(0, free-s.cfg.MinFree)}
	for _, g := range s.segs {
		st.Disk += g.size
	}
	return st, nil
}
