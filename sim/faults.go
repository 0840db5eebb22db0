package sim

import (
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

const (
	reportEvery = 30 * time.Minute
	pushTime    = 200 * time.Millisecond // from a report to a table at the node
)

func (w *world) cut(l int32) {
	k := &w.links[l]
	k.settle(w.now)
	k.whole = false
	w.rep.Cuts++
	w.sometime(w.cfg.Faults.LinkFor, mend, l)
	if k.up {
		k.up = false
		w.broken(l)
		w.tell(k.ends[0], k.ends[1])
	}
}

func (w *world) mend(l int32) {
	k := &w.links[l]
	k.whole = true
	w.sometime(w.cfg.Faults.LinkEvery, cut, l)
	if w.nodes[k.ends[0]].up && w.nodes[k.ends[1]].up {
		w.join(l)
		w.tell(k.ends[0], k.ends[1])
	}
}

// join takes a link up whose fibre is whole and whose nodes are there.
func (w *world) join(l int32) {
	k := &w.links[l]
	k.settle(w.now)
	k.up = true
	for i := range w.flows {
		if f := &w.flows[i]; f.brokenAt != 0 && f.broken == l {
			f.brokenAt = 0 // there was no way around
		}
	}
}

// broken notes which flows lose a path, to time their re-route.
func (w *world) broken(l int32) {
	for i := range w.flows {
		f := &w.flows[i]
		if f.brokenAt == 0 && over(f.paths, l) {
			f.brokenAt, f.broken = w.now, l
		}
	}
}

// over reports whether any of the paths uses a link.
func over(paths [][]hop, l int32) bool {
	return slices.ContainsFunc(paths, func(p []hop) bool {
		return slices.ContainsFunc(p, func(h hop) bool { return h.link == l })
	})
}

// crash ends a node's process: what was not durable is gone, and its links stand
// still.
func (w *world) crash(n int32) {
	v := &w.nodes[n]
	v.up = false
	v.boots++
	w.rep.Crashes++
	var peers []int32
	for _, l := range v.links {
		k := &w.links[l]
		k.settle(w.now)
		k.lanes[slices.Index(k.ends[:], n)].crash()
		if k.up {
			k.up = false
			w.broken(l)
			peers = append(peers, k.ends[0]+k.ends[1]-n)
		}
	}
	w.tell(peers...)
	for _, f := range v.flows {
		w.flows[f].crash(w)
	}
	w.sometime(w.cfg.Faults.NodeFor, boot, n)
}

// boot starts the node again: it finds its files, its peers, and what both have.
func (w *world) boot(n int32) {
	v := &w.nodes[n]
	v.up = true
	told := []int32{n}
	for _, l := range v.links {
		k := &w.links[l]
		if far := k.ends[0] + k.ends[1] - n; w.nodes[far].up && k.whole {
			w.join(l)
			told = append(told, far)
		}
	}
	for _, f := range v.flows {
		w.flows[f].sync(w)
	}
	w.tell(told...)
	w.sometime(w.cfg.Faults.NodeEvery, crash, n)
}

func (w *world) controllerDies() {
	w.ctl = nil
	w.pending = nil
	w.plan(w.cfg.Faults.Takeover, controllerTakes, 0)
}

// controllerTakes starts another controller. It knows nothing but what the nodes
// tell it.
func (w *world) controllerTakes() {
	w.epoch++
	if w.epoch > 1 {
		w.rep.Takeovers++
	}
	w.ctl = w.cfg.Control(w.epoch)
	w.reportAll()
	w.sometime(w.cfg.Faults.Controller, controllerDies, 0)
}

func (w *world) reportAll() {
	all := make([]int32, len(w.nodes))
	for i := range all {
		all[i] = int32(i)
	}
	w.tell(all...)
}

// tell has nodes report and the controller answer.
func (w *world) tell(nodes ...int32) {
	if w.ctl == nil {
		return
	}
	for _, n := range nodes {
		if !w.nodes[n].up {
			continue
		}
		if err := w.ctl.Report(w.report(n)); err != nil {
			w.violate("the controller refuses a report: %v", err)
		}
	}
	if t := w.ctl.Tables(w.now); len(t) > 0 {
		w.pending = append(w.pending, t)
		w.plan(pushTime, tables, 0)
	}
}

func (w *world) report(n int32) control.Report {
	v := &w.nodes[n]
	v.seq++
	r := control.Report{Node: v.id, Boot: v.boots, Seq: v.seq, Epoch: v.epoch, Version: v.table}
	for _, l := range v.links {
		k := &w.links[l]
		k.settle(w.now)
		r.Links = append(r.Links, k.state(slices.Index(k.ends[:], n)))
	}
	for _, i := range v.flows {
		f := &w.flows[i]
		r.Demands = append(r.Demands, control.Demand{
			From: v.id, To: w.nodes[f.to].id, Protection: f.p, Min: f.demand(), Priority: f.priority,
		})
	}
	return r
}

// demand is the rate at which a flow wants key: its mean use with room for the
// busiest hour.
func (f *flow) demand() qsc.BitRate { return qsc.BitRate(2 * f.use * slot * 8) }

// apply hands the oldest tables that are on their way to their nodes.
func (w *world) apply() {
	if len(w.pending) == 0 {
		return // their controller died
	}
	batch := w.pending[0]
	w.pending = w.pending[1:]
	for _, t := range batch {
		w.take(t)
	}
}

func (w *world) take(t control.Table) {
	n, ok := w.nodeOf[t.Node]
	v := &w.nodes[max(n, 0)]
	switch {
	case !ok:
		w.violate("a table for %s, which does not exist", t.Node)
		return
	case !v.up:
		return
	case t.Epoch < v.epoch:
		return // fenced
	}
	v.epoch, v.table = t.Epoch, t.Version
	for _, g := range t.Flows {
		if i, ok := w.flowOf[flowKey{n, w.nodeOf[g.To], g.Protection}]; ok {
			w.route(i, g)
		}
	}
}

// route gives a flow its paths.
func (w *world) route(i int32, g control.Flow) {
	f := &w.flows[i]
	if f.given != nil && slices.EqualFunc(g.Paths, f.given, slices.Equal) && f.brokenAt == 0 {
		f.pace = float64(g.Rate) / 8
		w.stock(i)
		return
	}
	f.given = g.Paths
	var paths [][]hop
	for _, p := range g.Paths {
		h := w.path(p)
		if h == nil || p[0] != w.nodes[f.from].id || p[len(p)-1] != w.nodes[f.to].id {
			w.violate("a path from %s to %s that does not exist", w.nodes[f.from].id, g.To)
			return
		}
		paths = append(paths, h)
	}
	changed := !slices.EqualFunc(paths, f.paths, slices.Equal)
	if changed && f.paths != nil {
		w.rep.Reroutes++
	}
	if f.brokenAt != 0 && len(paths) > 0 && !over(paths, f.broken) {
		w.heals.add((w.now - f.brokenAt).Seconds())
		f.brokenAt = 0
	}
	f.paths, f.disjoint, f.pace = paths, g.Disjoint, float64(g.Rate)/8
	w.stock(i)
}
