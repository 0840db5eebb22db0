package manage

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
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/quantum-secure-cloud/qsc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

const poolSize = 8 // connections to PostgreSQL

// Store holds what of the controller must last: settings, applications and
// their policies, virtual links and the leader's lease. It holds no key and no
// position of one. The methods may be called from several goroutines; a change
// is durable when its call returns.
//
// Errors of all methods besides those named: Busy (try again), Timeout,
// Unreachable (the server), NoSpace, Denied, Corrupt.
type Store struct{ db *sql.DB }

// OpenSQLite opens the store in the file at path, made with mode 0600 if it is
// not there, and brings its tables up to date. Several processes of one machine
// may have it open. Errors: Unsupported when a later version made it.
func OpenSQLite(path string) (*Store, error) {
	const op = "manage.OpenSQLite"
	if err := makeFile(path); err != nil {
		return nil, failed(op, err)
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, failed(op, err)
	}
	db.SetMaxOpenConns(1)
	return openStore(context.Background(), op, goose.DialectSQLite3, db)
}

// OpenPostgres opens the store in the PostgreSQL database that the URL names
// and brings its tables up to date. Errors as OpenSQLite.
func OpenPostgres(ctx context.Context, dsn string) (*Store, error) {
	const op = "manage.OpenPostgres"
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, failed(op, err)
	}
	db.SetMaxOpenConns(poolSize)
	return openStore(ctx, op, goose.DialectPostgres, db)
}

// makeFile makes the file private before SQLite fills it, and its name durable.
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

func openStore(ctx context.Context, op string, dialect goose.Dialect, db *sql.DB) (*Store, error) {
	if err := migrate(ctx, op, dialect, db); err != nil {
		return nil, failed(op, errors.Join(failed(op, err), db.Close()))
	}
	return &Store{db}, nil
}

// migrate runs the migrations that are due. Two controllers that do so at once:
// one of them meets the other's tables and tries again.
func migrate(ctx context.Context, op string, dialect goose.Dialect, db *sql.DB) error {
	tree, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, tree,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err = up(ctx, op, p)
		if kind := qsc.KindOf(failed(op, err)); err == nil || attempt == migrateTries || kind != qsc.Exists && kind != qsc.Busy {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(migratePause):
		}
	}
}

// How often a migration that met another's is tried, and after which pause.
const (
	migrateTries = 50
	migratePause = 20 * time.Millisecond
)

func up(ctx context.Context, op string, p *goose.Provider) error {
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	if known := sources[len(sources)-1].Version; have > known {
		return qsc.E(op, qsc.Unsupported, "", "the controller's store has version %d, this program knows up to %d: use a newer program", have, known)
	}
	_, err = p.Up(ctx)
	return err
}

// Close ends the store's use.
func (s *Store) Close() error { return failed("manage.Close", s.db.Close()) }

// failed gives a database's error its kind; errors that have one pass.
func failed(op string, err error) error {
	if err == nil || qsc.KindOf(err) != qsc.Other {
		return err
	}
	kind := qsc.Other
	var refused *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		kind = qsc.Timeout
	case errors.Is(err, fs.ErrPermission):
		kind = qsc.Denied
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, sql.ErrNoRows):
		kind = qsc.NotFound
	case errors.As(err, &refused):
		// The cause may print the connection string: only that it failed is told.
		return qsc.E(op, qsc.Unreachable, "", "the database server does not answer or refuses: check its address and account")
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		kind = sqliteKind(e.Code())
		if kind == qsc.Other && strings.Contains(e.Error(), "already exists") {
			kind = qsc.Exists // a table; SQLite has no code for it
		}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		kind = postgresKind(e.Code)
	}
	return qsc.E(op, kind, "", "%w", err)
}

func sqliteKind(code int) qsc.Kind {
	if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY {
		return qsc.NotFound
	}
	switch code & 0xff {
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
	case sqlite3.SQLITE_CONSTRAINT:
		return qsc.Exists
	}
	return qsc.Other
}

// postgresKind reads an SQLSTATE; the first two characters are its class.
func postgresKind(code string) qsc.Kind {
	switch code {
	case "23503":
		return qsc.NotFound // a foreign key without its row
	case "23505", "42P07", "42710":
		return qsc.Exists // a row, a table, an object
	case "42501":
		return qsc.Denied
	case "53100":
		return qsc.NoSpace
	case "57014":
		return qsc.Timeout
	}
	switch {
	case strings.HasPrefix(code, "40"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "55"):
		return qsc.Busy
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57"):
		return qsc.Unreachable
	case strings.HasPrefix(code, "28"):
		return qsc.Denied
	case strings.HasPrefix(code, "XX"):
		return qsc.Corrupt
	}
	return qsc.Other
}

// one reads the single value of a single row; NotFound without one.
func (s *Store) one(ctx context.Context, op, text string, into any, args ...any) error {
	return failed(op, s.db.QueryRowContext(ctx, text, args...).Scan(into))
}

func (s *Store) exec(ctx context.Context, op, text string, args ...any) error {
	_, err := s.db.ExecContext(ctx, text, args...)
	return failed(op, err)
}

// rows reads a whole list, row by row.
func rows[T any](ctx context.Context, s *Store, op, text string, scan func(*sql.Rows) (T, error)) ([]T, error) {
	r, err := s.db.QueryContext(ctx, text)
	if err != nil {
		return nil, failed(op, err)
	}
	defer r.Close()
	var list []T
	for r.Next() {
		v, err := scan(r)
		if err != nil {
			return nil, failed(op, err)
		}
		list = append(list, v)
	}
	return list, failed(op, r.Err())
}
