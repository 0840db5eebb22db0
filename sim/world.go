package sim

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

// world is the state of a run.
type world struct {
	cfg    Config
	rng    *rand.Rand
	now    time.Duration
	end    time.Duration
	events queue

	nodes  []node
	links  []link
	flows  []flow
	pairs  []pair
	rounds []round
	spare  []int32 // rounds that are over
	batch  []fetching
	unused []int32 // fetchings that are over

	nodeOf map[qsc.NodeID]int32
	linkOf map[[2]int32]int32 // by its ends, smaller first
	linkID map[qsc.LinkID]int32
	flowOf map[flowKey]int32

	ctl     control.Controller // nil while none lives
	epoch   uint64
	pending [][]control.Table

	waits, heals sample
	hopSum       float64
	atOnce       int64
	parts        int64 // rounds over disjoint paths
	rep          Report
}

// node is a trusted node.
type node struct {
	id    qsc.NodeID
	up    bool
	boots uint64
	seq   uint64
	links []int32
	flows []int32 // from this node
	epoch uint64  // of the table it has
	table uint64  // its version
}

// Run lives cfg.Days virtual days and reports. It ends early, with an error of
// kind Timeout, when ctx does. Errors: Invalid for a pair whose nodes the
// network does not have.
func Run(ctx context.Context, cfg Config) (Report, error) {
	w := newWorld(cfg)
	start := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	if err := w.build(); err != nil {
		return Report{}, err
	}
	if err := w.live(ctx); err != nil {
		return Report{}, err
	}
	w.finish()
	w.rep.Seconds = time.Since(start).Seconds()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.rep.Memory = m.Sys
	return w.rep, nil
}

// gcPercent trades memory, of which a run needs little, for time.
const gcPercent = 400

func newWorld(cfg Config) *world {
	return &world{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x715c)), end: time.Duration(cfg.Days * float64(24*time.Hour))}
}

func (w *world) live(ctx context.Context) error {
	for n := 0; ; n++ {
		e, ok := w.events.pop()
		if !ok {
			return nil
		}
		if e.at > w.end {
			w.events.push(e)
			return nil
		}
		w.now = e.at
		w.handle(e)
		if n%(1<<14) != 0 {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return qsc.E("sim.Run", qsc.Timeout, "", "stopped after %v of virtual time: %w", w.now.Round(time.Second), err)
		}
		if w.cfg.Progress != nil {
			w.cfg.Progress(w.now, w.end)
		}
	}
}

func (w *world) handle(e event) {
	switch e.kind {
	case request:
		w.request(e.who)
	case giveUp:
		w.giveUp(e.who)
	case roundArrives:
		w.roundArrives(e.who)
	case roundAcked:
		w.roundAcked(e.who)
	case roundLost:
		w.roundLost(e.who)
	case fetch:
		w.fetch(e.who)
	case reports:
		w.reportAll()
		w.plan(reportEvery, reports, 0)
	case tables:
		w.apply()
	case cut:
		w.cut(e.who)
	case mend:
		w.mend(e.who)
	case crash:
		w.crash(e.who)
	case boot:
		w.boot(e.who)
	case controllerDies:
		w.controllerDies()
	case controllerTakes:
		w.controllerTakes()
	}
}

// plan has an event happen after d.
func (w *world) plan(d time.Duration, k kind, who int32) {
	w.events.push(event{at: w.now + d, kind: k, who: who})
}

// after draws an exponential time of the given mean; false for a mean of 0.
func (w *world) after(mean time.Duration) (time.Duration, bool) {
	if mean <= 0 {
		return 0, false
	}
	return time.Duration(w.rng.ExpFloat64() * float64(mean)), true
}

func (w *world) sometime(mean time.Duration, k kind, who int32) {
	if d, ok := w.after(mean); ok {
		w.plan(d, k, who)
	}
}

// violate notes a broken law of the house.
func (w *world) violate(format string, args ...any) {
	w.rep.Violations++
	if len(w.rep.Examples) < 10 {
		w.rep.Examples = append(w.rep.Examples, fmt.Sprintf("%v: ", w.now.Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (w *world) finish() {
	r := &w.rep
	for i := range w.links {
		l := &w.links[i]
		l.settle(w.end)
		for d := range l.lanes {
			a := &l.lanes[d]
			r.Produced += a.made
			r.Used += a.used
			r.Burnt += a.burnt
			r.Left += a.left()
		}
	}
	if r.Produced != r.Used+r.Burnt+r.Left {
		w.violate("the books do not close: %d bytes of key made, %d used, %d burnt, %d left", r.Produced, r.Used, r.Burnt, r.Left)
	}
	r.Wait50, r.Wait99, r.WaitMax = w.waits.quantile(0.5), w.waits.quantile(0.99), w.waits.max
	r.Reroute99 = w.heals.quantile(0.99)
	r.Delivered = qsc.BitRate(float64(r.Issued*keyBytes*8) / w.end.Seconds())
	r.AtOnce = ratio(float64(w.atOnce), float64(r.Requests))
	r.BurntPart = ratio(float64(r.Burnt), float64(r.Used+r.Burnt))
	r.Hops = ratio(w.hopSum, float64(r.Rounds))
	r.Disjoint = ratio(float64(w.parts), float64(r.Rounds))
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// sample keeps a histogram of times in seconds, by steps of 2 %.
type sample struct {
	count map[int]int64
	n     int64
	max   float64
}

const (
	sampleStep  = 1.02
	sampleFloor = 1e-3 // seconds; below it everything is the same
)

func (s *sample) add(v float64) {
	if s.count == nil {
		s.count = map[int]int64{}
	}
	s.max = max(s.max, v)
	s.n++
	bin := -1
	if v > sampleFloor {
		bin = int(math.Log(v/sampleFloor) / math.Log(sampleStep))
	}
	s.count[bin]++
}

// quantile returns the upper edge of the step that holds the q-th part.
func (s *sample) quantile(q float64) float64 {
	left := int64(math.Ceil(q * float64(s.n)))
	top := 0
	for b := range s.count {
		top = max(top, b)
	}
	for b := -1; b <= top && s.n > 0; b++ {
		if left -= s.count[b]; left <= 0 {
			if b < 0 {
				return 0
			}
			return min(s.max, sampleFloor*math.Pow(sampleStep, float64(b+1)))
		}
	}
	return s.max
}
