package vault

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/its/share"
)

// patrolEvery is how often what is left to do is looked for; Kick comes sooner.
const patrolEvery = 5 * time.Second

// Kick asks for a patrol now, as when a site has come back.
func (v *Vault) Kick() {
	select {
	case v.kick <- struct{}{}:
	default:
	}
}

// Recover dooms the puts that a crash has cut off. It is called once, before
// anything else.
func (v *Vault) Recover(ctx context.Context) error {
	return v.each(ctx, cloud.Query{States: []cloud.State{cloud.Pending}}, func(r *cloud.Record) error {
		return v.cfg.Catalog.Update(ctx, r.Ref, func(r *cloud.Record) error {
			r.State, r.Size = cloud.Doomed, max(0, r.Size)
			return nil
		})
	})
}

// Run deletes what is doomed and repairs what is degraded, until ctx ends.
func (v *Vault) Run(ctx context.Context) {
	t := time.NewTicker(patrolEvery)
	defer t.Stop()
	for {
		v.patrol(ctx)
		select {
		case <-ctx.Done():
			return
		case <-v.kick:
		case <-t.C:
		}
	}
}

// patrol does what can be done now; the rest waits for the next one.
func (v *Vault) patrol(ctx context.Context) {
	_ = v.each(ctx, cloud.Query{States: []cloud.State{cloud.Doomed}}, func(r *cloud.Record) error {
		if err := v.sweep(ctx, r); err != nil {
			v.cfg.Logger.Debug("sweep waits", "object", r.Ref.Object.String(), "err", err)
		}
		return ctx.Err()
	})
	_ = v.each(ctx, cloud.Query{Degraded: true}, func(r *cloud.Record) error {
		v.repair(ctx, r)
		return ctx.Err()
	})
}

// each calls fn for every record of a query, page by page.
func (v *Vault) each(ctx context.Context, q cloud.Query, fn func(*cloud.Record) error) error {
	for {
		page, err := v.cfg.Catalog.List(ctx, q)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
		q.After, q.Behind = page[len(page)-1].Name, page[len(page)-1].Ref
	}
}

// repair makes the missing and the damaged shares anew, bit for bit, from k good
// ones, at those of their sites that answer.
func (v *Vault) repair(ctx context.Context, rec *cloud.Record) {
	if !v.claim(rec.Ref) {
		return
	}
	defer v.unclaim(rec.Ref)
	for _, p := range rec.Placements {
		c, known := v.sites[p.Site]
		if p.State == cloud.Durable || !known {
			continue
		}
		if _, err := c.Site.Status(ctx); err != nil {
			continue // not back yet
		}
		if err := v.repairShare(ctx, *rec, p, c.Site); err != nil {
			v.cfg.Logger.Warn("repair failed", "object", rec.Ref.Object.String(), "site", string(p.Site), "err", err)
			continue
		}
		v.cfg.Logger.Info("share repaired", "object", rec.Ref.Object.String(), "site", string(p.Site))
	}
}

func (v *Vault) repairShare(ctx context.Context, rec cloud.Record, lost cloud.Placement, site cloud.Site) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := v.newGetting(rec, 0, rec.Size)
	defer g.settle()
	defer g.close()
	w, err := site.Create(ctx, rec.Ref)
	if err != nil {
		return err
	}
	if err := g.refill(ctx, w, lost.Point); err != nil {
		_ = w.Abort()
		return err
	}
	meta, err := g.lostMeta(ctx, lost.Point)
	if err != nil {
		_ = w.Abort()
		return err
	}
	if err := w.Commit(meta); err != nil {
		return err
	}
	return v.cfg.Catalog.Update(ctx, rec.Ref, func(r *cloud.Record) error {
		for i := range r.Placements {
			if r.Placements[i].Point == lost.Point {
				r.Placements[i].State = cloud.Durable
			}
		}
		return nil
	})
}

// refill writes the data pieces at a point.
func (g *getting) refill(ctx context.Context, w cloud.PieceWriter, point byte) error {
	for c := range g.last {
		got, masks, err := g.pieces(ctx, c)
		if err != nil {
			return err
		}
		piece, err := g.opener.Lost(point, bytesOf(got), masks)
		g.recycle(got)
		if err != nil {
			return err
		}
		if err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// lostMeta makes the metadata piece at a point.
func (g *getting) lostMeta(ctx context.Context, point byte) ([]byte, error) {
	g.noMask = false
	masks, err := g.maskOf(ctx, cloud.MetaChunk)
	if err != nil {
		return nil, err
	}
	metas, points := g.metas(ctx)
	if masks == nil {
		return g.agreeMeta(point, metas)
	}
	var good [][]byte
	for i, m := range metas {
		if g.opener.Check(cloud.MetaChunk, points[i], m, masks) == nil {
			good = append(good, m)
		}
	}
	if len(good) < g.rec.K {
		return nil, qsc.E("vault.repair", qsc.Insufficient, "", "%d good metadata pieces, %d are needed", len(good), g.rec.K)
	}
	return g.opener.Lost(point, good[:g.rec.K], masks)
}

// metas asks every durable site for its metadata piece.
func (g *getting) metas(ctx context.Context) (metas [][]byte, points []byte) {
	for _, p := range g.v.readable(&g.rec) {
		info, err := g.v.sites[p.Site].Site.Stat(ctx, g.rec.Ref)
		if err == nil {
			metas, points = append(metas, info.Meta), append(points, p.Point)
		}
	}
	return metas, points
}

// agreeMeta is agree for metadata pieces.
func (g *getting) agreeMeta(point byte, metas [][]byte) (piece []byte, err error) {
	err = qsc.E("vault.repair", qsc.Insufficient, "", "no %d metadata pieces agree", g.rec.K)
	subsets(len(metas), g.rec.K, func(pick []int) bool {
		set := make([][]byte, len(pick))
		for i, j := range pick {
			set[i] = metas[j]
		}
		masks, e := g.opener.Masks(set)
		for _, m := range set {
			if p, bad := share.ParsePiece(m); e == nil && bad == nil {
				e = g.opener.Check(cloud.MetaChunk, p.Header.Point, m, masks)
			}
		}
		if e != nil {
			return true
		}
		piece, err = g.opener.Lost(point, set, masks)
		return false
	})
	return piece, err
}
