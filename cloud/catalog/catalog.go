// Package catalog keeps the records of a home node's objects in SQL: the
// cloud.Catalog of the embedded default, SQLite. Its statements are written so
// that PostgreSQL takes the same text.
//
// It moves no share and judges no policy. Hash keys and tag masks are secrets
// of the home node: they lie in the database file as plain bytes (mode 0600,
// freed pages overwritten), so the file is to be guarded like a key store; they
// are never logged nor put into an error.
package catalog

import (
	"context"
	"errors"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

var _ cloud.Catalog = (*Catalog)(nil)

// Catalog is a cloud.Catalog on an SQL database.
type Catalog struct {
	write *pool // one connection, each transaction immediate
	read  *pool // snapshots beside the writer
}

// Close ends the catalogue's use; SQLite folds its log into the file.
func (c *Catalog) Close() error {
	return failed("catalog.Close", errors.Join(c.read.close(), c.write.close()))
}

// Insert implements cloud.Catalog.
func (c *Catalog) Insert(ctx context.Context, r cloud.Record) error {
	const op = "catalog.Insert"
	if err := r.Check(op); err != nil {
		return err
	}
	if r.State != cloud.Pending {
		return qsc.E(op, qsc.Invalid, "", "a record begins as pending, then Update makes it stored")
	}
	return c.change(ctx, op, func(t *tx) error {
		fresh, err := t.any(sqlInsert, append(refArgs(r.Ref), []byte(r.Name), r.State, r.Size, r.Chunk,
			r.K, r.N, r.W, r.Class, r.Policy, r.Created.UnixMicro())...)
		if err != nil {
			return err
		}
		if !fresh {
			return qsc.E(op, qsc.Exists, "", "object %v version %d is in the catalogue already", r.Ref.Object, r.Ref.Version)
		}
		return t.place(r.Ref, nil, r.Placements)
	})
}

// Update implements cloud.Catalog. fn must not call the catalogue: it runs
// inside the only write transaction. It may change anything but Ref, Name and N.
func (c *Catalog) Update(ctx context.Context, ref cloud.Ref, fn func(*cloud.Record) error) error {
	const op = "catalog.Update"
	return c.change(ctx, op, func(t *tx) error {
		old, err := t.record(op, sqlByRef, refArgs(ref)...)
		if err != nil {
			return err
		}
		r := old
		r.Placements = append([]cloud.Placement(nil), old.Placements...)
		if err := fn(&r); err != nil {
			return &own{err}
		}
		if r.Ref != old.Ref || r.Name != old.Name || r.N != old.N {
			return qsc.E(op, qsc.Invalid, "", "an update may not change the ref, the name or n")
		}
		if err := r.Check(op); err != nil {
			return err
		}
		return t.replace(op, &old, &r)
	})
}

// Lookup implements cloud.Catalog.
func (c *Catalog) Lookup(ctx context.Context, name string) (cloud.Record, error) {
	const op = "catalog.Lookup"
	var r cloud.Record
	err := c.view(ctx, op, func(t *tx) (err error) {
		r, err = t.record(op, sqlByName, []byte(name))
		return err
	})
	return r, err
}

// Forget implements cloud.Catalog.
func (c *Catalog) Forget(ctx context.Context, ref cloud.Ref) error {
	return c.change(ctx, "catalog.Forget", func(t *tx) error {
		for _, text := range []string{sqlForgetMasks, sqlForgetPlaces, sqlForget} {
			if err := t.exec(text, refArgs(ref)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// replace writes what an update changed.
func (t *tx) replace(op string, old, r *cloud.Record) error {
	if r.State == cloud.Stored && old.State != cloud.Stored {
		if err := t.takeName(op, r); err != nil {
			return err
		}
	}
	err := t.exec(sqlChange, append(refArgs(r.Ref), r.State, r.Size, r.Chunk, r.K, r.W, r.Class,
		r.Policy, r.Created.UnixMicro())...)
	if err != nil {
		return err
	}
	return t.place(r.Ref, old.Placements, r.Placements)
}

// takeName makes room for r as the stored version of its name.
func (t *tx) takeName(op string, r *cloud.Record) error {
	rival, err := t.any(sqlRival, append([]any{[]byte(r.Name)}, refArgs(r.Ref)...)...)
	if err != nil {
		return err
	}
	if rival {
		return qsc.E(op, qsc.Exists, "", "the same or a later version of this name was stored meanwhile")
	}
	return t.exec(sqlDoom, []byte(r.Name), int64(r.Ref.Version))
}

// place writes the placements that differ from old.
func (t *tx) place(ref cloud.Ref, old, now []cloud.Placement) error {
	had := map[byte]cloud.Placement{}
	for _, p := range old {
		had[p.Point] = p
	}
	for _, p := range now {
		q, ok := had[p.Point]
		delete(had, p.Point)
		if ok && p.Site == q.Site && p.State == q.State && p.HashKey.Equal(q.HashKey) {
			continue
		}
		err := t.exec(sqlPlace, append(refArgs(ref), p.Point, string(p.Site), p.State, blob(p.HashKey.Expose()))...)
		if err != nil {
			return err
		}
	}
	for point := range had {
		if err := t.exec(sqlUnplace, append(refArgs(ref), point)...); err != nil {
			return err
		}
	}
	return nil
}
