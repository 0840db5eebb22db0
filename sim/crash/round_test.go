package crash

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/sim/tap"
)

// world is a network, what it should hold, and what was done to it.
type world struct {
	*network
	seed  uint64
	which uint64 // of the networks that share the seed
	model *model

	mu    sync.Mutex
	diary []string
	kills int
	cuts  int
	shot  int // couriers killed
}

func (w *world) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if os.Getenv("QSC_LOG") != "" {
		fmt.Fprintln(os.Stderr, line)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.diary = append(w.diary, line)
}

// fatal ends the test with the way to see it again.
func (w *world) fatal(format string, args ...any) {
	w.T.Helper()
	w.mu.Lock()
	last := strings.Join(w.diary[max(0, len(w.diary)-40):], "\n")
	w.mu.Unlock()
	w.T.Fatalf("%s\nQSC_SEED=%d shows the same plan again; what was done last:\n%s", fmt.Sprintf(format, args...), w.seed, last)
}

// plan is one round.
type plan struct {
	ops    []op
	faults []fault
	leave  bool // what was killed stays down until the next round
}

// fault is something that happens at a random moment.
type fault struct {
	kind string // kill, cut, courier, stillborn
	node qsc.NodeID
	link qsc.LinkID
	on   tap.Event
	n    int64
	soon bool // started again at once
	wait time.Duration
}

func (w *world) plan(i int) plan {
	r := rand.New(rand.NewPCG(w.seed, w.which<<32|uint64(i)))
	var p plan
	for _, k := range r.Perm(names)[:2+r.IntN(3)] {
		p.ops = append(p.ops, planOp(r, fmt.Sprintf("ward-%d/patient.cram", k)))
	}
	for range 1 + r.IntN(5)/3 {
		p.faults = append(p.faults, w.planFault(r))
	}
	if p.faults[0].kind == "cut" { // something must be on its way
		p.ops[0].kind, p.ops[0].policy, p.ops[0].v.size = "replace", "default", 1<<20+r.IntN(1<<20)
	}
	p.leave = r.IntN(3) == 0
	return p
}

// names is how many objects there may be.
const names = 7

func (w *world) planFault(r *rand.Rand) fault {
	f := fault{kind: []string{"kill", "kill", "kill", "kill", "stillborn", "cut", "courier"}[r.IntN(7)]}
	f.node = append([]qsc.NodeID{home}, sites...)[r.IntN(1+len(sites))]
	f.link = w.Net.Links[r.IntN(len(w.Net.Links))].ID
	f.on = tap.Event(r.IntN(tap.Events))
	f.n = map[tap.Event]int64{tap.BytesPassed: r.Int64N(2 << 20), tap.FramesPassed: r.Int64N(40), tap.OpsBegun: 1 + r.Int64N(3), tap.OpsEnded: 1 + r.Int64N(2)}[f.on]
	if f.kind == "cut" {
		f.on, f.n = tap.BytesPassed, r.Int64N(2<<20)
	}
	f.soon = r.IntN(5) > 0
	f.wait = time.Duration(r.IntN(60)) * time.Millisecond
	return f
}

// round runs one plan.
func (w *world) round(i int) {
	p := w.plan(i)
	w.note("round %d", i)
	done := make(chan struct{}) // all operations have ended
	var faults, ops sync.WaitGroup
	for _, f := range p.faults {
		at := w.Prog.After(f.on, f.n)
		faults.Go(func() { w.inflict(f, at, done) })
	}
	wrong := make([]error, len(p.ops))
	for k, o := range p.ops {
		ops.Go(func() {
			w.Prog.Add(tap.OpsBegun, 1)
			result, err := w.do(o)
			w.note("  %v: %s", o, result)
			wrong[k] = err
			w.Prog.Add(tap.OpsEnded, 1)
		})
	}
	ops.Wait()
	close(done)
	faults.Wait()
	w.Prog.Forget()
	for k, err := range wrong {
		if err != nil {
			w.fatal("%v: %v", p.ops[k], err)
		}
	}
	w.revive(p.leave)
	w.oracles()
}

