package local

import (
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

func disk(t *testing.T, s *Site) int64 {
	t.Helper()
	st, err := s.Status(bg)
	if err != nil {
		t.Fatal(err)
	}
	return st.Disk
}

func reclaim(t *testing.T, s *Site) {
	t.Helper()
	if err := s.Reclaim(bg); err != nil {
		t.Fatal(err)
	}
}

// A full disk stops the share that meets it, its room comes back, and others
// are not disturbed.
func TestFullDisk(t *testing.T) {
	for name, reserve := range map[string]int64{"refused early": 256 << 10, "met by a write": -1} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Config{FS: durable.Mem(4 << 20), SegmentSize: 256 << 10, MinFree: reserve, Manual: true})
			small, big := cloudtest.NewRef("home", 1, 1), cloudtest.NewRef("home", 2, 1)
			cloudtest.PutShare(t, s, small, 1, 5000)
			before := disk(t, s)
			err := cloudtest.TryPut(bg, s, big, 1, slices.Repeat([]int{100 << 10}, 60)...)
			if !qsc.IsKind(err, qsc.NoSpace) {
				t.Fatalf("got %v, want %v", err, qsc.NoSpace)
			}
			reclaim(t, s)
			if now := disk(t, s); now > before+256<<10 {
				t.Fatalf("%d bytes on disk after the failure, %d before", now, before)
			}
			cloudtest.WantShare(t, s, small, 1, 5000)
			cloudtest.PutShare(t, s, big, 2, slices.Repeat([]int{100 << 10}, 20)...)
			cloudtest.WantShare(t, s, big, 2, slices.Repeat([]int{100 << 10}, 20)...)
		})
	}
}

// On a disk so full that nothing may be stored, deletion still works and helps.
func TestDeleteOnFullDisk(t *testing.T) {
	s := open(t, Config{FS: durable.Mem(2 << 20), SegmentSize: 128 << 10, MinFree: 256 << 10, Manual: true})
	n := 0
	for ; ; n++ {
		err := cloudtest.TryPut(bg, s, cloudtest.NewRef("home", n, 1), 1, 50<<10)
		if qsc.IsKind(err, qsc.NoSpace) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if err := s.Delete(bg, cloudtest.NewRef("home", i, 1)); err != nil {
			t.Fatal(err)
		}
	}
	reclaim(t, s)
	if now := disk(t, s); now > 128<<10 {
		t.Fatalf("%d bytes on disk after everything was deleted", now)
	}
	cloudtest.PutShare(t, s, cloudtest.NewRef("home", 1, 1), 2, 50<<10)
}

// Segments less than half alive are compacted, and nothing comes back to life
// at the next start, whatever was removed in between.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, SegmentSize: 64 << 10, Manual: true}
	s := open(t, cfg)
	const n = 200
	for i := range n {
		cloudtest.PutShare(t, s, cloudtest.NewRef("home", i, 1), 1, 3000)
	}
	full := disk(t, s)
	for i := range n {
		if i%10 != 0 {
			if err := s.Delete(bg, cloudtest.NewRef("home", i, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if i%50 == 49 {
			reclaim(t, s)
		}
	}
	if now := disk(t, s); now > full/3 {
		t.Fatalf("%d bytes on disk, %d before nine of ten were deleted", now, full)
	}
	for range 3 {
		for i := range n {
			ref := cloudtest.NewRef("home", i, 1)
			if i%10 == 0 {
				cloudtest.WantShare(t, s, ref, 1, 3000)
			} else if _, err := s.Stat(bg, ref); !qsc.IsKind(err, qsc.NotFound) {
				t.Fatalf("share %d: got %v, want %v", i, err, qsc.NotFound)
			}
		}
		if err := accounts(s); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg)
		reclaim(t, s)
	}
	if k := len(s.idx.kills); k > n/4 {
		t.Errorf("%d deletions are still remembered", k)
	}
}

// A reader's segments stay until it is closed.
func TestPinned(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), SegmentSize: 32 << 10, Manual: true})
	ref := cloudtest.NewRef("home", 1, 1)
	sizes := slices.Repeat([]int{10000}, 12)
	cloudtest.PutShare(t, s, ref, 1, sizes...)
	r, err := s.Open(bg, ref, 0, 12)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(bg, ref); err != nil {
		t.Fatal(err)
	}
	reclaim(t, s)
	for i := range sizes {
		if _, err := r.Next(); err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
	}
	held := disk(t, s)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	reclaim(t, s)
	if now := disk(t, s); now > held/2 {
		t.Fatalf("%d of %d bytes are still there", now, held)
	}
}

func TestTooManyWriters(t *testing.T) {
	s := open(t, Config{Dir: t.TempDir(), MaxWriters: 2})
	var ws []cloud.PieceWriter
	for i := range 2 {
		w, err := s.Create(bg, cloudtest.NewRef("home", i, 1))
		if err != nil {
			t.Fatal(err)
		}
		ws = append(ws, w)
	}
	if _, err := s.Create(bg, cloudtest.NewRef("home", 9, 1)); !qsc.IsKind(err, qsc.Busy) {
		t.Fatalf("got %v, want %v", err, qsc.Busy)
	}
	if err := ws[0].Abort(); err != nil {
		t.Fatal(err)
	}
	cloudtest.PutShare(t, s, cloudtest.NewRef("home", 9, 1), 1, 100)
	if err := ws[1].Abort(); err != nil {
		t.Fatal(err)
	}
}

func TestPlan(t *testing.T) {
	const size = 1000
	full := standing{size: size, live: size, sealed: true}
	with := func(fn func(*standing)) standing { g := full; g.id = 7; fn(&g); return g }
	for name, c := range map[string]struct {
		g                           standing
		roll, seal, remove, compact bool
	}{
		"alive":               {g: full},
		"half":                {g: with(func(g *standing) { g.live = 500 })},
		"less than half":      {g: with(func(g *standing) { g.live = 499 }), compact: true},
		"dead":                {g: with(func(g *standing) { g.live = 0 }), remove: true},
		"dead, pinned":        {g: with(func(g *standing) { g.live, g.pins = 0, 1 })},
		"dead, written to":    {g: with(func(g *standing) { g.live, g.pending = 0, 1 })},
		"not sealed":          {g: with(func(g *standing) { g.sealed = false }), seal: true},
		"still written":       {g: with(func(g *standing) { g.sealed, g.writing = false, 1 })},
		"failed":              {g: with(func(g *standing) { g.sealed, g.failed = false, true }), compact: true},
		"failed, stuck":       {g: with(func(g *standing) { g.sealed, g.failed, g.stuck = false, true, true })},
		"active":              {g: with(func(g *standing) { g.sealed, g.active = false, true })},
		"active, dead":        {g: with(func(g *standing) { g.sealed, g.active, g.live = false, true, 0 }), roll: true},
		"active, dead, small": {g: with(func(g *standing) { g.sealed, g.active, g.live, g.size = false, true, 0, 200 })},
	} {
		got := plan([]standing{c.g}, size)
		if got.roll != c.roll || len(got.seal) == 1 != c.seal || len(got.remove) == 1 != c.remove || len(got.compact) == 1 != c.compact {
			t.Errorf("%s: %+v", name, got)
		}
	}
	small := with(func(g *standing) { g.size, g.live = 100, 100 })
	if got := plan(slices.Repeat([]standing{small}, smallOnes), size); len(got.compact) != compactions {
		t.Errorf("many small segments: %d to be joined, want %d", len(got.compact), compactions)
	}
}
