package catalog

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// List implements cloud.Catalog. It costs as much as the page is long, however
// many records there are.
func (c *Catalog) List(ctx context.Context, q cloud.Query) ([]cloud.Record, error) {
	const op = "catalog.List"
	limit, err := cloud.Page(op, q.Limit)
	if err != nil {
		return nil, err
	}
	states, err := statesOf(op, q.States)
	if err != nil {
		return nil, err
	}
	from, to, ok := bounds(q)
	if !ok {
		return nil, nil
	}
	page := sqlPage
	if q.Degraded {
		page = sqlOpenPage
	}
	var list []cloud.Record
	err = c.view(ctx, op, func(t *tx) error {
		for _, s := range states {
			part, err := t.records(page, s, from.name, from.version, from.object, from.owner, to, limit)
			if err != nil {
				return err
			}
			list = append(list, part...)
		}
		return nil
	})
	slices.SortFunc(list, inOrder)
	return list[:min(limit, len(list))], err
}

// Count implements cloud.Catalog.
func (c *Catalog) Count(ctx context.Context) (n int64, err error) {
	err = c.view(ctx, "catalog.Count", func(t *tx) error {
		return t.stmt(sqlCount).QueryRowContext(ctx).Scan(&n)
	})
	return n, err
}

// statesOf returns each wanted state once.
func statesOf(op string, states []cloud.State) ([]cloud.State, error) {
	if len(states) == 0 {
		return []cloud.State{cloud.Stored}, nil
	}
	var once []cloud.State
	for _, s := range states {
		if s > cloud.Doomed {
			return nil, qsc.E(op, qsc.Invalid, "", "state %d is not known", s)
		}
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once, nil
}

// inOrder is the order of a listing.
func inOrder(a, b cloud.Record) int {
	return cmp.Or(
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Ref.Version, b.Ref.Version),
		bytes.Compare(a.Ref.Object[:], b.Ref.Object[:]),
		cmp.Compare(a.Ref.Owner, b.Ref.Owner),
	)
}

// cursor is the place a page begins behind.
type cursor struct {
	name          []byte
	version       int64
	object, owner []byte
}

// bounds turns a query into the place before its first record and the name
// that no record of it reaches; ok is false where there can be none.
func bounds(q cloud.Query) (from cursor, to []byte, ok bool) {
	to = behindPrefix(q.Prefix)
	if to == nil {
		return from, nil, false
	}
	before := func(name string) cursor { return cursor{[]byte(name), -1, []byte{}, []byte{}} }
	switch {
	case q.After < q.Prefix:
		from = before(q.Prefix)
	case q.Behind != (cloud.Ref{}):
		from = cursor{[]byte(q.After), int64(q.Behind.Version), q.Behind.Object[:], []byte(q.Behind.Owner)}
	case q.After == "":
		from = before("")
	default:
		from = before(q.After + "\x00") // the next byte string of all
	}
	return from, to, true
}

// behindPrefix is the least byte string behind all UTF-8 that begin with p,
// nil if no UTF-8 does.
func behindPrefix(p string) []byte {
	if p == "" {
		return []byte{0xff}
	}
	b := []byte(p)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return nil
	}
	b[len(b)-1]++
	return b
}
