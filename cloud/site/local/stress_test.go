package local

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

// Writers, readers, deletions and compaction at the same time: every worker
// finds its own shares as it left them, and so does the next start.
func TestStress(t *testing.T) {
	const workers, rounds = 6, 120
	cfg := Config{Dir: t.TempDir(), SegmentSize: 128 << 10}
	s := open(t, cfg)
	models := make([]model, workers)
	var wg sync.WaitGroup
	for w := range workers {
		models[w] = model{}
		wg.Go(func() {
			if err := work(s, models[w], w, rounds); err != nil {
				t.Errorf("worker %d: %v", w, err)
			}
		})
	}
	wg.Wait()
	if err := s.Reclaim(bg); err != nil {
		t.Fatal(err)
	}
	all := model{}
	for _, m := range models {
		maps.Copy(all, m)
	}
	for range 2 {
		if err := all.check(s); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, cfg)
		if err := s.Reclaim(bg); err != nil {
			t.Fatal(err)
		}
	}
}

// work runs one worker over refs of its own.
func work(s *Site, m model, worker, rounds int) error {
	r := rand.New(rand.NewPCG(uint64(worker), 7))
	for gen := 1; gen <= rounds; gen++ {
		ref := cloudtest.NewRef("home", worker*100+r.IntN(8), 1)
		switch r.IntN(5) {
		case 0:
			if err := s.Delete(bg, ref); err != nil {
				return err
			}
			m.only(ref, version{})
		case 1:
			abandon(s, ref, 20000, 70000)
		default:
			v := version{gen, []int{64 + r.IntN(3000), 64 + r.IntN(90000), 64 + r.IntN(500)}}
			if err := cloudtest.TryPut(bg, s, ref, gen, v.sizes...); err != nil {
				return err
			}
			m.only(ref, v)
		}
		if _, err := m.find(s, ref); m[ref] != nil && err != nil {
			return err
		}
		if _, err := s.List(bg, cloudtest.NewRef("home", 0, 0), 100); err != nil {
			return err
		}
	}
	return nil
}

// Close while all are at work: each gets an answer, and what was acknowledged
// before is there afterwards.
func TestCloseAtWork(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), SegmentSize: 64 << 10}
	s := open(t, cfg)
	models := make([]model, 4)
	var wg sync.WaitGroup
	started := make(chan struct{}, len(models))
	for w := range models {
		models[w] = model{}
		wg.Go(func() {
			for gen := 1; ; gen++ {
				ref := cloudtest.NewRef("home", w, uint64(gen%3))
				err := cloudtest.TryPut(context.Background(), s, ref, gen, 5000, 70000)
				if gen == 5 {
					started <- struct{}{}
				}
				if err == nil {
					models[w].only(ref, version{gen, []int{5000, 70000}})
					continue
				}
				if !qsc.IsKind(err, qsc.Unreachable) {
					t.Error(errors.Join(errors.New("want unreachable"), err))
				}
				models[w].maybe(ref, version{gen, []int{5000, 70000}})
				return
			}
		})
	}
	for range models {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s = open(t, cfg)
	for _, m := range models {
		for ref := range m {
			if _, err := m.find(s, ref); err != nil {
				t.Fatal(err)
			}
		}
	}
}