// keepSupplied is an operator who carries key while the network works, for what
// waits for key would wait for ever. A home that is down just now is asked later.
func (w *world) keepSupplied(done <-chan struct{}) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if err := w.provision(3<<20, 4<<20); err != nil && !qsc.IsKind(err, qsc.Unreachable) && w.T.Context().Err() == nil {
				w.T.Error("provision: ", err)
			}
		}
	}
}

// inflict waits for its moment, or for the end of the round's work, and strikes.
func (w *world) inflict(f fault, at, done <-chan struct{}) {
	select {
	case <-at:
	case <-done:
	}
	switch f.kind {
	case "cut":
		w.note("  ! cut %s", f.link)
		w.Taps[f.link].Cut()
		w.count(&w.cuts)
	case "courier":
		w.shootCourier(f)
	default:
		w.note("  ! kill %s, again at once: %t", f.node, f.soon)
		w.Kill(f.node)
		w.count(&w.kills)
		if f.kind == "stillborn" {
			w.stillborn(f)
		}
		if f.soon {
			_ = w.StartNode(f.node) // two faults may meet at one node; revive looks after it
		}
	}
}

func (w *world) count(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

// stillborn kills a node while it starts.
func (w *world) stillborn(f fault) {
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.StartNode(f.node) }) // it may be ready before it is killed, or not
	time.Sleep(f.wait)                        // not for anything to happen: the random moment itself
	w.Kill(f.node)
	wg.Wait()
	w.Kill(f.node)
	w.count(&w.kills)
}

// shootCourier kills a provisioning at one of its steps.
func (w *world) shootCourier(f fault) {
	if w.Net.Links[0].Kind != "preshared" {
		return
	}
	cmd, err := w.carry(f.link, 1<<20)
	if err != nil {
		w.T.Error(err)
		return
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.T.Error(err)
		return
	}
	steps, _ := io.CopyN(io.Discard, out, f.n%40)
	w.note("  ! kill the courier of %s after %d steps", f.link, steps)
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // killed, or just done
	w.count(&w.shot)
}

// revive starts what is down; with leave a site may stay down for a while.
func (w *world) revive(leave bool) {
	w.T.Helper()
	for _, d := range w.Net.Nodes {
		if w.Fleet.PID(d.ID) != 0 {
			continue
		}
		if leave && d.ID != home {
			leave = false
			w.note("  %s stays down", d.ID)
			continue
		}
		if err := w.StartNode(d.ID); err != nil {
			w.fatal("node %s does not start again: %v", d.ID, err)
		}
	}
	w.Linked()
}

// verify brings everything up and looks at every object.
func (w *world) verify() {
	w.T.Helper()
	w.note("verify")
	w.revive(false)
	w.repaired()
	w.readAll()
	w.accounts()
	w.oracles()
}

// repaired waits until no object is degraded.
func (w *world) repaired() {
	w.T.Helper()
	w.Until("repair", func() bool {
		l, err := w.home.List(w.T.Context(), "", "", 1000)
		if err != nil {
			w.fatal("list: %v", err)
		}
		return !slices.ContainsFunc(l.Objects, func(o objectState) bool { return o.State != "stored" })
	})
}

// readAll reads every name. What is found then is what it holds from now on.
func (w *world) readAll() {
	w.T.Helper()
	for _, name := range w.model.list() {
		var got bytes.Buffer
		var err error
		w.Until("key for "+name, func() bool {
			got.Reset()
			_, err = w.home.Get(w.T.Context(), name, &got, 0, -1)
			return !qsc.IsKind(err, qsc.Exhausted) || got.Len() > 0
		})
		if qsc.IsKind(err, qsc.NotFound) && w.model.mayBeAbsent(name) {
			w.model.settle(name, version{})
			continue
		}
		v, ok := w.model.match(name, got.Bytes(), 0, -1, err == nil)
		if err != nil || !ok {
			w.fatal("%s: %d bytes and %v came back; possible: %v; %s", name, got.Len(), err, w.model.get(name), w.Tell())
		}
		w.model.settle(name, v)
	}
}
