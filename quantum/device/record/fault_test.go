package record

import (
	"context"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins/twinstest"
)

// At every step that persists, at either end, failed or failed but done, with and
// without a power cut: no record and no number is used twice, and a block that both
// have is the same.
func TestFaultMatrix(t *testing.T) {
	for _, mode := range durable.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel() // what takes time is waiting
			for end, steps := range []int64{18, 7} {
				for step := int64(1); step <= steps; step++ {
					crash, long := step/2%2 == 0, os.Getenv("QSC_LONG") != ""
					if long || (step+int64(mode))%2 == 0 {
						faultAt(t, end, durable.Plan{Step: step, Mode: mode, Crash: crash})
					}
					if long {
						faultAt(t, end, durable.Plan{Step: step, Mode: mode, Crash: !crash})
					}
				}
			}
		})
	}
}

func faultAt(t *testing.T, end int, plan durable.Plan) {
	t.Helper()
	r := newRig(t)
	r.both(t, records(8*inBlock)...)
	disk := durable.Mem(1 << 20)
	faulty := durable.Faulty(disk, plan)
	swept := &sweeps{FS: faulty}
	r.fs[end] = swept
	h := &history{seen: [2]purse{{}, {}}, blocks: [2]map[uint64]quantum.KeyBlock{{}, {}}}
	h.run(t, r, 3)
	if faulty.Steps() < plan.Step {
		t.Fatalf("end %d: only %d steps persist", end, faulty.Steps())
	}
	if got := len(h.blocks[end]); got == 3 && !swept.failed.Load() {
		t.Fatalf("end %d, %+v: nothing failed", end, plan)
	}
	r.fs[end] = disk.Crashed(rand.New(rand.NewPCG(uint64(plan.Step), uint64(plan.Mode))))
	h.run(t, r, 2)
	for seq, x := range h.blocks[0] {
		if y, ok := h.blocks[1][seq]; ok {
			same(t, x, y)
		}
	}
	if len(h.blocks[0]) < 2 {
		t.Fatalf("end %d, %+v: %d blocks after all", end, plan, len(h.blocks[0]))
	}
}

// sweeps notes whether a list that the slave is done with could not be removed: that
// costs no block, and which step it is depends on when the slave says so.
type sweeps struct {
	durable.FS
	failed atomic.Bool
}

func (s *sweeps) Remove(name string) error {
	err := s.FS.Remove(name)
	if err != nil {
		s.failed.Store(true)
	}
	return err
}

// history is what both ends have handed out.
type history struct {
	seen   [2]purse
	blocks [2]map[uint64]quantum.KeyBlock
}

// run opens both ends, if they open, and takes n blocks, or what comes.
func (h *history) run(t *testing.T, r *rig, n int) {
	t.Helper()
	var links [2]*Link
	for end := range links {
		l, err := Open(r.config(t, end))
		if err != nil {
			continue
		}
		defer l.Close()
		links[end] = l
	}
	if links[0] == nil {
		return
	}
	for range n {
		x, ok := h.take(t, links, 0, twinstest.All)
		if !ok {
			return
		}
		if links[1] != nil {
			if _, ok := h.take(t, links, 1, func(seq uint64) bool { return seq == x.Seq }); !ok {
				return
			}
		}
	}
}

func (h *history) take(t *testing.T, links [2]*Link, end int, want func(uint64) bool) (quantum.KeyBlock, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if links[1] == nil { // nobody tells the master what there is
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
	}
	b, err := links[end].Next(ctx, want)
	if err != nil {
		return b, false
	}
	if _, twice := h.blocks[end][b.Seq]; twice {
		t.Fatalf("end %d: block %d twice", end, b.Seq)
	}
	h.blocks[end][b.Seq] = b
	h.seen[end].take(t, b)
	return b, true
}
