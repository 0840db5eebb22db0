package manage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"bufio"
	"database/sql"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// opener opens one and the same database again and again.
type opener func(t *testing.T) *Store

// engines runs a test on every engine, each time on an empty database.
func engines(t *testing.T, fn func(t *testing.T, open opener)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c o?n%.db")
		fn(t, func(t *testing.T) *Store { return opened(t)(OpenSQLite(path)) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := postgres(t)
		fn(t, func(t *testing.T) *Store { return opened(t)(OpenPostgres(t.Context(), dsn)) })
	})
}

func opened(t *testing.T) func(*Store, error) *Store {
	return func(s *Store, err error) *Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

// pg is one PostgreSQL for all tests of this process.
var pg struct {
	once   sync.Once
	why    string // why there is none
	dir    string
	stop   func()
	tables int
	sync.Mutex
}

func TestMain(m *testing.M) {
	code := m.Run()
	if pg.stop != nil {
		pg.stop()
	}
	os.Exit(code)
}

// postgres returns the address of an empty schema, or skips.
func postgres(t *testing.T) string {
	t.Helper()
	pg.once.Do(func() { pg.why = startPostgres() })
	if pg.why != "" {
		t.Skip(pg.why)
	}
	pg.Lock()
	defer pg.Unlock()
	pg.tables++
	base := "host=" + pg.dir + " user=postgres dbname=postgres sslmode=disable"
	db, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	name := "t" + strconv.Itoa(pg.tables)
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	return base + " search_path=" + name
}

// startPostgres starts a server on a socket of its own, as the user that Debian
// makes for it when the tests run as root. It ends when this process does.
func startPostgres() (why string) {
	initdb, postgres := tool("initdb"), tool("postgres")
	if initdb == "" || postgres == "" {
		return "no PostgreSQL server on this machine (Debian: postgresql)"
	}
	attr, own := &syscall.SysProcAttr{}, func(string) error { return nil }
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return "PostgreSQL does not run for root, and there is no user postgres"
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		own = func(dir string) error { return os.Chown(dir, uid, gid) }
	}
	dir, err := os.MkdirTemp("", "pg")
	if err == nil {
		err = own(dir)
	}
	if err != nil {
		return err.Error()
	}
	pg.dir = dir
	data := filepath.Join(dir, "db")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr, cmd.Dir = attr, dir
		return cmd
	}
	if out, err := run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Sprintf("initdb: %v\n%s", err, out)
	}
	cmd := run("sh", "-c", `"$0" -D "$1" -k "$2" -c listen_addresses= -c fsync=off & pid=$!; cat >/dev/null; kill -INT $pid; wait $pid`, postgres, data, dir)
	return await(cmd)
}

// await starts the server and returns when it says that it is ready.
func await(cmd *exec.Cmd) (why string) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err.Error()
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	var all strings.Builder
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "ready to accept connections") {
			var drain sync.WaitGroup
			drain.Go(func() { _, _ = io.Copy(io.Discard, said) })
			pg.stop = func() {
				_ = in.Close()
				drain.Wait()
				_ = cmd.Wait()
				_ = os.RemoveAll(pg.dir)
			}
			return ""
		}
	}
	return "PostgreSQL did not start:\n" + all.String()
}

// tool finds a program where Debian puts PostgreSQL's, or on the path.
func tool(name string) string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err == nil && len(found) > 0 {
		return found[len(found)-1]
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return p
}

func want(t *testing.T, err error, kind qsc.Kind) {
	t.Helper()
	if !qsc.IsKind(err, kind) {
		t.Fatalf("error %v, want kind %v", err, kind)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func same(t *testing.T, what string, have, want any) {
	t.Helper()
	if !reflect.DeepEqual(have, want) {
		t.Fatalf("%s:\nhave %+v\nwant %+v", what, have, want)
	}
}

func TestSettings(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		s, ctx := open(t), t.Context()
		_, err := s.Setting(ctx, "a")
		want(t, err, qsc.NotFound)
		same(t, "version", got(s.Set(ctx, Setting{"a", "1", 0}))(t), int64(1))
		_, err = s.Set(ctx, Setting{"a", "2", 0})
		want(t, err, qsc.Conflict)
		same(t, "version", got(s.Set(ctx, Setting{"a", "2", 1}))(t), int64(2))
		_, err = s.Set(ctx, Setting{"a", "3", 1})
		want(t, err, qsc.Conflict)
		_, err = s.Set(ctx, Setting{"a", "x\x00y", 2})
		want(t, err, qsc.Invalid)
		must(t, s.Close())
		s = open(t)
		same(t, "setting", got(s.Setting(ctx, "a"))(t), Setting{"a", "2", 2})
		got(s.Set(ctx, Setting{"B", "é", 0}))(t)
		same(t, "settings in byte order", got(s.Settings(ctx))(t), []Setting{{"B", "é", 1}, {"a", "2", 2}})
	})
}

