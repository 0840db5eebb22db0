package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/quantum-secure-cloud/qsc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

const readers = 4 // connections of the read pool

// OpenSQLite opens the catalogue in the file at path, which is made if it is
// not there, and brings its tables up to date. The caller sees to it that one
// process at a time does so.
//
// A change is durable when its call returns, power failure included: the log
// is synced at every commit (WAL, synchronous=FULL), because an object is
// acknowledged to its owner on the strength of this record.
//
// Errors: NoSpace, Denied, Corrupt (not a catalogue), Unsupported (made by a
// later version of this program).
func OpenSQLite(path string) (*Catalog, error) {
	const op = "catalog.Open"
	if err := makeFile(path); err != nil {
		return nil, failed(op, err)
	}
	write, err := sql.Open("sqlite", dsn(path, "_txlock=immediate", "_pragma=synchronous(FULL)", "_pragma=secure_delete(1)"))
	if err != nil {
		return nil, failed(op, err)
	}
	read, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, failed(op, errors.Join(err, write.Close()))
	}
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return openDB(context.Background(), goose.DialectSQLite3, write, read)
}

// makeFile makes the file private before SQLite fills it, and its name
// durable; the log beside it takes over the mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// dsn names the file as a URI, so that any character may occur in its path.
func dsn(path string, options ...string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	var uri strings.Builder
	uri.WriteString("file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)")
	for _, o := range options {
		uri.WriteString("&" + o)
	}
	return uri.String()
}

// openDB takes over two pools of one database, runs the migrations that are
// due and prepares the statements. For PostgreSQL both pools may be one, with
// serializable as the default isolation: Update relies on it.
func openDB(ctx context.Context, dialect goose.Dialect, write, read *sql.DB) (*Catalog, error) {
	const op = "catalog.Open"
	c := &Catalog{write: &pool{db: write}, read: &pool{db: read}}
	err := migrate(ctx, dialect, write)
	if err == nil {
		err = errors.Join(c.write.prepare(ctx, writeStatements), c.read.prepare(ctx, readStatements))
	}
	if err != nil {
		return nil, failed(op, errors.Join(err, c.Close()))
	}
	return c, nil
}

func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	p, err := provider(dialect, db)
	if err != nil {
		return err
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	if known := sources[len(sources)-1].Version; have > known {
		return qsc.E("catalog.Open", qsc.Unsupported, "", "the catalogue has version %d, this program knows up to %d: use a newer program", have, known)
	}
	_, err = p.Up(ctx)
	return err
}

func provider(dialect goose.Dialect, db *sql.DB) (*goose.Provider, error) {
	tree, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, db, tree,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// pool is a set of connections with its prepared statements.
type pool struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt
}

func (p *pool) prepare(ctx context.Context, texts []string) error {
	p.stmts = make(map[string]*sql.Stmt, len(texts))
	for _, text := range texts {
		st, err := p.db.PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		p.stmts[text] = st
	}
	return nil
}

func (p *pool) close() error {
	var errs []error
	for _, st := range p.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, p.db.Close())...)
}

// failed gives a database's error its kind; errors that have one pass.
func failed(op string, err error) error {
	if err == nil || qsc.KindOf(err) != qsc.Other {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return qsc.E(op, qsc.Timeout, "", "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return qsc.E(op, qsc.Denied, "", "%w", err)
	case errors.Is(err, fs.ErrNotExist):
		return qsc.E(op, qsc.NotFound, "", "%w", err)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return qsc.E(op, kindOf(e.Code()&0xff), "", "%w", err)
	}
	return qsc.E(op, qsc.Other, "", "%w", err)
}

func kindOf(code int) qsc.Kind {
	switch code {
	case sqlite3.SQLITE_FULL:
		return qsc.NoSpace
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return qsc.Corrupt
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return qsc.Busy
	case sqlite3.SQLITE_INTERRUPT:
		return qsc.Timeout
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN:
		return qsc.Denied
	}
	return qsc.Other
}
