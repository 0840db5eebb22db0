package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"pgregory.net/rapid"
)

var bg = context.Background()

// version is what a share may be: a generation with its piece sizes; none if gen is 0.
type version struct {
	gen   int
	sizes []int
}

// model is what a site must hold. A ref may stand for several versions where a
// crash or a doubly failing disk leaves that open.
type model map[cloud.Ref][]version

func (m model) only(ref cloud.Ref, v version) { m[ref] = []version{v} }

func (m model) maybe(ref cloud.Ref, v version) {
	if len(m[ref]) == 0 {
		m[ref] = []version{{}}
	}
	m[ref] = append(m[ref], v)
}

// check compares the site with the model and narrows it to what is there.
func (m model) check(s *Site) error {
	visible := int64(0)
	for _, ref := range slices.SortedFunc(maps.Keys(m), compareKeys) {
		v, err := m.find(s, ref)
		if err != nil {
			return err
		}
		m.only(ref, v)
		if v.gen != 0 {
			visible++
		}
	}
	st, err := s.Status(bg)
	if err != nil {
		return err
	}
	if st.Shares != visible {
		return fmt.Errorf("%d shares are visible, want %d", st.Shares, visible)
	}
	return accounts(s)
}

func (m model) find(s *Site, ref cloud.Ref) (version, error) {
	var errs []error
	for _, v := range m[ref] {
		if v.gen == 0 {
			_, err := s.Stat(bg, ref)
			if qsc.IsKind(err, qsc.NotFound) {
				return v, nil
			}
			errs = append(errs, fmt.Errorf("%v is there", ref))
			continue
		}
		err := cloudtest.CheckShare(bg, s, ref, v.gen, v.sizes...)
		if err == nil {
			return v, nil
		}
		errs = append(errs, fmt.Errorf("generation %d of %v: %w", v.gen, ref, err))
	}
	return version{}, errors.Join(errs...)
}

// accounts checks the site's bookkeeping against its index.
func accounts(s *Site) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := map[uint32]int64{}
	total := int64(0)
	for _, sh := range s.idx.all() {
		c := sh.control()
		live[sh.seg] += step(c.size())
		total += sh.bytes
		for _, e := range sh.extents {
			live[e.seg] += e.room()
		}
	}
	for id, g := range s.segs {
		if g.live != live[id] || g.pending != 0 || g.pins != 0 || g.writing != 0 {
			return fmt.Errorf("segment %d: live %d (want %d), pending %d, pins %d, writing %d", id, g.live, live[id], g.pending, g.pins, g.writing)
		}
	}
	if s.idx.bytes != total || s.writers != 0 {
		return fmt.Errorf("%d bytes (want %d), %d writers", s.idx.bytes, total, s.writers)
	}
	return nil
}

// script is a fixed course of operations that passes every persisting step:
// puts big and small, interleaved, replacement, deletion, abort, sealing,
// removal and compaction. put and del are told how each operation ended.
func script(s *Site, put func(ref cloud.Ref, v version, err error), del func(ref cloud.Ref, err error)) {
	ref := func(i int) cloud.Ref { return cloudtest.NewRef("home", i, 1) }
	gen := 0
	store := func(i int, sizes ...int) {
		gen++
		put(ref(i), version{gen, sizes}, cloudtest.TryPut(bg, s, ref(i), gen, sizes...))
	}
	remove := func(i int) { del(ref(i), s.Delete(bg, ref(i))) }
	store(1, 3000, 3000, 100)
	store(2, 90000, 70)
	abandon(s, ref(3), 5000, 5000)
	store(3, 2000)
	store(1, 4000, 4000) // replaces
	for i := 10; i < 18; i++ {
		store(i, 1500, 700)
	}
	_ = s.Reclaim(bg)
	for i := 10; i < 18; i++ {
		if i%4 != 0 {
			remove(i)
		}
	}
	remove(2)
	_ = s.Reclaim(bg)
	store(11, 500)
	store(16, 1000, 66, 1000)
	remove(3)
	abandon(s, ref(20), 30000, 30000)
	_ = s.Reclaim(bg)
	store(21, 64)
}

func abandon(s *Site, ref cloud.Ref, sizes ...int) {
	w, err := s.Create(bg, ref)
	if err != nil {
		return
	}
	for i, size := range sizes {
		if w.Write(cloudtest.Piece(ref, 99, uint32(i), size)) != nil {
			return
		}
	}
	_ = w.Abort()
}

func testConfig(fs durable.FS) Config {
	return Config{ID: "alpha", FS: fs, SegmentSize: 8 << 10, MinFree: -1, Manual: true}
}

