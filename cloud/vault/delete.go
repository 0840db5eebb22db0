package vault

import (
	"context"
	"errors"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// Delete implements cloud.Vault. From its return on the name is free and the
// object cannot be read; a share at a site that does not answer is deleted when
// the site comes back.
func (v *Vault) Delete(ctx context.Context, name string) error {
	rec, err := v.cfg.Catalog.Lookup(ctx, name)
	if err != nil {
		return err
	}
	err = v.cfg.Catalog.Update(ctx, rec.Ref, func(r *cloud.Record) error {
		if r.State != cloud.Stored {
			return qsc.E("vault.Delete", qsc.NotFound, "", "it was removed meanwhile")
		}
		r.State = cloud.Doomed
		return nil
	})
	if err != nil {
		return err
	}
	rec.State = cloud.Doomed
	if err := v.sweep(ctx, &rec); err != nil {
		v.cfg.Logger.Info("shares of a removed object wait for their sites", "object", rec.Ref.Object.String(), "err", err)
		v.Kick()
	}
	return nil
}

// sweep deletes a doomed object's shares at every site, all at once, and then
// forgets it. It returns what still stands in the way.
func (v *Vault) sweep(ctx context.Context, rec *cloud.Record) error {
	if !v.claim(rec.Ref) {
		return qsc.E("vault.sweep", qsc.Busy, "", "the object is being worked on")
	}
	defer v.unclaim(rec.Ref)
	errs := make([]error, len(rec.Placements))
	var wg sync.WaitGroup
	for i, p := range rec.Placements {
		c, ok := v.sites[p.Site]
		if !ok {
			errs[i] = qsc.E("vault.sweep", qsc.NotFound, string(p.Site), "the network description no longer has this site")
			continue
		}
		wg.Go(func() { errs[i] = c.Site.Delete(ctx, rec.Ref) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return v.cfg.Catalog.Forget(ctx, rec.Ref)
}
