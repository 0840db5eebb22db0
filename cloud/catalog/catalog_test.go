package catalog

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

func openAt(t testing.TB, path string) *Catalog {
	t.Helper()
	c, err := OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestConformance(t *testing.T) {
	cloudtest.Catalog(t, func(t *testing.T) cloud.Catalog {
		return openAt(t, filepath.Join(t.TempDir(), "odd ?%#name.db"))
	})
}

var bg = context.Background()

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c := openAt(t, path)
	r := cloudtest.NewRecord(cloudtest.NewRef("home", 1, 1), "name")
	if err := c.Insert(bg, r); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openAt(t, path).Insert(bg, r); !qsc.IsKind(err, qsc.Exists) {
		t.Fatalf("after reopening: got %v, want %v", err, qsc.Exists)
	}
}

// The file holds secrets: nobody else may read it, nor its log.
func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	c := openAt(t, filepath.Join(dir, "catalog.db"))
	if err := c.Insert(bg, cloudtest.NewRecord(cloudtest.NewRef("home", 1, 1), "name")); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if m := info.Mode().Perm(); m != 0o600 {
			t.Errorf("%s has mode %o, want 600", f.Name(), m)
		}
	}
}

// The database syncs at every commit; a driver that dropped the pragma would
// pass every other test.
func TestSettings(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalog.db"))
	for pragma, want := range map[string]string{
		"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "secure_delete": "1", "busy_timeout": "10000",
	} {
		var got string
		if err := c.write.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
	if _, err := c.read.db.Exec("DELETE FROM objects"); err == nil {
		t.Error("the read pool can write")
	}
}

func TestRefuseFile(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("not a database. "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSQLite(foreign); !qsc.IsKind(err, qsc.Corrupt) {
		t.Errorf("foreign file: got %v, want %v", err, qsc.Corrupt)
	}
	if _, err := OpenSQLite(filepath.Join(dir, "none", "catalog.db")); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("no directory: got %v, want %v", err, qsc.NotFound)
	}
	later := filepath.Join(dir, "later.db")
	c := openAt(t, later)
	if _, err := c.write.db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, TRUE)"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := OpenSQLite(later); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("later version: got %v, want %v", err, qsc.Unsupported)
	}
}

func TestMigrateDownAndUp(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalog.db"))
	p, err := provider(goose.DialectSQLite3, c.write.db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(bg, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(bg); err != nil {
		t.Fatal(err)
	}
}
