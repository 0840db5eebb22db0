package timetag

import (
	"context"
	"math/rand/v2"
	"os"
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
			Block: 30_000, Grace: 20 * time.Millisecond, Random: rand.NewChaCha8([32]byte{9}),
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

func (r *rig) write(t testing.TB, s Simulation, epochs int) {
	t.Helper()
	roots := r.roots(t)
	if err := s.Simulate(world, epochs, roots[0], roots[1]); err != nil {
		t.Fatal(err)
	}
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
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
