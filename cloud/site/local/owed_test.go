package local

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud/cloudtest"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// sick is a disk on which, once left has reached zero, every sync takes effect
// and yet fails.
type sick struct {
	durable.FS
	left atomic.Int64
}

func (d *sick) Open(name string, flag int, perm fs.FileMode) (durable.File, error) {
	f, err := d.FS.Open(name, flag, perm)
	return sickFile{f, d}, err
}

type sickFile struct {
	durable.File
	d *sick
}

func (f sickFile) Sync() error {
	err := f.File.Sync()
	if f.d.left.Add(-1) < 0 {
		err = errors.New("sick")
	}
	return err
}

const healthy = 1 << 40

// A commit that failed, whose record is on disk all the same and which could
// not be taken back while the disk was sick, is taken back before the next
// commit is acknowledged, and before a deletion of it is.
func TestOwedKill(t *testing.T) {
	kept, lost := cloudtest.NewRef("home", 1, 1), cloudtest.NewRef("home", 2, 1)
	unreachable := 0
	for syncs := range int64(6) {
		for _, deletion := range []bool{false, true} {
			d := &sick{FS: durable.Mem(16 << 20)}
			d.left.Store(healthy)
			s := open(t, testConfig(d))
			cloudtest.PutShare(t, s, kept, 1, 100)
			d.left.Store(syncs)
			err := cloudtest.TryPut(bg, s, lost, 1, 100)
			if err == nil {
				continue
			}
			if qsc.IsKind(err, qsc.Unreachable) {
				unreachable++
				if s.Delete(bg, lost) == nil {
					t.Fatal("a deletion succeeded although the share may come back")
				}
			}
			d.left.Store(healthy)
			if deletion {
				if err := s.Delete(bg, lost); err != nil {
					t.Fatal(err)
				}
			} else {
				cloudtest.PutShare(t, s, kept, 2, 200)
			}
			for range 2 {
				if _, err := s.Stat(bg, lost); !qsc.IsKind(err, qsc.NotFound) {
					t.Fatalf("%d syncs: got %v, want %v", syncs, err, qsc.NotFound)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, testConfig(d))
				reclaim(t, s)
			}
		}
	}
	if unreachable == 0 {
		t.Fatal("the case was never met")
	}
}
