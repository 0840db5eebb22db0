package local

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

// A damaged piece is told as such, with the site's name, and the others are read.
func TestDamagedPiece(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	ref := cloudtest.NewRef("home", 1, 1)
	sizes := []int{500, 500, 80000, 500, 500}
	cloudtest.PutShare(t, s, ref, 1, sizes...)
	path := filepath.Join(dir, segName(1))
	for i, size := range sizes {
		flip(t, path, cloudtest.Piece(ref, 1, uint32(i), size)[:48])
		r, err := s.Open(bg, ref, 0, uint32(len(sizes)))
		if err != nil {
			t.Fatal(err)
		}
		for j := range sizes {
			p, err := r.Next()
			if j == i != qsc.IsKind(err, qsc.Corrupt) || j != i && !bytes.Equal(p, cloudtest.Piece(ref, 1, uint32(j), sizes[j])) {
				t.Fatalf("piece %d damaged: piece %d gives %v", i, j, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		flip(t, path, nil)
	}
	// A repair replaces the damaged share.
	flip(t, path, cloudtest.Piece(ref, 1, 0, 500)[:48])
	cloudtest.PutShare(t, s, ref, 2, sizes...)
	cloudtest.WantShare(t, s, ref, 2, sizes...)
}

var flipped int64

// flip damages the byte in the middle of what is found; nil repairs it.
func flip(t *testing.T, path string, what []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if what != nil {
		i := bytes.Index(b, what)
		if i < 0 {
			t.Fatal("the bytes to damage are not there")
		}
		flipped = int64(i + len(what)/2)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b[flipped] ^ 1}, flipped); err != nil {
		t.Fatal(err)
	}
}

// A damaged footer costs a scan, nothing else; a vanished segment costs its
// own pieces, which then are Corrupt.
func TestDamagedSegments(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, SegmentSize: 32 << 10, Manual: true}
	s := open(t, cfg)
	for i := range 20 {
		cloudtest.PutShare(t, s, cloudtest.NewRef("home", i, 1), 1, 3000, 3000)
	}
	reclaim(t, s)
	if !s.segs[1].sealed || s.segs[2] == nil {
		t.Fatal("the first segment was not sealed")
	}
	size := s.segs[1].size
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, segName(1)), size-5); err != nil {
		t.Fatal(err)
	}
	s = open(t, cfg)
	for i := range 20 {
		cloudtest.WantShare(t, s, cloudtest.NewRef("home", i, 1), 1, 3000, 3000)
	}
	reclaim(t, s)
	if !s.segs[1].sealed {
		t.Fatal("the first segment was not sealed again")
	}
}

func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	cloudtest.PutShare(t, s, cloudtest.NewRef("home", 1, 1), 1, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, ID: "beta"}); !qsc.IsKind(err, qsc.Conflict) {
		t.Fatalf("another site's directory: got %v, want %v", err, qsc.Conflict)
	}
	if _, err := Open(Config{Dir: filepath.Join(dir, "none"), ID: "alpha"}); !qsc.IsKind(err, qsc.NotFound) {
		t.Fatalf("no directory: got %v, want %v", err, qsc.NotFound)
	}
	for _, cfg := range []Config{{Dir: dir}, {Dir: dir, ID: "alpha", SegmentSize: 1}, {Dir: dir, ID: "alpha", SegmentSize: 2 << 30}} {
		if _, err := Open(cfg); !qsc.IsKind(err, qsc.Invalid) {
			t.Fatalf("%+v: got %v, want %v", cfg, err, qsc.Invalid)
		}
	}
	// What a crash leaves of a segment being made does no harm, nor does any other file.
	for _, name := range []string{segName(9), "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a header"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, Config{Dir: dir})
	cloudtest.WantShare(t, s, cloudtest.NewRef("home", 1, 1), 1, 100)
}
