package vault

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/chunk"
)

// getting is one Get or repair under way: it yields the checked pieces of chunk
// after chunk from the k cheapest live sites and moves on when one fails.
type getting struct {
	v      *Vault
	rec    cloud.Record
	opener *chunk.Opener
	last   uint32 // the chunk behind the last one wanted
	active []*fetching
	spare  []cloud.Placement  // the cheapest first
	again  []cloud.Placement  // failed once, perhaps for the moment: tried again when no other is left
	failed map[qsc.SiteID]int // how often
	faults []cloud.Fault
	masks  []byte // of the chunks from maskAt on
	maskAt uint32
	noMask bool // the catalogue has lost the masks: they come from the pieces
}

// Get implements cloud.Vault.
func (v *Vault) Get(ctx context.Context, name string, w io.Writer, opt cloud.GetOptions) (cloud.Report, error) {
	rec, err := v.cfg.Catalog.Lookup(ctx, name)
	if err != nil {
		return cloud.Report{}, err
	}
	from, to, err := span(&rec, opt)
	if err != nil {
		return cloud.Report{Record: rec}, err
	}
	g := v.newGetting(rec, from, to)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := g.payable(to - from); err != nil {
		return g.report(), err
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	if opt.Progress != nil {
		wg.Go(func() { v.watch(ctx, g.siteIDs(), done.Load, opt.Progress) })
	}
	err = g.write(ctx, w, from, to, &done)
	cancel()
	wg.Wait()
	g.close()
	g.settle()
	return g.report(), err
}

// span turns the options into byte positions of the object.
func span(rec *cloud.Record, opt cloud.GetOptions) (from, to int64, err error) {
	if opt.Offset < 0 || opt.Offset > rec.Size {
		return 0, 0, qsc.E("vault.Get", qsc.Invalid, "", "offset %d lies outside the object's %d bytes", opt.Offset, rec.Size)
	}
	to = rec.Size
	if opt.Length >= 0 {
		to = min(to, opt.Offset+min(opt.Length, rec.Size))
	}
	return opt.Offset, to, nil
}

func (v *Vault) newGetting(rec cloud.Record, from, to int64) *getting {
	g := &getting{v: v, rec: rec, opener: chunk.NewOpener(&rec), maskAt: 1<<32 - 1, failed: map[qsc.SiteID]int{}}
	if to > from {
		g.last = uint32((to-1)/rec.Chunk) + 1
	}
	g.spare = v.readable(&rec)
	return g
}

// readable lists the durable placements whose site is known here, the cheapest
// first.
func (v *Vault) readable(rec *cloud.Record) []cloud.Placement {
	var ids []qsc.SiteID
	at := map[qsc.SiteID]cloud.Placement{}
	for _, p := range rec.Placements {
		if p.State == cloud.Durable {
			ids = append(ids, p.Site)
			at[p.Site] = p
		}
	}
	var all []cloud.Placement
	for _, id := range v.byBudget(ids, func(b Budget) int64 { return b.Recv }) {
		all = append(all, at[id])
	}
	return all
}

// payable refuses a get that cannot end for want of key.
func (g *getting) payable(size int64) error {
	able := 0
	var poor []string
	need := size + size/overheadPart
	for _, p := range g.spare {
		if b := g.v.sites[p.Site].Budget(); b.Local || !b.Finite || b.Recv >= need {
			able++
		} else {
			poor = append(poor, string(b.Link))
		}
	}
	if able < min(g.rec.K, len(g.spare)) {
		return qsc.E("vault.Get", qsc.Exhausted, "", "only %d of the ways to the shares have the %d bytes of pad that this needs, %d must: provision (qsc link provision) %s", able, need, g.rec.K, strings.Join(poor, ", "))
	}
	return nil
}

func (g *getting) write(ctx context.Context, w io.Writer, from, to int64, done *atomic.Int64) error {
	if from == to {
		return nil
	}
	buf := make([]byte, g.rec.Chunk)
	defer clear(buf)
	for c := uint32(from / g.rec.Chunk); c < g.last; c++ {
		secret := buf[:g.opener.Length(c)]
		if err := g.secret(ctx, c, secret); err != nil {
			return err
		}
		start := int64(c) * g.rec.Chunk
		part := secret[max(0, from-start):min(int64(len(secret)), to-start)]
		if _, err := w.Write(part); err != nil {
			return qsc.E("vault.Get", qsc.Timeout, "", "the receiver went away: %w", err)
		}
		done.Add(int64(len(part)))
	}
	return nil
}

// secret fetches, checks and combines one chunk.
func (g *getting) secret(ctx context.Context, c uint32, dst []byte) error {
	got, _, err := g.pieces(ctx, c)
	if err != nil {
		return err
	}
	defer g.recycle(got)
	return g.opener.Secret(dst, bytesOf(got))
}

// pieces returns k checked pieces of chunk c and the chunk's masks.
func (g *getting) pieces(ctx context.Context, c uint32) ([]*fetched, []byte, error) {
	masks, err := g.maskOf(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	got, err := g.gather(ctx, c, g.rec.K, func(f *fetched) error {
		if masks == nil {
			return nil // checked below, all together
		}
		return g.opener.Check(c, f.from.pl.Point, f.piece, masks)
	})
	if err != nil || masks != nil {
		return got, masks, err
	}
	return g.agree(ctx, c, got)
}

// gather takes chunk c from sites until want of them have given a piece that
// check accepts.
func (g *getting) gather(ctx context.Context, c uint32, want int, check func(*fetched) error) ([]*fetched, error) {
	var got []*fetched
	for i := 0; len(got) < want; {
		if i == len(g.active) && !g.recruit(ctx, c) {
			return nil, g.tooFew(c)
		}
		f := g.active[i].next(ctx, g.v)
		if f.err == nil {
			f.err = check(f)
		}
		if ctx.Err() != nil {
			return nil, qsc.E("vault.Get", qsc.Timeout, "", "given up: %w", context.Cause(ctx))
		}
		if f.err != nil {
			g.drop(i, c, f.err)
			continue
		}
		got = append(got, f)
		i++
	}
	return got, nil
}

// recruit begins fetching from the next spare site, from chunk c on.
func (g *getting) recruit(ctx context.Context, c uint32) bool {
	if len(g.spare) == 0 {
		g.spare, g.again = g.again, nil
	}
	if len(g.spare) == 0 {
		return false
	}
	// As many at once as are still needed, so that their first pieces come
	// side by side.
	for len(g.active) < g.rec.K && len(g.spare) > 0 {
		g.active = append(g.active, g.v.fetch(ctx, &g.rec, g.spare[0], c, g.last))
		g.spare = g.spare[1:]
	}
	return true
}

// drop sets a site aside and notes why.
func (g *getting) drop(i int, c uint32, err error) {
	f := g.active[i]
	f.close()
	g.active = slices.Delete(g.active, i, i+1)
	g.fault(f.pl.Site, c, err)
	if g.failed[f.pl.Site]++; g.failed[f.pl.Site] == 1 && passing(err) {
		g.again = append(g.again, f.pl)
	}
}

// passing reports whether a failure may be over in a moment: the link was cut, or
// its ends had to agree on their key anew.
func passing(err error) bool {
	switch qsc.KindOf(err) {
	case qsc.Unreachable, qsc.Exhausted, qsc.Conflict:
		return true
	}
	return false
}

func (g *getting) fault(site qsc.SiteID, c uint32, err error) {
	f := cloud.Fault{Site: site, Kind: qsc.KindOf(err), Chunk: int64(c), Err: err}
	g.faults = append(g.faults, f)
	g.v.report(f, g.rec.Ref)
}

// tooFew says why no k sites could serve a chunk, each with its own reason.
func (g *getting) tooFew(c uint32) error {
	kind := qsc.Insufficient
	var errs []error
	for _, f := range g.faults {
		errs = append(errs, siteError(f.Site, f.Err))
		if f.Kind == qsc.Tampered || f.Kind == qsc.Corrupt {
			kind = qsc.Tampered
		}
	}
	for _, p := range g.rec.Placements {
		if p.State != cloud.Durable {
			errs = append(errs, qsc.E("site", qsc.Other, string(p.Site), "its share is %s", p.State))
		}
	}
	return qsc.E("vault.Get", kind, "", "chunk %d: %d good shares can be reached, %d are needed: bring a site back and try again: %w", c, len(g.active), g.rec.K, errors.Join(errs...))
}

// maskOf returns the masks of chunk c from the catalogue, nil when it has none.
func (g *getting) maskOf(ctx context.Context, c uint32) ([]byte, error) {
	if g.noMask {
		return nil, nil
	}
	size := uint32(16 * g.rec.N)
	if at := c - g.maskAt; c >= g.maskAt && at < uint32(len(g.masks))/size {
		return g.masks[at*size:][:size], nil
	}
	n := uint32(1)
	if c != cloud.MetaChunk {
		n = min(maskRun, g.last-c)
	}
	masks, err := g.v.cfg.Catalog.Masks(ctx, g.rec.Ref, c, n)
	if qsc.IsKind(err, qsc.NotFound) {
		g.noMask = true
		return nil, nil
	}
	g.masks, g.maskAt = masks, c
	if err != nil {
		return nil, err
	}
	return masks[:size], nil
}

func (g *getting) close() {
	for _, f := range g.active {
		f.close()
	}
}

// settle writes damaged shares into the catalogue, for repair.
func (g *getting) settle() {
	bad := map[qsc.SiteID]bool{}
	for _, f := range g.faults {
		if f.Kind == qsc.Tampered || f.Kind == qsc.Corrupt || f.Kind == qsc.NotFound {
			bad[f.Site] = true
		}
	}
	if len(bad) == 0 {
		return
	}
	err := g.v.cfg.Catalog.Update(context.Background(), g.rec.Ref, func(r *cloud.Record) error {
		for i := range r.Placements {
			if p := &r.Placements[i]; bad[p.Site] && p.State == cloud.Durable {
				p.State = cloud.Damaged
			}
		}
		return nil
	})
	if err != nil {
		g.v.cfg.Logger.Warn("a damaged share could not be noted", "err", err)
		return
	}
	g.v.Kick()
}

func (g *getting) siteIDs() []qsc.SiteID {
	var ids []qsc.SiteID
	for _, p := range g.rec.Placements {
		if _, ok := g.v.sites[p.Site]; ok {
			ids = append(ids, p.Site)
		}
	}
	return ids
}

func (g *getting) report() cloud.Report {
	rep := cloud.Report{Record: g.rec, Faults: g.faults}
	for _, f := range g.active {
		rep.Sites = append(rep.Sites, f.pl.Site)
	}
	return rep
}
