package keys

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// fault is something that happens at a random moment of the work.
type fault struct {
	kind string // kill, stillborn, cut, part, slow, still
	node qsc.NodeID
	link qsc.LinkID
	on   tap.Event
	n    int64         // of the event
	long time.Duration // how long what is not a moment lasts
	soon bool          // what was killed starts again at once
}

func (f fault) String() string {
	return fmt.Sprintf("%s of %s or %s for %v, soon: %t", f.kind, f.node, f.link, f.long, f.soon)
}

// planFaults plans the faults of a round in which every worker draws quota batches.
func (w *world) planFaults(i int, quota int64) (all []fault) {
	r := rand.New(rand.NewPCG(w.seed, uint64(i)))
	for range 1 + r.IntN(5)/2 {
		f := fault{kind: []string{"kill", "kill", "kill", "stillborn", "cut", "part", "slow", "still"}[r.IntN(8)]}
		f.node = nodes[r.IntN(len(nodes))]
		f.link = w.Net.Links[r.IntN(len(w.Net.Links))].ID
		f.on = tap.Event(r.IntN(tap.Events))
		f.n = map[tap.Event]int64{tap.BytesPassed: r.Int64N(quota * 64 << 10), tap.FramesPassed: r.Int64N(10 * quota), tap.OpsBegun: 1 + r.Int64N(20*quota), tap.OpsEnded: 1 + r.Int64N(20*quota)}[f.on]
		f.long = time.Duration(r.IntN(400)) * time.Millisecond
		f.soon = r.IntN(4) > 0
		all = append(all, f)
	}
	return all
}

// inflict waits for its moment, or for the end of the round's work, and strikes.
func (w *world) inflict(f fault, at, done <-chan struct{}) {
	select {
	case <-at:
	case <-done:
	}
	w.note("  ! %v", f)
	w.beginFault()
	defer w.endFault()
	switch f.kind {
	case "cut":
		w.Taps[f.link].Cut()
	case "part":
		w.Taps[f.link].Shut()
		time.Sleep(f.long) // the partition itself
		_ = w.Taps[f.link].Open()
	case "slow":
		w.Taps[f.link].Slow(f.long / 8)
		time.Sleep(2 * f.long)
		w.Taps[f.link].Slow(0)
	case "still":
		if pid := w.Fleet.PID(f.node); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			time.Sleep(2 * f.long)
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	default:
		w.strike(f)
	}
}

// strike kills a node, and perhaps once more while it starts.
func (w *world) strike(f fault) {
	w.slain(f.node)
	w.Kill(f.node)
	w.slain(f.node)
	w.died(1)
	if f.kind == "stillborn" {
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.StartNode(f.node) }) // it may be ready before it is killed, or not
		time.Sleep(f.long)                        // the random moment itself
		w.Kill(f.node)
		wg.Wait()
		w.Kill(f.node)
		w.slain(f.node)
		w.died(1)
	}
	if f.soon {
		_ = w.StartNode(f.node) // two faults may meet at one node; revive looks after it
		w.slain(f.node)
	}
}

func (w *world) died(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaths += n
}

// slain counts around every kill: whoever finds the same count before and after
// has met none.
func (w *world) slain(id qsc.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills[id]++
}

func (w *world) killsOf(id qsc.NodeID) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kills[id]
}

func (w *world) beginFault() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active++
	w.struck++
}

func (w *world) endFault() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active--
	w.lastFault = time.Now()
}

// calmSince reports whether no fault has been at work since a time.
func (w *world) calmSince(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active == 0 && w.lastFault.Before(t)
}
