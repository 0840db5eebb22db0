package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// both runs a test on a real directory and on the disk in memory.
func both(t *testing.T, run func(t *testing.T, fsys FS)) {
	t.Run("dir", func(t *testing.T) {
		d, err := Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		run(t, d)
	})
	t.Run("mem", func(t *testing.T) { run(t, Mem(1<<24)) })
	t.Run("faulty", func(t *testing.T) { run(t, Faulty(Mem(1<<24), Plan{})) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, fsys FS, name string) File {
	t.Helper()
	f, err := fsys.Open(name, os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	return f
}

func TestFile(t *testing.T) {
	both(t, func(t *testing.T, fsys FS) {
		f := create(t, fsys, "a")
		must(t, f.Allocate(3*4096))
		if n, _ := f.Size(); n != 3*4096 {
			t.Fatalf("size %d", n)
		}
		must(t, f.Allocate(10)) // never shrinks
		_, err := f.WriteAt([]byte("hello"), 4096)
		must(t, err)
		m, err := f.Map(4096, 4096)
		must(t, err)
		if string(m.Bytes()[:5]) != "hello" {
			t.Fatal("the mapping does not show the write")
		}
		copy(m.Bytes(), "HELLO")
		must(t, m.Sync(1, 3))
		must(t, f.Flush(0, 4096))
		b := make([]byte, 5)
		if _, err := f.ReadAt(b, 4096); err != nil || string(b) != "HELLO" {
			t.Fatalf("read %q, %v", b, err)
		}
		if err := m.Sync(4000, 200); err == nil {
			t.Fatal("a range beyond the mapping was synced")
		}
		must(t, m.Unmap())
		must(t, m.Unmap())
		must(t, f.Truncate(7))
		if n, err := f.ReadAt(b, 5); n != 2 || err != io.EOF {
			t.Fatalf("read past the end: %d, %v", n, err)
		}
		must(t, f.Sync())
		must(t, f.Close())
	})
}

func TestNames(t *testing.T) {
	both(t, func(t *testing.T, fsys FS) {
		must(t, fsys.Mkdir("d", 0o700))
		must(t, create(t, fsys, "d/x").Close())
		must(t, fsys.Rename("d/x", "d/y"))
		must(t, fsys.SyncDir("d"))
		list, err := fsys.ReadDir("d")
		if err != nil || len(list) != 1 || list[0].Name() != "y" {
			t.Fatalf("list %v, %v", list, err)
		}
		info, err := fsys.Stat("d/y")
		if err != nil || info.Size() != 0 || info.IsDir() {
			t.Fatalf("stat %v, %v", info, err)
		}
		if fsys.Remove("d") == nil {
			t.Fatal("a directory with files was removed")
		}
		must(t, fsys.Remove("d/y"))
		must(t, fsys.Remove("d"))
		if n, err := fsys.Free(); err != nil || n <= 0 {
			t.Fatalf("free %d, %v", n, err)
		}
	})
}

func TestErrors(t *testing.T) {
	both(t, func(t *testing.T, fsys FS) {
		_, err := fsys.Open("none", os.O_RDWR, 0)
		if !qsc.IsKind(err, qsc.NotFound) || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("missing file: %v", err)
		}
		must(t, create(t, fsys, "a").Close())
		if _, err := fsys.Open("a", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !qsc.IsKind(err, qsc.Exists) {
			t.Fatalf("existing file: %v", err)
		}
		for _, bad := range []string{"../x", "/etc/passwd"} {
			if _, err := fsys.Open(bad, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
				t.Fatalf("%q was opened", bad)
			}
		}
		f := create(t, fsys, "b")
		must(t, f.Truncate(5000))
		for _, r := range [][2]int64{{0, 0}, {-4096, 10}, {1, 10}, {0, 5001}, {1 << 40, 1}} {
			if _, err := f.Map(r[0], r[1]); !qsc.IsKind(err, qsc.Invalid) {
				t.Fatalf("map %v: %v", r, err)
			}
		}
	})
}

func TestSymlinkCannotEscape(t *testing.T) {
	root := t.TempDir()
	must(t, os.Symlink(t.TempDir(), filepath.Join(root, "out")))
	d, err := Dir(root)
	must(t, err)
	defer d.Close()
	if _, err := d.Open("out/x", os.O_RDWR|os.O_CREATE, 0o600); err == nil {
		t.Fatal("a symbolic link led out of the tree")
	}
}

func TestFillZeros(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "z"))
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("keep"), 0)
	must(t, err)
	must(t, fillZeros(f, 4, 3<<20+5))
	b, err := os.ReadFile(f.Name())
	must(t, err)
	if len(b) != 3<<20+5 || string(b[:4]) != "keep" || bytes.Count(b[4:], []byte{0}) != len(b)-4 {
		t.Fatalf("%d bytes", len(b))
	}
}

