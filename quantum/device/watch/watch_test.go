package watch

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

func await(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(30 * time.Second):
		t.Fatal("not told of", what)
	}
}

// Every kind of change is told by the system alone, where it tells; elsewhere at the
// next look.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	name := func(n string) string { return filepath.Join(dir, n) }
	for _, n := range []string{"old", "spare"} {
		if err := os.WriteFile(name(n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &Watcher{knock: make(chan struct{}, 1), stop: make(chan struct{})}
	end, err := w.system(dir)
	if w.end = end; err != nil {
		if runtime.GOOS == "linux" {
			t.Fatal(err)
		}
		w.jobs.Go(func() { w.tick(time.Millisecond) })
	}
	defer w.Close()
	f, err := os.Create(name("new"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	await(t, w, "a new file")
	if _, err := f.Write([]byte("grown")); err != nil {
		t.Fatal(err)
	}
	await(t, w, "growth")
	if err := os.Remove(name("old")); err != nil {
		t.Fatal(err)
	}
	await(t, w, "a file gone")
	if err := os.Rename(name("spare"), name("renamed")); err != nil {
		t.Fatal(err)
	}
	await(t, w, "a new name")
}

// Without the system's help.
func TestLooking(t *testing.T) {
	w := &Watcher{knock: make(chan struct{}, 1), stop: make(chan struct{})}
	w.jobs.Go(func() { w.tick(time.Millisecond) })
	await(t, w, "time")
	await(t, w, "time again")
	w.Close()
	w.Close()
}

// Both together, as they are used.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	w, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, w, "a new file")
}

func TestNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), file} {
		if _, err := Dir(path); !qsc.IsKind(err, qsc.NotFound) || strings.Contains(err.Error(), "%!") {
			t.Error(err)
		}
	}
}
