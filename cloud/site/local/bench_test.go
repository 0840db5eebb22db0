package local

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
)

const (
	bigShare = 64 << 20
	bigPiece = 1 << 20
)

// BenchmarkPut64MiB is a share of 64 pieces of 1 MiB until it is durable; its
// peer BenchmarkFile64MiB writes the same bytes to a plain file and syncs it.
func BenchmarkPut64MiB(b *testing.B) {
	s := open(b, Config{Dir: b.TempDir()})
	ref := cloudtest.NewRef("home", 1, 1)
	piece := cloudtest.Piece(ref, 1, 0, bigPiece)
	b.SetBytes(bigShare)
	for b.Loop() {
		w, err := s.Create(bg, ref)
		if err != nil {
			b.Fatal(err)
		}
		for range bigShare / bigPiece {
			if err := w.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Commit([]byte("meta")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFile64MiB(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	piece := cloudtest.Piece(cloudtest.NewRef("home", 1, 1), 1, 0, bigPiece)
	b.SetBytes(bigShare)
	for i := 0; b.Loop(); i++ {
		f, err := os.Create(fmt.Sprint(path, i%8))
		if err != nil {
			b.Fatal(err)
		}
		for range bigShare / bigPiece {
			if _, err := f.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet64MiB(b *testing.B) {
	s := open(b, Config{Dir: b.TempDir()})
	ref := cloudtest.NewRef("home", 1, 1)
	sizes := make([]int, bigShare/bigPiece)
	for i := range sizes {
		sizes[i] = bigPiece
	}
	cloudtest.PutShare(b, s, ref, 1, sizes...)
	b.SetBytes(bigShare)
	for b.Loop() {
		r, err := s.Open(bg, ref, 0, uint32(len(sizes)))
		if err != nil {
			b.Fatal(err)
		}
		for range sizes {
			if _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCommit is shares of 7 KiB, each durable before the next of its
// committer.
func BenchmarkCommit(b *testing.B) {
	for _, committers := range []int{1, 16} {
		b.Run(fmt.Sprint(committers), func(b *testing.B) {
			s := open(b, Config{Dir: b.TempDir()})
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range committers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := cloudtest.TryPut(bg, s, cloudtest.NewRef("home", int(i), 1), 1, 7<<10); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkOpen is the start of a site with 100,000 shares, most of them in
// sealed segments.
func BenchmarkOpen(b *testing.B) {
	cfg := Config{Dir: b.TempDir(), ID: "alpha", SegmentSize: 32 << 20, MinFree: -1, Manual: true}
	s := open(b, cfg)
	const shares, committers = 100_000, 64
	var wg sync.WaitGroup
	for c := range committers {
		wg.Go(func() {
			for i := c; i < shares; i += committers {
				if err := cloudtest.TryPut(bg, s, cloudtest.NewRef("home", i, 1), 1, 700); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.Reclaim(bg); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if s, err = Open(cfg); err != nil {
			b.Fatal(err)
		}
		if s.idx.shares != shares {
			b.Fatalf("%d shares, want %d", s.idx.shares, shares)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
