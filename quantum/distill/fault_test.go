package distill_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// small is a rig of quick rounds with a tap on its channel.
func small(t *testing.T) (*rig, *tap) {
	r, p := newRig(t), newTap(t)
	r.bits, r.frame, r.block = 1<<14, 1<<11, 256
	r.wrap = p.wrap
	return r, p
}

// gather takes blocks from both ends until the two have n more in common, or until
// give up.
func gather(t *testing.T, r *rig, k *book, n int, giveUp func() bool) {
	t.Helper()
	limit := time.Now().Add(time.Minute)
	k.mu.Lock()
	goal := k.equal + n
	k.mu.Unlock()
	for end := 0; ; end = 1 - end {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		b, err := r.links[end].Next(ctx, all)
		cancel()
		if err == nil {
			k.add(t, end, b)
		}
		k.mu.Lock()
		done := k.equal >= goal
		k.mu.Unlock()
		if done || giveUp() {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%d blocks in common are wanted, %d are there: %+v, %+v", goal, k.equal, r.links[0].Status(), r.links[1].Status())
		}
	}
}

func never() bool { return false }

func (r *rig) shut() {
	for _, l := range r.links {
		if err := l.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// At every persisting step of an end, failed, failed but done, torn or for lack of
// space, with and without a power cut: no number and no mask is used twice, and what
// both ends have is the same.
func TestFaultMatrix(t *testing.T) {
	stride := int64(17)
	if os.Getenv("QSC_LONG") != "" {
		stride = 1
	}
	for end := range 2 {
		for _, mode := range durable.Modes() {
			for step := int64(1) + int64(mode) + int64(end); step <= 44; step += stride {
				for _, crash := range []bool{false, true} {
					t.Run(fmt.Sprintf("end %d/%v/step %d/crash %t", end, mode, step, crash), func(t *testing.T) {
						t.Parallel()
						faultAt(t, end, durable.Plan{Step: step, Mode: mode, Crash: crash})
					})
				}
			}
		}
	}
}

func faultAt(t *testing.T, end int, plan durable.Plan) {
	r, _ := small(t)
	disk := r.dirs[end].(*durable.Disk)
	faulty := durable.Faulty(disk, plan)
	r.dirs[end] = faulty
	k := newBook()
	r.both()
	gather(t, r, k, 6, faulty.Crashed)
	r.shut()
	r.dirs[end] = disk
	if faulty.Crashed() || plan.Step%2 == 0 {
		r.dirs[end] = disk.Crashed(rand.New(rand.NewPCG(uint64(plan.Step), uint64(plan.Mode))))
	}
	r.both()
	gather(t, r, k, 6, never)
	r.shut()
}

// The connection is cut before every message in turn, both ends go on by themselves.
func TestCutEverywhere(t *testing.T) {
	stride := 37
	if os.Getenv("QSC_LONG") != "" {
		stride = 1
	}
	for end := range 2 {
		for n := 1 + end; n <= 180; n += stride {
			t.Run(fmt.Sprintf("end %d/message %d", end, n), func(t *testing.T) {
				t.Parallel()
				r, p := small(t)
				cut := false
				p.set(func(e, i int, _ byte, msg []byte) []byte {
					if e != end || i != n {
						return msg
					}
					cut = true
					return nil
				})
				k := newBook()
				r.both()
				gather(t, r, k, 12, never)
				r.shut()
				p.mu.Lock()
				defer p.mu.Unlock()
				if !cut && p.count[end] > n {
					t.Error("nothing was cut")
				}
			})
		}
	}
}

// The engine's own messages are cut one by one, twice each, and the ends restart in
// between.
func TestCutAtStages(t *testing.T) {
	for typ := byte(0x50); typ <= tTag; typ++ {
		for end := range 2 {
			t.Run(fmt.Sprintf("type %#x/end %d", typ, end), func(t *testing.T) {
				t.Parallel()
				r, p := small(t)
				left := 2
				p.set(func(e, _ int, x byte, msg []byte) []byte {
					if e != end || x != typ || left == 0 {
						return msg
					}
					left--
					return nil
				})
				k := newBook()
				for range 2 {
					r.both()
					gather(t, r, k, 5, never)
					r.shut()
				}
			})
		}
	}
}
