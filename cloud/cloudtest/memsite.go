package cloudtest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// MemSite is a cloud.Site in memory that can be told to fail, to damage what it
// keeps and to lie.
type MemSite struct {
	id   qsc.SiteID
	mu   sync.Mutex
	all  map[cloud.Ref]*memShare
	hook func(op string, ref cloud.Ref, chunk uint32) error
	lie  func(ref cloud.Ref, chunk uint32, piece []byte) []byte
}

type memShare struct {
	pieces  [][]byte
	meta    []byte
	bytes   int64
	corrupt map[uint32]bool
}

// NewMemSite returns an empty site.
func NewMemSite(id qsc.SiteID) *MemSite { return &MemSite{id: id, all: map[cloud.Ref]*memShare{}} }

// Fail sets a function that is asked before every step; what it returns, if
// not nil, is the step's error. The ops are Create, Write (with the chunk),
// Commit, Open, Next (with the chunk), Stat, List, Delete and Status. nil: none.
func (s *MemSite) Fail(hook func(op string, ref cloud.Ref, chunk uint32) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Lie sets a function that may put other bytes in the place of a piece that is
// read; chunk is cloud.MetaChunk for the metadata. It must not change the
// piece it is given. nil: the truth.
func (s *MemSite) Lie(fn func(ref cloud.Ref, chunk uint32, piece []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = fn
}

// Corrupt makes a stored piece one that the site itself knows to be damaged.
// It reports whether there is such a piece.
func (s *MemSite) Corrupt(ref cloud.Ref, chunk uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.all[ref]
	if sh == nil || int(chunk) >= len(sh.pieces) {
		return false
	}
	sh.corrupt[chunk] = true
	return true
}

// enter asks the hook and takes the lock.
func (s *MemSite) enter(ctx context.Context, op string, ref cloud.Ref, chunk uint32) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, qsc.E("mem."+op, qsc.Timeout, string(s.id), "%w", err)
	}
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		if err := hook(op, ref, chunk); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// ID implements cloud.Site.
func (s *MemSite) ID() qsc.SiteID { return s.id }

// Create implements cloud.Site.
func (s *MemSite) Create(ctx context.Context, ref cloud.Ref) (cloud.PieceWriter, error) {
	leave, err := s.enter(ctx, "Create", ref, 0)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := ref.Check("mem.Create"); err != nil {
		return nil, err
	}
	return &memWriter{s: s, ctx: ctx, ref: ref}, nil
}

type memWriter struct {
	s    *MemSite
	ctx  context.Context
	ref  cloud.Ref
	sh   memShare
	over bool
}

func (w *memWriter) enter(op string) (leave func(), err error) {
	leave, err = w.s.enter(w.ctx, op, w.ref, uint32(len(w.sh.pieces)))
	if err == nil && w.over {
		leave()
		err = qsc.E("mem."+op, qsc.Invalid, string(w.s.id), "the share was committed or aborted already")
	}
	return leave, err
}

func (w *memWriter) Write(piece []byte) error {
	leave, err := w.enter("Write")
	if err != nil {
		return err
	}
	defer leave()
	if err := cloud.CheckPiece("mem.Write", piece); err != nil {
		return err
	}
	w.sh.pieces = append(w.sh.pieces, bytes.Clone(piece))
	w.sh.bytes += int64(len(piece))
	return nil
}

func (w *memWriter) Commit(meta []byte) error {
	leave, err := w.enter("Commit")
	if err != nil {
		return err
	}
	defer leave()
	if err := cloud.CheckMeta("mem.Commit", meta); err != nil {
		return err
	}
	w.over = true
	sh := w.sh
	sh.meta, sh.corrupt = bytes.Clone(meta), map[uint32]bool{}
	sh.bytes += int64(len(meta))
	w.s.all[w.ref] = &sh
	return nil
}

func (w *memWriter) Abort() error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.over = true
	return nil
}

func (s *MemSite) share(op string, ref cloud.Ref) (*memShare, error) {
	if sh := s.all[ref]; sh != nil {
		return sh, nil
	}
	return nil, qsc.E(op, qsc.NotFound, string(s.id), "this site keeps no such share")
}

