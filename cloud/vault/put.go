package vault

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/chunk"
)

const (
	depth   = 4   // sealed chunks on their way to each site
	maskRun = 256 // chunks whose masks make one row of the catalogue
	// overhead is what frames, pads and pieces add to a share, at most, in
	// parts of its size; plus a fixed amount.
	overheadPart  = 100
	overheadFixed = 64 << 10
)

// putting is one Put under way.
type putting struct {
	v      *Vault
	rec    cloud.Record
	policy *Policy
	sealer *chunk.Sealer
	sends  []*sending
	masks  []byte // of the current run
	run    uint32 // its first chunk
	chunks uint32
	done   atomic.Int64
	pool   sync.Pool
}

// sending is one site's part in a Put.
type sending struct {
	site  cloud.Site
	queue chan *batch
	rank  int // of the point
	dead  atomic.Bool
	err   error // set before dead
	w     cloud.PieceWriter
	give  context.CancelCauseFunc // ends this site's part
	since atomic.Int64            // when the call now under way began, in ns of a clock; 0: none
}

// batch is one chunk's pieces; it is recycled when every site has let go of it.
type batch struct {
	pieces [][]byte
	refs   atomic.Int32
}

// Put implements cloud.Vault.
func (v *Vault) Put(ctx context.Context, name string, r io.Reader, opt cloud.PutOptions) (cloud.Report, error) {
	p, err := v.beginPut(ctx, name, opt)
	if err != nil {
		return cloud.Report{}, err
	}
	defer v.unclaim(p.rec.Ref)
	defer p.sealer.Zeroise()
	if opt.Progress != nil {
		wctx, stop := context.WithCancel(ctx)
		defer stop()
		var wg sync.WaitGroup
		wg.Go(func() { v.watch(wctx, p.siteIDs(), p.done.Load, opt.Progress) })
		defer wg.Wait()
		defer stop()
	}
	if err := p.transfer(ctx, r); err != nil {
		p.undo()
		return p.report(), err
	}
	return p.report(), nil
}

// beginPut checks everything that can be known before a byte is read, and notes
// the object as pending, durably, so that a crash leaves nothing behind.
func (v *Vault) beginPut(ctx context.Context, name string, opt cloud.PutOptions) (*putting, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	pol, err := v.policy(opt.Policy)
	if err != nil {
		return nil, err
	}
	p := &putting{v: v, policy: pol}
	p.rec = cloud.Record{
		Ref:  cloud.Ref{Owner: v.cfg.Owner, Object: qsc.ObjectID(uuid.New()), Version: 1},
		Name: name, Size: -1, Chunk: pol.Chunk, K: pol.K, N: pol.N, W: pol.W,
		Policy: pol.ID, Created: time.Now().UTC().Truncate(time.Microsecond), Class: pol.Source.Class(),
	}
	if err := p.checkExisting(ctx, opt); err != nil {
		return nil, err
	}
	if err := p.place(opt.Size); err != nil {
		return nil, err
	}
	if p.sealer, err = chunk.NewSealer(&p.rec, pol.Source); err != nil {
		return nil, err
	}
	v.claim(p.rec.Ref)
	if err := v.cfg.Catalog.Insert(ctx, p.rec); err != nil {
		v.unclaim(p.rec.Ref)
		return nil, err
	}
	return p, nil
}

func (p *putting) checkExisting(ctx context.Context, opt cloud.PutOptions) error {
	old, err := p.v.cfg.Catalog.Lookup(ctx, p.rec.Name)
	switch {
	case qsc.IsKind(err, qsc.NotFound):
		return nil
	case err != nil:
		return err
	case !opt.Replace:
		return qsc.E("vault.Put", qsc.Exists, "", "an object of this name is stored already: choose another name, remove it, or replace it")
	}
	p.rec.Ref.Object, p.rec.Ref.Version = old.Ref.Object, old.Ref.Version+1
	return nil
}

// place picks n sites, those with the most pad left first, and draws their hash
// keys. A put that cannot end for want of key is refused here.
func (p *putting) place(size int64) error {
	sites := p.v.byBudget(p.policy.Sites, func(b Budget) int64 { return b.Send })
	if len(sites) < p.rec.N {
		return qsc.E("vault.Put", qsc.Insufficient, "", "policy %s needs %d sites, %d are known here", p.policy.ID, p.rec.N, len(sites))
	}
	sites = sites[:p.rec.N]
	for i, id := range sites {
		b := p.v.sites[id].Budget()
		need := size + size/overheadPart + overheadFixed
		if size >= 0 && !b.Local && b.Finite && b.Send < need {
			return qsc.E("vault.Put", qsc.Exhausted, string(id), "the way to this site has %d bytes of pad left and makes none, %d are needed: run \"qsc link provision %s\"", b.Send, need, b.Link)
		}
		key := make([]byte, cloud.HashKeySize)
		if err := p.policy.Source.Fill(key); err != nil {
			return err
		}
		p.rec.Class |= b.Class
		p.rec.Placements = append(p.rec.Placements, cloud.Placement{Site: id, Point: byte(i + 1), HashKey: qsc.NewSecret(key)})
	}
	return nil
}

