package catalog

import (
	"context"
	"database/sql"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

const (
	maskSize = 16       // bytes of one tag mask
	rowBytes = 32 << 10 // of masks in one row, so that reading one chunk's stays cheap
)

// run is one row of masks.
type run struct {
	first, chunks int64
	masks         []byte
}

// PutMasks implements cloud.Catalog. Masks that were there for some of the
// chunks are replaced. NotFound without the record, Invalid for a length that
// is not a multiple of 16 n or for chunks out of bounds.
func (c *Catalog) PutMasks(ctx context.Context, ref cloud.Ref, first uint32, masks []byte) error {
	const op = "catalog.PutMasks"
	return c.change(ctx, op, func(t *tx) error {
		each, err := t.stride(op, ref)
		if err != nil {
			return err
		}
		chunks := int64(len(masks)) / each
		if chunks == 0 || chunks > cloud.MaxChunks || int64(len(masks))%each != 0 {
			return qsc.E(op, qsc.Invalid, "", "%d bytes of masks are not chunks of %d", len(masks), each)
		}
		if err := cloud.CheckRun(op, first, uint32(chunks)); err != nil {
			return err
		}
		fresh := run{int64(first), chunks, masks}
		if err := t.cutOut(ref, fresh, each); err != nil {
			return err
		}
		return t.putRun(ref, fresh, each)
	})
}

// stride is the bytes of masks of one chunk.
func (t *tx) stride(op string, ref cloud.Ref) (int64, error) {
	var n int64
	err := t.each(func(rows *sql.Rows) error { return rows.Scan(&n) }, sqlShares, refArgs(ref)...)
	if err == nil && n == 0 {
		err = qsc.E(op, qsc.NotFound, "", "no such object")
	}
	return n * maskSize, err
}

// runs reads the rows that hold chunks of r.
func (t *tx) runs(ref cloud.Ref, r run, each int64) ([]run, error) {
	var list []run
	err := t.each(func(rows *sql.Rows) error {
		var o run
		if err := rows.Scan(&o.first, &o.chunks, &o.masks); err != nil {
			return err
		}
		if o.chunks*each != int64(len(o.masks)) {
			return qsc.E("", qsc.Corrupt, "", "a row of masks has the wrong length: rebuild the catalogue from the sites")
		}
		if o.first+o.chunks > r.first {
			list = append(list, o)
		}
		return nil
	}, sqlRuns, append(refArgs(ref), r.first, r.first+r.chunks)...)
	return list, err
}

// cutOut removes the chunks of r from the rows there are.
func (t *tx) cutOut(ref cloud.Ref, r run, each int64) error {
	old, err := t.runs(ref, r, each)
	if err != nil {
		return err
	}
	for _, o := range old {
		if err := t.exec(sqlDropRun, append(refArgs(ref), o.first)...); err != nil {
			return err
		}
		if err := t.putRun(ref, o.part(o.first, r.first, each), each); err != nil {
			return err
		}
		if err := t.putRun(ref, o.part(r.first+r.chunks, o.first+o.chunks, each), each); err != nil {
			return err
		}
	}
	return nil
}

// part is what of the run lies in from … to-1; it may be empty.
func (r run) part(from, to, each int64) run {
	from, to = max(from, r.first), min(to, r.first+r.chunks)
	if from >= to {
		return run{}
	}
	return run{from, to - from, r.masks[(from-r.first)*each : (to-r.first)*each]}
}

// putRun writes a run in rows of bounded length.
func (t *tx) putRun(ref cloud.Ref, r run, each int64) error {
	most := max(rowBytes/each, 1)
	for at := r.first; at < r.first+r.chunks; at += most {
		row := r.part(at, at+most, each)
		if err := t.exec(sqlPutRun, append(refArgs(ref), row.first, row.chunks, row.masks)...); err != nil {
			return err
		}
	}
	return nil
}

// Masks implements cloud.Catalog. For count 0 it returns none.
func (c *Catalog) Masks(ctx context.Context, ref cloud.Ref, first, count uint32) ([]byte, error) {
	const op = "catalog.Masks"
	if err := cloud.CheckRun(op, first, count); err != nil {
		return nil, err
	}
	var all []byte
	err := c.view(ctx, op, func(t *tx) error {
		each, err := t.stride(op, ref)
		if err != nil {
			return err
		}
		rows, err := t.runs(ref, run{first: int64(first), chunks: int64(count)}, each)
		if err != nil {
			return err
		}
		at, end := int64(first), int64(first)+int64(count)
		for _, row := range rows {
			if row.first > at {
				break
			}
			p := row.part(at, end, each)
			all, at = append(all, p.masks...), at+p.chunks
		}
		if at != end {
			return qsc.E(op, qsc.NotFound, "", "the masks of chunk %d are not kept", at)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