// Every persisting step of the script fails once, in every way. While the
// process lives: what succeeded is there, what failed is as if never tried, and
// the site goes on. After a power cut at the end and a start: the same, but for
// deletions that failed and commits that the site could not take back.
func TestFaultMatrix(t *testing.T) {
	counted := durable.Faulty(durable.Mem(64<<20), durable.Plan{})
	s, err := Open(testConfig(counted))
	if err != nil {
		t.Fatal(err)
	}
	script(s, func(_ cloud.Ref, _ version, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}, func(_ cloud.Ref, err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	steps := counted.Steps()
	if steps < 100 {
		t.Fatalf("the script has %d persisting steps, too few to mean anything", steps)
	}
	for step := int64(1); step <= steps; step++ {
		for _, mode := range durable.Modes() {
			for _, crash := range []bool{false, true} {
				p := durable.Plan{Step: step, Mode: mode, Crash: crash}
				if err := faultCase(p); err != nil {
					t.Fatalf("%+v: %v", p, err)
				}
			}
		}
	}
}

func faultCase(p durable.Plan) error {
	disk := durable.Mem(64 << 20)
	faults := durable.Faulty(disk, p)
	s, err := Open(testConfig(faults))
	if err != nil && !p.Crash { // a start that failed can be tried again
		s, err = Open(testConfig(faults))
	}
	if err != nil {
		if p.Crash {
			return nil
		}
		return err
	}
	m := model{}
	live := model{}
	script(s, func(ref cloud.Ref, v version, err error) {
		switch {
		case err == nil:
			m.only(ref, v)
			live.only(ref, v)
		case p.Crash || qsc.IsKind(err, qsc.Unreachable):
			m.maybe(ref, v)
		}
	}, func(ref cloud.Ref, err error) {
		if err == nil {
			m.only(ref, version{})
			live.only(ref, version{})
			return
		}
		m.maybe(ref, version{})
	})
	if !faults.Crashed() {
		if err := live.check(s); err != nil {
			return fmt.Errorf("while it lives: %w", err)
		}
	}
	return afterPowerCut(disk, m, p.Step)
}

// afterPowerCut opens what a power cut leaves, with the unsynced lost and with
// a random part of it kept, and then works on it.
func afterPowerCut(disk *durable.Disk, m model, seed int64) error {
	for _, r := range []*rand.Rand{nil, rand.New(rand.NewPCG(uint64(seed), 1))} {
		s, err := Open(testConfig(disk.Crashed(r)))
		if err != nil {
			return err
		}
		m := maps.Clone(m)
		if err := m.check(s); err != nil {
			return fmt.Errorf("after a power cut (all unsynced lost: %v): %w", r == nil, err)
		}
		if err := s.Reclaim(bg); err != nil {
			return err
		}
		ref := cloudtest.NewRef("home", 77, 1)
		if err := cloudtest.TryPut(bg, s, ref, 1, 300, 9000); err != nil {
			return err
		}
		m.only(ref, version{1, []int{300, 9000}})
		if err := m.check(s); err != nil {
			return fmt.Errorf("after compaction: %w", err)
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Random courses with restarts, power cuts and faults, against the model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := durable.Mem(64 << 20)
		faults := durable.Faulty(disk, durable.Plan{})
		s, m, gen := reopen(t, faults), model{}, 0
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			ref := cloudtest.NewRef("home", rapid.IntRange(0, 5).Draw(t, "object"), 1)
			switch rapid.SampledFrom([]string{"put", "put", "put", "delete", "abort", "fault", "reclaim", "restart", "cut", "check"}).Draw(t, "op") {
			case "put":
				gen++
				v := version{gen, rapid.SliceOfN(rapid.IntRange(64, 6000), 0, 6).Draw(t, "sizes")}
				switch err := cloudtest.TryPut(bg, s, ref, gen, v.sizes...); {
				case err == nil:
					m.only(ref, v)
				case qsc.IsKind(err, qsc.Unreachable):
					m.maybe(ref, v)
				}
			case "delete":
				if s.Delete(bg, ref) == nil {
					m.only(ref, version{})
				} else {
					m.maybe(ref, version{})
				}
			case "abort":
				abandon(s, ref, 3000, 70)
			case "fault":
				mode := rapid.SampledFrom(durable.Modes()).Draw(t, "mode")
				faults.Arm(durable.Plan{Step: int64(rapid.IntRange(1, 12).Draw(t, "step")), Mode: mode})
			case "reclaim":
				_ = s.Reclaim(bg) // a fault may hit it
			case "restart":
				faults.Arm(durable.Plan{})
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = reopen(t, faults)
				verify(t, m, s)
			case "cut":
				disk = disk.Crashed(rand.New(rand.NewPCG(uint64(gen), 1)))
				faults = durable.Faulty(disk, durable.Plan{})
				s = reopen(t, faults)
				verify(t, m, s)
			case "check":
				m.checkLive(t, s)
			}
		}
	})
}

func reopen(t *rapid.T, fs durable.FS) *Site {
	s, err := Open(testConfig(fs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verify(t *rapid.T, m model, s *Site) {
	if err := m.check(s); err != nil {
		t.Fatal(err)
	}
}

// checkLive does not narrow what a restart may still decide.
func (m model) checkLive(t *rapid.T, s *Site) {
	if err := maps.Clone(m).check(s); err != nil {
		t.Fatal(err)
	}
}