// byBudget sorts known sites by falling key left; local ones cost none.
func (v *Vault) byBudget(ids []qsc.SiteID, left func(Budget) int64) []qsc.SiteID {
	var known []qsc.SiteID
	rank := map[qsc.SiteID]int64{}
	for _, id := range ids {
		if c, ok := v.sites[id]; ok {
			known = append(known, id)
			b := c.Budget()
			rank[id] = left(b)
			if b.Local {
				rank[id] = 1<<63 - 1
			}
		}
	}
	slices.SortStableFunc(known, func(a, b qsc.SiteID) int { return cmp.Compare(rank[b], rank[a]) })
	return known
}

// transfer moves the whole file and commits it.
func (p *putting) transfer(ctx context.Context, r io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.open(ctx)
	wctx, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { p.watchSites(wctx) })
	defer watch.Wait()
	defer stop()
	var wg sync.WaitGroup
	for _, s := range p.sends {
		wg.Go(func() { s.run(p) })
	}
	err := p.quorum()
	if err == nil {
		err = p.split(ctx, r)
	}
	for _, s := range p.sends {
		close(s.queue)
	}
	if err != nil {
		cancel(err)
	}
	wg.Wait()
	if err == nil {
		err = p.quorum()
	}
	if err != nil {
		p.abort()
		return err
	}
	return p.commit(ctx)
}

// open begins the share at every site at once; a site that does not answer is
// out.
func (p *putting) open(ctx context.Context) {
	var wg sync.WaitGroup
	for i, pl := range p.rec.Placements {
		s := &sending{site: p.v.sites[pl.Site].Site, queue: make(chan *batch, depth), rank: i}
		sctx, give := context.WithCancelCause(ctx)
		s.give = give
		p.sends = append(p.sends, s)
		wg.Go(func() {
			s.call(func() (err error) { s.w, err = s.site.Create(sctx, p.rec.Ref); return err })
		})
	}
	wg.Wait()
}

// call does one thing at the site, watched by watchSites.
func (s *sending) call(fn func() error) {
	s.since.Store(int64(time.Since(started)) + 1)
	err := fn()
	s.since.Store(0)
	if err != nil {
		s.fail(err)
	}
}

// started is the beginning of a clock that no one sets.
var started = time.Now()

// watchSites gives up sites that stand still though they have key, so that one
// that hangs holds up nobody.
func (p *putting) watchSites(ctx context.Context) {
	t := time.NewTicker(stallTime / 10)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, s := range p.sends {
			since := s.since.Load()
			if since == 0 || time.Since(started)-time.Duration(since) < stallTime {
				continue
			}
			if p.v.sites[s.site.ID()].Budget().Stall == "" {
				s.give(qsc.E("vault.Put", qsc.Unreachable, string(s.site.ID()), "the site has taken nothing for %v", stallTime))
			}
		}
	}
}

func (s *sending) fail(err error) {
	s.err = err
	s.dead.Store(true)
}

// run sends pieces in order. A dead site's pieces are dropped, so that it holds
// up nobody.
func (s *sending) run(p *putting) {
	for b := range s.queue {
		if !s.dead.Load() {
			s.call(func() error { return s.w.Write(b.pieces[s.rank]) })
		}
		p.letGo(b)
	}
}

// quorum fails when fewer than w sites are alive.
func (p *putting) quorum() error {
	alive := 0
	var errs []error
	for _, s := range p.sends {
		if s.dead.Load() {
			errs = append(errs, siteError(s.site.ID(), s.err))
			continue
		}
		alive++
	}
	if alive >= p.rec.W {
		return nil
	}
	return qsc.E("vault.Put", quorumKind(errs), "", "%d of the %d sites take part, the policy's write quorum is %d: %w", alive, p.rec.N, p.rec.W, errors.Join(errs...))
}

// quorumKind keeps a cause that all failures share.
func quorumKind(errs []error) qsc.Kind {
	kind := qsc.KindOf(errs[0])
	for _, e := range errs {
		if qsc.KindOf(e) != kind {
			return qsc.Insufficient
		}
	}
	if kind == qsc.Unreachable || kind == qsc.Other {
		return qsc.Insufficient
	}
	return kind
}

func siteError(id qsc.SiteID, err error) error {
	return &qsc.Error{Op: "site", Node: string(id), Err: err}
}

