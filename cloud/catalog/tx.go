package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// tx is one transaction with the prepared statements at hand.
type tx struct {
	ctx  context.Context
	pool *pool
	tx   *sql.Tx
}

// own marks an error of the caller's function, which passes unchanged.
type own struct{ error }

// change runs fn in the write transaction; it is durable on return of nil.
func (c *Catalog) change(ctx context.Context, op string, fn func(*tx) error) error {
	return within(ctx, op, c.write, nil, fn)
}

// view runs fn on one snapshot.
func (c *Catalog) view(ctx context.Context, op string, fn func(*tx) error) error {
	return within(ctx, op, c.read, &sql.TxOptions{ReadOnly: true}, fn)
}

func within(ctx context.Context, op string, p *pool, opt *sql.TxOptions, fn func(*tx) error) error {
	t, err := p.db.BeginTx(ctx, opt)
	if err != nil {
		return failed(op, err)
	}
	defer t.Rollback() // no effect after Commit
	if err := fn(&tx{ctx, p, t}); err != nil {
		if mine, ok := errors.AsType[*own](err); ok {
			return mine.error
		}
		return failed(op, err)
	}
	return failed(op, t.Commit())
}

func (t *tx) stmt(text string) *sql.Stmt { return t.tx.StmtContext(t.ctx, t.pool.stmts[text]) }

func (t *tx) exec(text string, args ...any) error {
	_, err := t.stmt(text).ExecContext(t.ctx, args...)
	return err
}

// each calls fn on every row.
func (t *tx) each(fn func(*sql.Rows) error, text string, args ...any) error {
	rows, err := t.stmt(text).QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// any reports whether the statement yields a row.
func (t *tx) any(text string, args ...any) (bool, error) {
	found := false
	err := t.each(func(*sql.Rows) error {
		found = true
		return nil
	}, text, args...)
	return found, err
}

// record reads the one record that the statement yields.
func (t *tx) record(op, text string, args ...any) (cloud.Record, error) {
	list, err := t.records(text, args...)
	if err != nil {
		return cloud.Record{}, err
	}
	if len(list) == 0 {
		return cloud.Record{}, qsc.E(op, qsc.NotFound, "", "no such object")
	}
	return list[0], nil
}

// records reads rows of one placement each and folds those of one record.
func (t *tx) records(text string, args ...any) ([]cloud.Record, error) {
	var list []cloud.Record
	err := t.each(func(rows *sql.Rows) error {
		r, err := scan(rows)
		if err != nil {
			return err
		}
		if n := len(list); n > 0 && list[n-1].Ref == r.Ref {
			list[n-1].Placements = append(list[n-1].Placements, r.Placements...)
			return nil
		}
		list = append(list, r)
		return nil
	}, text, args...)
	return list, err
}

// scan reads the columns of a record with one placement.
func scan(rows *sql.Rows) (r cloud.Record, err error) {
	var owner, object, name, key []byte
	var version, created int64
	var site string
	p := cloud.Placement{}
	err = rows.Scan(&owner, &object, &version, &name, &r.State, &r.Size, &r.Chunk, &r.K, &r.N, &r.W,
		&r.Class, &r.Policy, &created, &p.Point, &site, &p.State, &key)
	if err != nil {
		return r, err
	}
	if len(object) != len(r.Ref.Object) || version < 0 {
		return r, qsc.E("", qsc.Corrupt, "", "a row of the catalogue has a malformed key: rebuild the catalogue from the sites")
	}
	r.Ref = cloud.Ref{Owner: qsc.NodeID(owner), Object: qsc.ObjectID(object), Version: uint64(version)}
	r.Name, r.Created = string(name), time.UnixMicro(created).UTC()
	p.Site, p.HashKey = qsc.SiteID(site), qsc.NewSecret(key)
	r.Placements = []cloud.Placement{p}
	return r, nil
}

// refArgs are the first three arguments of most statements.
func refArgs(ref cloud.Ref) []any {
	return []any{[]byte(ref.Owner), ref.Object[:], int64(ref.Version)}
}

// blob is b as a value that is not NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
