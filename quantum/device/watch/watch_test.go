package watch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

func await(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(5 * time.Second):
		t.Fatal("not told of", what)
	}
}

// Every kind of change is told: by the system where it tells, else at the next look.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	w, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	name := filepath.Join(dir, "a")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	await(t, w, "a new file")
	if _, err := f.Write([]byte("grown")); err != nil {
		t.Fatal(err)
	}
	await(t, w, "growth")
	if err := os.Rename(name, name+"2"); err != nil {
		t.Fatal(err)
	}
	await(t, w, "a new name")
	if err := os.Remove(name + "2"); err != nil {
		t.Fatal(err)
	}
	await(t, w, "a file gone")
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