// split reads the file chunk by chunk, seals each and hands it to the sites.
func (p *putting) split(ctx context.Context, r io.Reader) error {
	secret := make([]byte, p.rec.Chunk)
	defer clear(secret)
	p.rec.Size = 0
	for {
		n, err := io.ReadFull(r, secret)
		if n > 0 {
			if err := p.send(ctx, secret[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return p.flushMasks(ctx)
		case err != nil:
			return qsc.E("vault.Put", qsc.Invalid, "", "the file could not be read to its end: %w", err)
		case context.Cause(ctx) != nil:
			return qsc.E("vault.Put", qsc.Timeout, "", "given up: %w", context.Cause(ctx))
		}
	}
}

func (p *putting) send(ctx context.Context, secret []byte) error {
	if p.chunks == cloud.MaxChunks {
		return qsc.E("vault.Put", qsc.Invalid, "", "the file has more than %d chunks: use larger chunks", uint32(cloud.MaxChunks))
	}
	b := p.batch(p.sealer.PieceSize(len(secret)))
	n := len(p.masks)
	p.masks = append(p.masks, make([]byte, 16*p.rec.N)...)
	if err := p.sealer.Seal(p.chunks, secret, b.pieces, p.masks[n:]); err != nil {
		return err
	}
	b.refs.Store(int32(len(p.sends)))
	for _, s := range p.sends {
		select {
		case s.queue <- b:
		case <-ctx.Done():
			return qsc.E("vault.Put", qsc.Timeout, "", "given up: %w", context.Cause(ctx))
		}
	}
	p.chunks++
	p.rec.Size += int64(len(secret))
	p.done.Store(p.rec.Size)
	if err := p.quorum(); err != nil {
		return err
	}
	if p.chunks-p.run == maskRun {
		return p.flushMasks(ctx)
	}
	return nil
}

func (p *putting) batch(size int) *batch {
	b, _ := p.pool.Get().(*batch)
	if b == nil {
		b = &batch{pieces: make([][]byte, p.rec.N)}
	}
	for i := range b.pieces {
		if cap(b.pieces[i]) < size {
			b.pieces[i] = make([]byte, size)
		}
		b.pieces[i] = b.pieces[i][:size]
	}
	return b
}

func (p *putting) letGo(b *batch) {
	if b.refs.Add(-1) == 0 {
		p.pool.Put(b)
	}
}

func (p *putting) flushMasks(ctx context.Context) error {
	if len(p.masks) == 0 {
		return nil
	}
	err := p.v.cfg.Catalog.PutMasks(ctx, p.rec.Ref, p.run, p.masks)
	clear(p.masks)
	p.masks, p.run = p.masks[:0], p.chunks
	return err
}

// commit makes the shares durable and then, and only then, the object stored.
func (p *putting) commit(ctx context.Context) error {
	masks := make([]byte, 16*p.rec.N)
	metas, err := p.sealer.SealMeta(&p.rec, masks)
	if err == nil {
		err = p.v.cfg.Catalog.PutMasks(ctx, p.rec.Ref, cloud.MetaChunk, masks)
	}
	if err != nil {
		p.abort()
		return err
	}
	sent := time.Now()
	var wg sync.WaitGroup
	for _, s := range p.sends {
		if !s.dead.Load() {
			wg.Go(func() { s.call(func() error { return s.w.Commit(metas[s.rank]) }) })
		}
	}
	if p.v.cfg.Settle != nil {
		err = p.v.cfg.Settle(ctx)
	}
	wg.Wait()
	if err := errors.Join(err, p.quorum()); err != nil {
		return err
	}
	for _, s := range p.sends {
		if !s.dead.Load() {
			p.rec.Placements[s.rank].State = cloud.Durable
		}
	}
	p.v.cfg.Logger.Info("object durable", "object", p.rec.Ref.Object.String(), "bytes", p.rec.Size, "sites", p.rec.Alive(),
		"transfer", sent.Sub(p.rec.Created), "commit", time.Since(sent))
	p.rec.State = cloud.Stored
	err = p.v.cfg.Catalog.Update(ctx, p.rec.Ref, func(r *cloud.Record) error { *r = p.rec; return nil })
	if err == nil && (p.rec.Degraded() || p.rec.Ref.Version > 1) {
		p.v.Kick()
	}
	return err
}

func (p *putting) abort() {
	for _, s := range p.sends {
		s.give(nil)
		if s.w != nil {
			_ = s.w.Abort() // what stays behind is swept with the doomed record
		}
	}
}

// undo dooms the record, so that whatever reached a site is deleted there.
func (p *putting) undo() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := p.v.cfg.Catalog.Update(ctx, p.rec.Ref, func(r *cloud.Record) error {
		r.State, r.Size = cloud.Doomed, max(0, r.Size)
		return nil
	})
	if err != nil {
		p.v.cfg.Logger.Warn("a put that failed is removed at the next start", "object", p.rec.Ref.Object.String(), "err", err)
		return
	}
	p.v.Kick()
}

func (p *putting) siteIDs() []qsc.SiteID {
	var ids []qsc.SiteID
	for _, pl := range p.rec.Placements {
		ids = append(ids, pl.Site)
	}
	return ids
}

func (p *putting) report() cloud.Report {
	rep := cloud.Report{Record: p.rec}
	for _, s := range p.sends {
		if s.dead.Load() {
			f := cloud.Fault{Site: s.site.ID(), Kind: qsc.KindOf(s.err), Chunk: -1, Err: s.err}
			p.v.report(f, p.rec.Ref)
			rep.Faults = append(rep.Faults, f)
			continue
		}
		rep.Sites = append(rep.Sites, s.site.ID())
	}
	return rep
}
