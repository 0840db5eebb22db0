package sim

import (
	"math"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	real "github.com/quantum-secure-cloud/qsc/node"
)

// warm is for how long links have made key before the run starts.
const warm = time.Hour

type flowKey struct {
	from, to int32
	p        keymgmt.Protection
}

// build lays the world out and plans everything's first event.
func (w *world) build() error {
	w.nodeOf, w.linkOf, w.linkID, w.flowOf = map[qsc.NodeID]int32{}, map[[2]int32]int32{}, map[qsc.LinkID]int32{}, map[flowKey]int32{}
	net := w.cfg.Network
	for i, n := range net.Nodes {
		w.nodeOf[n.ID] = int32(i)
		w.nodes = append(w.nodes, node{id: n.ID, up: true, boots: 1})
	}
	for i, s := range net.Links {
		if s.Rate == 0 {
			expected, err := real.Predict(net, s)
			if err != nil {
				return err
			}
			s.Rate = expected.Rate
		}
		l := link{spec: s, whole: true, up: true, rate: float64(s.Rate) / 8, size: s.Pad, ends: [2]int32{w.nodeOf[s.Ends[0]], w.nodeOf[s.Ends[1]]}, settled: -warm}
		if s.Rate == 0 && !s.Physical() { // couriered: the rings are full, and stay what they are
			l.lanes[0].made, l.lanes[1].made = l.size, l.size
		}
		l.settle(0)
		w.links = append(w.links, l)
		w.linkOf[sorted(l.ends)] = int32(i)
		w.linkID[s.ID] = int32(i)
		for _, e := range l.ends {
			w.nodes[e].links = append(w.nodes[e].links, int32(i))
		}
	}
	apps := map[qsc.AppID]bool{}
	for _, p := range w.cfg.Pairs {
		if err := w.addPair(p); err != nil {
			return err
		}
		apps[p.Master], apps[p.Slave] = true, true
	}
	w.rep = Report{Network: net.Name, Nodes: len(net.Nodes), Links: len(net.Links), Apps: len(apps), Pairs: len(w.pairs), Days: w.cfg.Days, Seed: w.cfg.Seed}
	w.start()
	return nil
}

func sorted(e [2]int32) [2]int32 { return [2]int32{min(e[0], e[1]), max(e[0], e[1])} }

func (w *world) addPair(p Pair) error {
	from, ok := w.nodeOf[p.From]
	to, there := w.nodeOf[p.To]
	if !ok || !there {
		return qsc.E("sim.Run", qsc.Invalid, "", "applications %s and %s live at %s and %s; the network has no such nodes", p.Master, p.Slave, p.From, p.To)
	}
	if p.KeysPerDay <= 0 || p.Batch < 1 || p.Batch > maxBatch {
		return qsc.E("sim.Run", qsc.Invalid, "", "applications %s and %s: %v keys a day in batches of %d", p.Master, p.Slave, p.KeysPerDay, p.Batch)
	}
	key := flowKey{from, to, p.Protection}
	f, ok := w.flowOf[key]
	if !ok {
		f = int32(len(w.flows))
		w.flowOf[key] = f
		w.flows = append(w.flows, flow{flowKey: key, far: map[uint32]*farSegment{}})
		w.nodes[from].flows = append(w.nodes[from].flows, f)
	}
	fl := &w.flows[f]
	fl.use += p.KeysPerDay / (24 * 3600)
	fl.priority = max(fl.priority, p.Priority)
	fl.batch = max(fl.batch, p.Batch)
	w.pairs = append(w.pairs, pair{flow: f, every: 24 * float64(time.Hour) * float64(p.Batch) / p.KeysPerDay, batch: p.Batch})
	return nil
}

func (w *world) start() {
	w.controllerTakes()
	w.apply()
	for i := range w.pairs {
		w.nextRequest(int32(i))
	}
	f := w.cfg.Faults
	for i := range w.links {
		w.sometime(f.LinkEvery, cut, int32(i))
	}
	for i := range w.nodes {
		w.sometime(f.NodeEvery, crash, int32(i))
	}
	w.sometime(f.Controller, controllerDies, 0)
	w.plan(reportEvery, reports, 0)
}

// demand is how busy the hour is: least at four in the morning, most at four in
// the afternoon.
func demand(t time.Duration) float64 {
	return 1 - 0.8*math.Cos(2*math.Pi*(t.Hours()-4)/24)
}

const demandMax = 1.8

// nextRequest draws when a pair asks next: a Poisson process whose rate follows
// the hour, by thinning.
func (w *world) nextRequest(p int32) {
	d := time.Duration(0)
	for {
		d += time.Duration(w.rng.ExpFloat64() * w.pairs[p].every / demandMax)
		if w.rng.Float64()*demandMax < demand(w.now+d) || w.now+d > w.end {
			break
		}
	}
	w.plan(d, request, p)
}

// path turns node names into the lanes to take; nil when a link does not exist.
func (w *world) path(p keymgmt.Path) []hop {
	var hops []hop
	for i := range len(p) - 1 {
		a, b := w.nodeOf[p[i]], w.nodeOf[p[i+1]]
		l, ok := w.linkOf[sorted([2]int32{a, b})]
		if !ok {
			return nil
		}
		hops = append(hops, hop{l, int8(slices.Index(w.links[l].ends[:], a))})
	}
	return hops
}