// Open implements cloud.Site.
func (s *MemSite) Open(ctx context.Context, ref cloud.Ref, first, count uint32) (cloud.PieceReader, error) {
	leave, err := s.enter(ctx, "Open", ref, first)
	if err != nil {
		return nil, err
	}
	defer leave()
	sh, err := s.share("mem.Open", ref)
	if err != nil {
		return nil, err
	}
	end := uint64(first) + uint64(count)
	if end > uint64(len(sh.pieces)) {
		return nil, qsc.E("mem.Open", qsc.Invalid, string(s.id), "pieces %d+%d: the share has %d", first, count, len(sh.pieces))
	}
	return &memReader{s, ctx, ref, sh, uint64(first), end}, nil
}

type memReader struct {
	s         *MemSite
	ctx       context.Context
	ref       cloud.Ref
	sh        *memShare
	next, end uint64
}

func (r *memReader) Next() ([]byte, error) {
	if r.next >= r.end {
		return nil, io.EOF
	}
	chunk := uint32(r.next)
	leave, err := r.s.enter(r.ctx, "Next", r.ref, chunk)
	if err != nil {
		return nil, err
	}
	defer leave()
	r.next++
	if r.sh.corrupt[chunk] {
		return nil, qsc.E("mem.Next", qsc.Corrupt, string(r.s.id), "piece %d is damaged", chunk)
	}
	return r.s.told(r.ref, chunk, r.sh.pieces[chunk]), nil
}

func (r *memReader) Close() error { return nil }

// told is the piece as the site tells it, in memory of the caller's.
func (s *MemSite) told(ref cloud.Ref, chunk uint32, piece []byte) []byte {
	if s.lie != nil {
		piece = s.lie(ref, chunk, piece)
	}
	return bytes.Clone(piece)
}

func (s *MemSite) info(ref cloud.Ref, sh *memShare) cloud.ShareInfo {
	meta := s.told(ref, cloud.MetaChunk, sh.meta)
	return cloud.ShareInfo{Ref: ref, Chunks: uint32(len(sh.pieces)), Bytes: sh.bytes, Meta: meta}
}

// Stat implements cloud.Site.
func (s *MemSite) Stat(ctx context.Context, ref cloud.Ref) (cloud.ShareInfo, error) {
	leave, err := s.enter(ctx, "Stat", ref, 0)
	if err != nil {
		return cloud.ShareInfo{}, err
	}
	defer leave()
	sh, err := s.share("mem.Stat", ref)
	if err != nil {
		return cloud.ShareInfo{}, err
	}
	return s.info(ref, sh), nil
}

// List implements cloud.Site.
func (s *MemSite) List(ctx context.Context, after cloud.Ref, limit int) ([]cloud.ShareInfo, error) {
	leave, err := s.enter(ctx, "List", after, 0)
	if err != nil {
		return nil, err
	}
	defer leave()
	limit, err = cloud.Page("mem.List", limit)
	if err != nil {
		return nil, err
	}
	var list []cloud.ShareInfo
	for ref, sh := range s.all {
		if ref.Owner == after.Owner && follows(ref, after) > 0 {
			list = append(list, s.info(ref, sh))
		}
	}
	slices.SortFunc(list, func(a, b cloud.ShareInfo) int { return follows(a.Ref, b.Ref) })
	return list[:min(limit, len(list))], nil
}

// follows is positive if a comes behind b.
func follows(a, b cloud.Ref) int {
	if d := bytes.Compare(a.Object[:], b.Object[:]); d != 0 {
		return d
	}
	if a.Version < b.Version {
		return -1
	}
	return int(min(a.Version-b.Version, 1))
}

// Delete implements cloud.Site.
func (s *MemSite) Delete(ctx context.Context, ref cloud.Ref) error {
	leave, err := s.enter(ctx, "Delete", ref, 0)
	if err != nil {
		return err
	}
	defer leave()
	delete(s.all, ref)
	return nil
}

// Status implements cloud.Site.
func (s *MemSite) Status(ctx context.Context) (cloud.SiteStatus, error) {
	leave, err := s.enter(ctx, "Status", cloud.Ref{}, 0)
	if err != nil {
		return cloud.SiteStatus{}, err
	}
	defer leave()
	st := cloud.SiteStatus{Shares: int64(len(s.all)), Free: 1 << 40}
	for _, sh := range s.all {
		st.Live += sh.bytes
	}
	st.Disk = st.Live
	return st, nil
}
