package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file that changes while it is read gives an error before its last byte, so
// that no node takes it for whole.
func TestChangedFileIsRefused(t *testing.T) {
	for name, change := range map[string]func(string) error{
		"longer":  func(p string) error { return os.WriteFile(p, []byte("0123456789abc"), 0o600) },
		"shorter": func(p string) error { return os.Truncate(p, 4) },
	} {
		path := write(t, filepath.Join(t.TempDir(), "f"), "0123456789")
		src, size, err := source(path, nil)
		if err != nil || size != 10 {
			t.Fatal(size, err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(src)
		if !qsc.IsKind(err, qsc.Conflict) || len(got) >= 10 {
			t.Errorf("%s: %d bytes, %v; want Conflict before the end", name, len(got), err)
		}
		src.Close()
	}
}

func TestSourceSizes(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]int64{"": 0, "abc": 3} {
		src, size, err := source(write(t, filepath.Join(dir, "f"), text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(src); size != want || string(got) != text || err != nil {
			t.Errorf("%q: size %d, %q, %v", text, size, got, err)
		}
		src.Close()
	}
	if _, size, err := source("-", strings.NewReader("x")); size != -1 || err != nil {
		t.Errorf("standard input: %d, %v", size, err)
	}
	if _, _, err := source("a\x00b", nil); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("a NUL: %v", err)
	}
	if src, size, err := source(os.DevNull, nil); err != nil || size != -1 {
		t.Errorf("a device: %d, %v", size, err)
	} else {
		src.Close()
	}
}

func TestNamesOfObjectsAndFiles(t *testing.T) {
	for file, want := range map[string]string{"/a/b/scan.bin": "scan.bin", "x": "x", "d/": "d"} {
		if got, err := nameFor([]string{file}); got != want || err != nil {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	for _, file := range []string{"-", "/", ".", "..", "a/.."} {
		if got, err := nameFor([]string{file}); err == nil {
			t.Errorf("%s gives the name %q", file, got)
		}
	}
	for name, want := range map[string]string{"a/b": "b", "b": "b"} {
		if got, err := outputFor(name, ""); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"a/..", "..", ".", "/", "", "a\x00b"} {
		if got, err := outputFor(name, ""); err == nil {
			t.Errorf("%q gives the file %q", name, got)
		}
	}
}

// What somebody else has put there since is never replaced.
func TestKeepNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "scan")
	dst, err := destination("scan", getOptions{out: path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dst.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	write(t, path, "old")
	if err := dst.keep(false); !qsc.IsKind(err, qsc.Exists) {
		t.Errorf("got %v, want Exists", err)
	}
	dst.drop()
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("the file is %q", b)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("left behind: %v", all)
	}
	dst, err = destination("scan", getOptions{out: path, force: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.drop()
	if _, err := dst.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := dst.keep(true); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "new" {
		t.Errorf("the file is %q", b)
	}
}