func TestLock(t *testing.T) {
	root := t.TempDir()
	unlock, err := Lock(root)
	must(t, err)
	_, err = Lock(root)
	if !qsc.IsKind(err, qsc.Busy) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("second lock: %v", err)
	}
	must(t, unlock())
	must(t, unlock())
	again, err := Lock(root)
	must(t, err)
	must(t, again())
	if _, err := Lock(filepath.Join(root, "none")); !qsc.IsKind(err, qsc.NotFound) {
		t.Fatalf("no directory: %v", err)
	}
}

func TestMemFull(t *testing.T) {
	d := Mem(10000)
	f := create(t, d, "a")
	must(t, f.Allocate(8192))
	if err := f.Allocate(10001); !qsc.IsKind(err, qsc.NoSpace) {
		t.Fatalf("allocate beyond the disk: %v", err)
	}
	if n, _ := d.Free(); n != 10000-8192 {
		t.Fatalf("free %d", n)
	}
}

func TestMemCrash(t *testing.T) {
	d := Mem(1 << 20)
	f := create(t, d, "a")
	_, err := f.WriteAt(bytes.Repeat([]byte{1}, 4096), 0)
	must(t, err)
	if c := d.Crashed(nil); len(c.now) != 1 {
		t.Fatal("an entry without SyncDir survived")
	}
	must(t, d.SyncDir("."))
	c := d.Crashed(nil)
	if info, err := c.Stat("a"); err != nil || info.Size() != 0 {
		t.Fatalf("unsynced bytes survived: %v, %v", info, err)
	}
	must(t, f.Sync())
	_, err = f.WriteAt(bytes.Repeat([]byte{2}, 4096), 0)
	must(t, err)
	if got := content(t, d.Crashed(nil), "a"); got != strings.Repeat("\x01", 4096) {
		t.Fatal("synced bytes were lost")
	}
	seen := map[string]bool{}
	for i := range uint64(40) {
		s := content(t, d.Crashed(rand.New(rand.NewPCG(1, i))), "a")
		for at := 0; at < len(s); at += sector {
			seen[s[at:at+1]] = seen[s[at:at+1]] || s[at:at+sector] == strings.Repeat(s[at:at+1], sector)
		}
	}
	if !seen["\x01"] || !seen["\x02"] {
		t.Fatal("a crash never keeps, or never loses, an unsynced sector")
	}
}

func TestMemCrashRename(t *testing.T) {
	d := Mem(1 << 20)
	must(t, create(t, d, "a").Close())
	must(t, d.SyncDir("."))
	must(t, d.Rename("a", "b"))
	c := d.Crashed(nil)
	if _, err := c.Stat("a"); err != nil {
		t.Fatal("an unsynced rename survived")
	}
	must(t, d.SyncDir("."))
	c = d.Crashed(nil)
	if _, err := c.Stat("b"); err != nil {
		t.Fatal("a synced rename was lost")
	}
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.Open(name, os.O_RDWR, 0)
	must(t, err)
	n, err := f.Size()
	must(t, err)
	b := make([]byte, n)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	return string(b)
}

func TestFaulty(t *testing.T) {
	write := func(f File) error { _, err := f.WriteAt([]byte("abcd"), 0); return err }
	for _, m := range Modes() {
		f := Faulty(Mem(1<<20), Plan{Step: 2, Mode: m})
		file := create(t, f, "x") // step 1
		err := write(file)        // step 2
		if err == nil || qsc.IsKind(err, qsc.NoSpace) != (m == Full) {
			t.Fatalf("%v: %v", m, err)
		}
		want := map[Mode]int64{Lost: 0, Kept: 4, Torn: 2, Full: 0}[m]
		if n, _ := file.Size(); n != want {
			t.Fatalf("%v: %d bytes had effect, want %d", m, n, want)
		}
		must(t, write(file))
		if f.Steps() != 3 {
			t.Fatalf("%d steps", f.Steps())
		}
	}
}

func TestFaultyCrash(t *testing.T) {
	f := Faulty(Mem(1<<20), Plan{})
	file := create(t, f, "x")
	must(t, file.Allocate(8192))
	m, err := file.Map(0, 8192)
	must(t, err)
	f.Arm(Plan{Step: 1, Crash: true})
	if err := m.Sync(0, 1); !errors.Is(err, ErrInjected) || !f.Crashed() {
		t.Fatalf("planned crash: %v", err)
	}
	_, read := file.ReadAt(make([]byte, 1), 0)
	_, mapped := file.Map(0, 4096)
	_, opened := f.Open("x", os.O_RDWR, 0)
	_, listed := f.ReadDir(".")
	_, stat := f.Stat("x")
	for i, err := range []error{read, mapped, opened, listed, stat, file.Sync(), file.Truncate(1), file.Allocate(9000),
		f.Rename("x", "y"), f.Remove("x"), f.Mkdir("d", 0o700), f.SyncDir(".")} {
		if !errors.Is(err, ErrInjected) {
			t.Fatalf("call %d after the crash: %v", i, err)
		}
	}
}
