package timetag

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// campus is a bright source over a short link: about 40,000 coincidences in a second
// among 80,000 clicks at either end.
var campus = Simulation{
	PairsHz: 120_000, EtaA: 0.6, EtaB: 0.58, DarkHz: 1500, JitterS: 150e-12, EMis: 0.02, DeadTimeS: 1e-6, OffsetS: 0.0123456789,
}

var world = quantum.World{Seed: [32]byte{1}, Start: distilltest.At(0).At}

// rig is the two taggers' directories and the two ends.
type rig struct {
	paths [2]string
	cfg   Config
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{
		paths: [2]string{t.TempDir(), t.TempDir()},
		cfg: Config{
			Block: 20_000, Grace: 20 * time.Millisecond, Acquire: 1, Random: rand.NewChaCha8([32]byte{9}),
			Security: bbm92.Security{EpsSec: 1e-10, EpsCor: 1e-10},
		},
	}
}

func (r *rig) roots(t testing.TB) (roots [2]*os.Root) {
	t.Helper()
	for end, path := range r.paths {
		root, err := os.OpenRoot(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = root.Close() })
		roots[end] = root
	}
	return roots
}

// write fills the directories: with links to files that are drawn once, where the
// source is the usual one.
func (r *rig) write(t testing.TB, s Simulation, epochs int) {
	t.Helper()
	if s != campus {
		roots := r.roots(t)
		if err := s.Simulate(world, epochs, roots[0], roots[1]); err != nil {
			t.Fatal(err)
		}
		return
	}
	from := common()
	last := EpochAt(Begin(world)) + Epoch(epochs)
	for end, path := range from {
		names, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range names {
			if e, err := ParseEpoch(x.Name()); err == nil && (e > last || end == 0 && e == last) {
				continue
			}
			if err := os.Link(filepath.Join(path, x.Name()), filepath.Join(r.paths[end], x.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// shared holds the directories of common.
var shared string

// common draws campus once.
var common = sync.OnceValue(func() (paths [2]string) {
	var roots [2]*os.Root
	for end := range paths {
		paths[end] = filepath.Join(shared, []string{"alice", "bob"}[end])
		_ = os.Mkdir(paths[end], 0o700)
		root, err := os.OpenRoot(paths[end])
		if err != nil {
			panic(err)
		}
		defer root.Close()
		roots[end] = root
	}
	if err := campus.Simulate(world, 12, roots[0], roots[1]); err != nil {
		panic(err)
	}
	return paths
})

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "timetag"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(shared)
	os.Exit(code)
}

func (r *rig) open(t testing.TB) (ends [2]distill.Protocol) {
	t.Helper()
	for end := range ends {
		cfg := r.cfg
		cfg.Role, cfg.Dir, cfg.Random = distill.Role(end), r.paths[end], rand.NewChaCha8([32]byte{byte(end)})
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		ends[end] = p
	}
	return ends
}

func begin() distill.Start { return distill.Start{At: Begin(world)} }

func sift(t testing.TB, ends [2]distill.Protocol, start distill.Start) ([2]*distill.Sifted, [2]error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return distilltest.Sift(ctx, ends, start)
}

func differ(a, b distill.Bits) (n int) {
	for i := range a.N {
		if a.Bit(i) != b.Bit(i) {
			n++
		}
	}
	return n
}
