package vault

import (
	"context"
	"io"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// fakeSite is a site in memory that can be made to fail in every way a site can.
type fakeSite struct {
	id qsc.SiteID

	mu      sync.Mutex
	shares  map[cloud.Ref]*fakeShare
	down    bool
	full    int // pieces after which the disk is full; 0: never
	dieAt   int // pieces served after which it goes down; 0: never
	served  int
	twist   func(chunk int, piece []byte) // applied to what is served
	lostAck bool                          // commits, then says it is unreachable
	hang    bool                          // takes no piece until the caller gives up
}

type fakeShare struct {
	pieces [][]byte
	meta   []byte
}

func newFakeSite(id qsc.SiteID) *fakeSite {
	return &fakeSite{id: id, shares: map[cloud.Ref]*fakeShare{}}
}

func (s *fakeSite) ID() qsc.SiteID { return s.id }

func (s *fakeSite) enter() (func(), error) {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return nil, qsc.E("fake", qsc.Unreachable, string(s.id), "down")
	}
	return s.mu.Unlock, nil
}

func (s *fakeSite) set(fn func(*fakeSite)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s)
}

func (s *fakeSite) Create(ctx context.Context, ref cloud.Ref) (cloud.PieceWriter, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return &fakeWriter{ctx, s, ref, &fakeShare{}}, nil
}

type fakeWriter struct {
	ctx   context.Context
	s     *fakeSite
	ref   cloud.Ref
	share *fakeShare
}

func (w *fakeWriter) Write(p []byte) error {
	leave, err := w.s.enter()
	if err != nil {
		return err
	}
	if w.s.hang {
		leave()
		<-w.ctx.Done()
		return context.Cause(w.ctx)
	}
	defer leave()
	if w.s.full > 0 && len(w.share.pieces) >= w.s.full {
		return qsc.E("fake", qsc.NoSpace, string(w.s.id), "full")
	}
	w.share.pieces = append(w.share.pieces, append([]byte(nil), p...))
	return nil
}

func (w *fakeWriter) Commit(meta []byte) error {
	leave, err := w.s.enter()
	if err != nil {
		return err
	}
	defer leave()
	w.share.meta = append([]byte(nil), meta...)
	w.s.shares[w.ref] = w.share
	if w.s.lostAck {
		return qsc.E("fake", qsc.Unreachable, string(w.s.id), "the answer was lost")
	}
	return nil
}

func (w *fakeWriter) Abort() error { return nil }

func (s *fakeSite) Open(_ context.Context, ref cloud.Ref, first, count uint32) (cloud.PieceReader, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	sh := s.shares[ref]
	if sh == nil {
		return nil, qsc.E("fake", qsc.NotFound, string(s.id), "no such share")
	}
	return &fakeReader{s, sh, int(first), int(first + count)}, nil
}

type fakeReader struct {
	s        *fakeSite
	share    *fakeShare
	at, last int
}

func (r *fakeReader) Next() ([]byte, error) {
	leave, err := r.s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if r.at == r.last {
		return nil, io.EOF
	}
	if r.s.served++; r.s.dieAt > 0 && r.s.served > r.s.dieAt {
		r.s.down = true
		return nil, qsc.E("fake", qsc.Unreachable, string(r.s.id), "died")
	}
	p := append([]byte(nil), r.share.pieces[r.at]...)
	if r.s.twist != nil {
		r.s.twist(r.at, p)
	}
	r.at++
	return p, nil
}

func (r *fakeReader) Close() error { return nil }

func (s *fakeSite) Stat(_ context.Context, ref cloud.Ref) (cloud.ShareInfo, error) {
	leave, err := s.enter()
	if err != nil {
		return cloud.ShareInfo{}, err
	}
	defer leave()
	sh := s.shares[ref]
	if sh == nil {
		return cloud.ShareInfo{}, qsc.E("fake", qsc.NotFound, string(s.id), "no such share")
	}
	return cloud.ShareInfo{Ref: ref, Chunks: uint32(len(sh.pieces)), Meta: sh.meta}, nil
}

func (s *fakeSite) List(_ context.Context, after cloud.Ref, _ int) ([]cloud.ShareInfo, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if after.Object != (qsc.ObjectID{}) {
		return nil, nil
	}
	var all []cloud.ShareInfo
	for ref, sh := range s.shares {
		all = append(all, cloud.ShareInfo{Ref: ref, Chunks: uint32(len(sh.pieces)), Meta: sh.meta})
	}
	return all, nil
}

func (s *fakeSite) Delete(_ context.Context, ref cloud.Ref) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	delete(s.shares, ref)
	return nil
}

func (s *fakeSite) Status(context.Context) (cloud.SiteStatus, error) {
	leave, err := s.enter()
	if err != nil {
		return cloud.SiteStatus{}, err
	}
	defer leave()
	return cloud.SiteStatus{Shares: int64(len(s.shares))}, nil
}
