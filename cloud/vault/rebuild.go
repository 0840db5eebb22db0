package vault

import (
	"context"
	"slices"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/chunk"
	"github.com/quantum-secure-cloud/qsc/its/share"
)

// found is what the sites hold of one object.
type found struct {
	metas [][]byte
	sites []qsc.SiteID
}

// Rebuild implements cloud.Vault. Objects that the catalogue still has are left
// as they are. The tag masks stay lost: from then on they are taken from the
// pieces themselves.
func (v *Vault) Rebuild(ctx context.Context) (int, error) {
	all, err := v.survey(ctx)
	if err != nil {
		return 0, err
	}
	refs := make([]cloud.Ref, 0, len(all))
	for ref := range all {
		refs = append(refs, ref)
	}
	// Older versions first, so that a newer one dooms them.
	slices.SortFunc(refs, func(a, b cloud.Ref) int {
		if a.Version != b.Version {
			return int(int64(a.Version) - int64(b.Version))
		}
		return strings.Compare(string(a.Object[:]), string(b.Object[:]))
	})
	n := 0
	for _, ref := range refs {
		rec, err := recall(ref, all[ref])
		if err == nil {
			err = v.adopt(ctx, rec)
		}
		switch {
		case err == nil:
			n++
		case qsc.IsKind(err, qsc.Exists):
		case ctx.Err() != nil:
			return n, err
		default:
			v.cfg.Logger.Warn("an object could not be recalled", "object", ref.Object.String(), "err", err)
		}
	}
	v.Kick()
	return n, nil
}

// survey lists the shares of every site that answers.
func (v *Vault) survey(ctx context.Context) (map[cloud.Ref]*found, error) {
	all := map[cloud.Ref]*found{}
	answered := 0
	var last error
	for id, c := range v.sites {
		if err := v.surveySite(ctx, id, c.Site, all); err != nil {
			last = siteError(id, err)
			v.cfg.Logger.Warn("a site does not tell what it holds", "err", last)
			continue
		}
		answered++
	}
	if answered < 2 {
		return nil, qsc.E("vault.Rebuild", qsc.Insufficient, "", "%d sites answer: bring back k of them: %w", answered, last)
	}
	return all, nil
}

func (v *Vault) surveySite(ctx context.Context, id qsc.SiteID, site cloud.Site, all map[cloud.Ref]*found) error {
	after := cloud.Ref{Owner: v.cfg.Owner}
	for {
		page, err := site.List(ctx, after, cloud.MaxList)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, info := range page {
			f := all[info.Ref]
			if f == nil {
				f = &found{}
				all[info.Ref] = f
			}
			f.metas, f.sites = append(f.metas, info.Meta), append(f.sites, id)
		}
		after = page[len(page)-1].Ref
	}
}

// recall makes an object's record from its metadata pieces, trying other sets
// when one was tampered with.
func recall(ref cloud.Ref, f *found) (rec cloud.Record, err error) {
	first, err := share.ParsePiece(f.metas[0])
	if err != nil {
		return rec, err
	}
	k := int(first.Header.K)
	err = qsc.E("vault.Rebuild", qsc.Insufficient, "", "%d sites hold a share, %d are needed", len(f.metas), k)
	tries := 0
	subsets(len(f.metas), k, func(pick []int) bool {
		set := make([][]byte, k)
		for i, j := range pick {
			set[i] = f.metas[j]
		}
		rec, err = chunk.OpenMeta(ref.Owner, set)
		tries++
		return err != nil && tries < maxTries
	})
	if err != nil {
		return rec, err
	}
	for i := range rec.Placements {
		if slices.Contains(f.sites, rec.Placements[i].Site) {
			rec.Placements[i].State = cloud.Durable
		}
	}
	return rec, nil
}

// adopt puts a recalled record into the catalogue.
func (v *Vault) adopt(ctx context.Context, rec cloud.Record) error {
	pending := rec
	pending.State = cloud.Pending
	if err := v.cfg.Catalog.Insert(ctx, pending); err != nil {
		return err
	}
	err := v.cfg.Catalog.Update(ctx, rec.Ref, func(r *cloud.Record) error { *r = rec; return nil })
	if err != nil {
		_ = v.cfg.Catalog.Forget(ctx, rec.Ref) // a newer version of the name is there
	}
	return err
}
