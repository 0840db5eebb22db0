package keys

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

// smallSupply puts the supply of a node on a small file system of its own and
// returns the directory beside it.
func smallSupply(t *testing.T, n *network, id qsc.NodeID, size string) string {
	t.Helper()
	dir := filepath.Join(n.Dir, "small")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("skipped: mounting a small file system needs root; keymgmt/supply tests a full disk step by step")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	supply := filepath.Join(n.Fleet.NodeDir(id), "supply")
	err = errors.Join(os.MkdirAll(filepath.Join(dir, "supply"), 0o700), os.RemoveAll(supply), os.Symlink(filepath.Join(dir, "supply"), supply))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill writes until there is no room at all.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, zeros{})
	_ = f.Close()
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal("the disk does not fill:", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A node whose disk is full gives out no key that it cannot mark; the others go
// on; it goes on itself when there is room, and also when it was killed meanwhile.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := &world{network: prepare(t, simulated), seed: seed(t), oracle: newOracle(), intruders: map[qsc.AppID]*etsi014.Client{}, kills: map[qsc.NodeID]int64{}}
	small := smallSupply(t, w.network, "c", "16m")
	if err := w.Fleet.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Linked()
	w.employ(1)
	w.recovery(-1)
	for _, killed := range []bool{false, true} {
		fill(t, filepath.Join(small, "junk"))
		w.beginFault()
		refused := w.drawWhileFull()
		t.Logf("%d requests refused, %v", refused, w.oracle.totals())
		if refused == 0 {
			t.Error("no request was refused: the disk is not full, the test shows nothing")
		}
		if killed {
			w.slain("c")
			w.Kill("c")
			w.slain("c")
			if err := w.StartNode("c"); err != nil && !qsc.IsKind(err, qsc.NoSpace) {
				w.fatal("a node whose disk is full: %v", err)
			}
		}
		if err := os.Remove(filepath.Join(small, "junk")); err != nil {
			t.Fatal(err)
		}
		w.endFault()
		w.revive()
		w.recovery(0)
	}
	w.finish()
}

// drawWhileFull has the applications of the node draw, and fetch nothing, until
// they are refused again and again, and those of other nodes draw as ever.
func (w *world) drawWhileFull() int {
	w.T.Helper()
	var refused atomic.Int64
	for end := time.Now().Add(patience); refused.Load() < 3 && time.Now().Before(end); {
		var all sync.WaitGroup
		for _, k := range w.workers {
			all.Go(func() {
				if k.concerns("c") {
					k.once(&refused)
				} else if err := k.step(w.T.Context()); err != nil {
					w.oracle.fail("a pair that has nothing to do with the full disk: %v", err)
				}
			})
		}
		all.Wait()
	}
	w.oracles()
	return int(refused.Load())
}

// once draws a large batch without asking again.
func (k *worker) once(refused *atomic.Int64) {
	q := k.request()
	q.Number, q.Size = 128, 4096
	kills := k.kills()
	c, err := k.master.EncKeys(k.w.T.Context(), string(k.f.slaves[0]), q)
	if k.judge(err, "a request at a full disk"); err != nil {
		if qsc.IsKind(err, qsc.Exhausted) {
			refused.Add(1)
		}
		return
	}
	defer c.Bytes.Zeroise()
	k.w.oracle.issued(k.flow, c, true)
	k.late = append(k.late, batch{ids: c.IDs, kills: kills})
}

func (k *worker) concerns(id qsc.NodeID) bool {
	at := k.w.saes[k.f.master].Node == id
	for _, s := range k.f.slaves {
		at = at || k.w.saes[s].Node == id
	}
	return at
}