func TestApplications(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		s, ctx := open(t), t.Context()
		policy := keymgmt.Policy{Protection: keymgmt.Protection{Paths: 3, Need: 2}, MinRate: 1e3, MaxRate: 2.5e9, Priority: -2, TTL: time.Hour, Retry: time.Second}
		want(t, s.PutPair(ctx, Pair{"x", "y", policy}), qsc.NotFound)
		must(t, s.PutApplication(ctx, Application{"x", "koganei", "Ward 7"}))
		must(t, s.PutApplication(ctx, Application{"y", "otemachi", ""}))
		must(t, s.PutApplication(ctx, Application{"X\xff", "hongo", ""}))
		must(t, s.PutApplication(ctx, Application{"y", "hakusan", "moved"}))
		want(t, s.PutApplication(ctx, Application{"z", "No Node", ""}), qsc.Invalid)
		must(t, s.PutPair(ctx, Pair{"x", "y", policy}))
		must(t, s.PutPair(ctx, Pair{"y", "x", keymgmt.Policy{}}))
		policy.Priority = 9
		must(t, s.PutPair(ctx, Pair{"x", "y", policy}))
		bad := policy
		bad.Protection.Need = 4
		want(t, s.PutPair(ctx, Pair{"x", "y", bad}), qsc.Invalid)
		must(t, s.Close())

		s = open(t)
		same(t, "applications", got(s.Applications(ctx))(t), []Application{{"X\xff", "hongo", ""}, {"x", "koganei", "Ward 7"}, {"y", "hakusan", "moved"}})
		same(t, "pairs", got(s.Pairs(ctx))(t), []Pair{{"x", "y", policy}, {"y", "x", keymgmt.Policy{}}})
		d := got(s.Directory(ctx))(t)
		if p, ok := d.Allowed("x", "y"); !ok || p != policy {
			t.Fatalf("the pair is allowed %v as %+v", ok, p)
		}
		if _, ok := d.Allowed("x", "X\xff"); ok {
			t.Fatal("a pair that nobody entered is allowed")
		}
		if n, ok := d.Home("y"); !ok || n != "hakusan" {
			t.Fatalf("home %q %v", n, ok)
		}
		must(t, s.DropApplication(ctx, "y"))
		want(t, s.DropApplication(ctx, "y"), qsc.NotFound)
		same(t, "pairs of a dropped application", len(got(s.Pairs(ctx))(t)), 0)
		want(t, s.DropPair(ctx, "x", "y"), qsc.NotFound)
	})
}

func TestHops(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		s, ctx := open(t), t.Context()
		id := control.VirtualID{1}
		a := control.Hop{Link: id, Node: "a", From: "a", To: "c", Next: []qsc.NodeID{"b", "c"}, Bandwidth: 1234.5}
		b := control.Hop{Link: id, Node: "b", From: "a", To: "c", Prev: "a", Next: []qsc.NodeID{"c"}, Off: true}
		must(t, s.PutHop(ctx, b))
		must(t, s.PutHop(ctx, a))
		must(t, s.PutHop(ctx, a))
		want(t, s.PutHop(ctx, control.Hop{Link: id, Node: "a b", From: "a", To: "c"}), qsc.Invalid)
		want(t, s.PutHop(ctx, control.Hop{Node: "a", From: "a", To: "c"}), qsc.Invalid)
		same(t, "hops", got(s.Hops(ctx))(t), []control.Hop{a, b})
		must(t, s.DropHop(ctx, id, "a"))
		want(t, s.DropHop(ctx, id, "a"), qsc.NotFound)
		same(t, "hops", got(s.Hops(ctx))(t), []control.Hop{b})
	})
}

// A store of a later version is refused.
func TestLaterVersion(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		s := open(t)
		_, err := s.db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, TRUE)")
		must(t, err)
		err = migrate(t.Context(), "test", dialectOf(s), s.db)
		want(t, err, qsc.Unsupported)
	})
}

// Whatever order controllers try in, an epoch has one leader.
func TestRacingForTheLease(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		stores := []*Store{open(t), open(t)}
		var mu sync.Mutex
		taken := map[uint64]string{}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() { race(t, stores[i%2], fmt.Sprint("c", i), &mu, taken) })
		}
		all.Wait()
		last := got(stores[0].Lease(t.Context()))(t)
		if len(taken) == 0 || uint64(len(taken)) != last.Epoch {
			t.Fatalf("%d leaders, the last epoch is %d", len(taken), last.Epoch)
		}
	})
}

func race(t *testing.T, s *Store, name string, mu *sync.Mutex, taken map[uint64]string) {
	for range 10 {
		seen, err := s.Lease(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		epoch, err := s.Take(context.Background(), name, seen)
		if qsc.IsKind(err, qsc.Conflict) || qsc.IsKind(err, qsc.Busy) {
			continue
		}
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		if other, twice := taken[epoch]; twice {
			t.Errorf("%s and %s both lead epoch %d", other, name, epoch)
		}
		taken[epoch] = name
		mu.Unlock()
	}
}

func TestLeaseRow(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		s, ctx := open(t), t.Context()
		free := got(s.Lease(ctx))(t)
		same(t, "epoch", got(s.Take(ctx, "a", free))(t), uint64(1))
		_, err := s.Take(ctx, "b", free)
		want(t, err, qsc.Conflict)
		before := got(s.Lease(ctx))(t)
		must(t, s.Keep(ctx, "a", 1))
		_, err = s.Take(ctx, "b", before) // a lives
		want(t, err, qsc.Conflict)
		same(t, "epoch", got(s.Take(ctx, "b", got(s.Lease(ctx))(t)))(t), uint64(2))
		want(t, s.Keep(ctx, "a", 1), qsc.Conflict)
		want(t, s.Release(ctx, "a", 1), qsc.Conflict)
		must(t, s.Raise(ctx, "b", 2, 100))
		want(t, s.Raise(ctx, "b", 100, 50), qsc.Conflict)
		must(t, s.Release(ctx, "b", 100))
		same(t, "lease", got(s.Lease(ctx))(t), Lease{"", 100, 1})
	})
}

// Two controllers of one machine may make the store at the same moment.
func TestStoreIsMadeByTwoAtOnce(t *testing.T) {
	for range 2 {
		path := t.TempDir() + "/control.db"
		errs := make([]error, 3)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				s, err := OpenSQLite(path)
				if errs[i] = err; err == nil {
					errs[i] = s.Close()
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
}
