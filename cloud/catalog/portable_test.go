package catalog

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Words that only one of the two engines knows, or that order text differently.
var dialectal = regexp.MustCompile(`(?i)\b(AUTOINCREMENT|STRICT|WITHOUT\s+ROWID|PRAGMA|INSERT\s+OR|REPLACE|IFNULL|GLOB|` +
	`BLOB|INTEGER|SERIAL|DATETIME|JSONB|ILIKE|FOR\s+UPDATE|NOWAIT|COLLATE|ROWID|TOTAL|GROUP_CONCAT|IDENTITY)\b|\?|` + "`" + `|::|\[`)

func allSQL(t *testing.T) (migration string, texts []string) {
	t.Helper()
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d migrations, error %v", len(names), err)
	}
	for _, name := range names {
		b, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		up, _, ok := strings.Cut(string(b), "-- +goose Down")
		if !ok {
			t.Fatalf("%s has no way down", name)
		}
		migration += regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(up, "")
	}
	return migration, slices.Concat(readStatements, writeStatements)
}

// One text for SQLite and PostgreSQL.
func TestPortable(t *testing.T) {
	migration, texts := allSQL(t)
	for _, text := range append(texts, migration) {
		if w := dialectal.FindString(text); w != "" {
			t.Errorf("%q belongs to one engine only, in:\n%s", w, text)
		}
	}
	for _, spoilt := range []string{"INSERT OR REPLACE INTO t", "WHERE a = ?", "a INTEGER", "a::text", "SELECT rowid"} {
		if !dialectal.MatchString(spoilt) {
			t.Errorf("the check does not see %q", spoilt)
		}
	}
}

// The migrations and every statement pass a real PostgreSQL, where there is one.
func TestPostgres(t *testing.T) {
	migration, texts := allSQL(t)
	initdb, postgres, psql := tool("initdb"), tool("postgres"), tool("psql")
	if initdb == "" || postgres == "" || psql == "" || os.Getuid() == 0 {
		t.Skip("no PostgreSQL server here that this user may start (Debian: postgresql)")
	}
	data := filepath.Join(t.TempDir(), "db")
	if out, err := exec.Command(initdb, "-D", data, "-A", "trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	// Single-user mode reads one command a line and needs neither port nor socket.
	var script strings.Builder
	script.WriteString(oneLine(migration))
	for _, text := range texts {
		script.WriteString(oneLine("PREPARE p AS "+text+";") + "DEALLOCATE p;\n")
	}
	cmd := exec.Command(postgres, "--single", "-D", data, "postgres")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("ERROR:")) {
		t.Fatalf("PostgreSQL refuses (%v):\n%s", err, out)
	}
}

func oneLine(sql string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(sql), " "), "; ", ";\n") + "\n"
}

// tool finds a program on the path or where Debian puts PostgreSQL's.
func tool(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}
