package manage

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/rate"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// flows is all demands of the network with their routes and rates. demands are
// in the order of the network's nodes and of each node's report.
type flows struct {
	stale    bool // demands changed since plan was made
	planned  bool
	at       time.Duration // of plan
	demands  []control.Demand
	plan     *route.Plan
	routes   []flowRoute
	rates    []qsc.BitRate
	short    []bool
	capacity []qsc.BitRate
	left     []qsc.BitRate
	first    []int // of each node's demands; one more at the end
	rerated  bool  // rates are to be computed again
	moved    bool  // some flow is not what it was at the last speak
	repin    bool  // pins changed
	refresh  time.Duration
}

// flowRoute is the paths of one demand and the links on them.
type flowRoute struct {
	paths    []keymgmt.Path
	links    []int32
	disjoint bool
	pin      *Pin // the first of those that were used
}

const (
	// Demands that change from second to second must not cost a full computation
	// each time.
	planEvery = time.Second
	// Every demand looks for a better path about once in refreshRound calls of
	// refreshEvery.
	refreshEvery = time.Second
	refreshRound = 60
	// A rate is sent again when it is out by more than a tenth, a capacity counts
	// as changed when it is by a twentieth: measured rates never stand still.
	rateStep     = 0.10
	rateEvery    = time.Second
	capacityStep = 0.05
)

// route brings routes and rates up to date.
func (c *Core) route(now time.Duration) {
	f := &c.flows
	switch {
	case !f.planned || f.stale && now-f.at >= planEvery:
		c.replan(now)
	default:
		c.reread(f.plan.Update())
	}
	if now-f.refresh >= refreshEvery {
		f.refresh = now
		c.reread(f.plan.Refresh(len(f.demands)/refreshRound + 1))
	}
	c.repin()
	if c.recapacity() || f.rerated {
		c.share()
	}
}

// replan collects the demands of all nodes and finds every route anew.
func (c *Core) replan(now time.Duration) {
	f := &c.flows
	f.demands, f.first = f.demands[:0], f.first[:0]
	for i := range c.members {
		f.first = append(f.first, len(f.demands))
		if c.members[i].heard {
			f.demands = append(f.demands, c.members[i].last.Demands...)
		}
	}
	f.first = append(f.first, len(f.demands))
	asked := make([]route.Demand, len(f.demands))
	all := make([]int, len(f.demands))
	for i, d := range f.demands {
		asked[i], all[i] = route.Demand{From: d.From, To: d.To, Paths: d.Protection.Paths}, i
	}
	plan, err := c.graph.Compute(asked)
	if err != nil {
		panic("manage: Report accepted a demand that route does not: " + err.Error())
	}
	f.plan, f.planned, f.stale, f.at, f.rerated, f.repin = plan, true, false, now, true, true
	f.routes = make([]flowRoute, len(f.demands))
	c.reread(all)
}

// reread takes over the routes of these demands from the plan.
func (c *Core) reread(which []int) {
	f := &c.flows
	for _, i := range which {
		r := f.plan.Routes(i)
		f.routes[i] = flowRoute{paths: r.Paths, links: f.plan.Links(i, nil), disjoint: r.Disjoint}
		f.rerated = true
	}
	f.repin = f.repin || len(which) > 0
}

// recapacity reports whether what flows may share has changed.
func (c *Core) recapacity() (changed bool) {
	f := &c.flows
	if len(f.capacity) != len(c.links) {
		f.capacity, changed = make([]qsc.BitRate, len(c.links)), true
	}
	for n := range c.links {
		now := c.links[n].capacity()
		if outBy(f.capacity[n], now, capacityStep) {
			f.capacity[n], changed = now, true
		}
	}
	return changed
}

// outBy reports whether now differs from was by more than that part of it.
func outBy(was, now qsc.BitRate, part float64) bool {
	return was != now && math.Abs(float64(now-was)) > part*float64(was)
}

// share computes the rates of all demands.
func (c *Core) share() {
	f := &c.flows
	f.rerated, f.moved = false, true
	asked := make([]rate.Flow, len(f.demands))
	for i, d := range f.demands {
		asked[i] = rate.Flow{Links: f.routes[i].links, Min: f.routes[i].least(d), Max: d.Max, Priority: d.Priority}
	}
	s, err := rate.Fair(f.capacity, asked)
	if err != nil {
		panic("manage: Report accepted a rate that rate.Fair does not: " + err.Error())
	}
	f.rates, f.left, f.short = s.Rates, s.Left, make([]bool, len(asked))
	for _, i := range s.Short {
		f.short[i] = true
	}
}

// least is the guaranteed minimum: the demand's, or what its virtual link keeps.
func (r flowRoute) least(d control.Demand) qsc.BitRate {
	if r.pin == nil {
		return d.Min
	}
	least := max(d.Min, r.pin.Bandwidth)
	if d.Max > 0 {
		least = min(least, d.Max)
	}
	return least
}

// speak returns the tables of the nodes that have to be told something.
func (c *Core) speak(now time.Duration) []control.Table {
	var out []control.Table
	moved := c.flows.moved
	c.flows.moved = false
	for i := range c.members {
		m := &c.members[i]
		if !m.heard {
			m.told = false
			continue
		}
		if (moved || !m.told) && c.update(i, now) || m.unacknowledged() && now-m.when >= c.cfg.Resend {
			m.told, m.when = true, now
			out = append(out, m.sent)
		}
	}
	return out
}

// update makes a new table for a node if it has to be told something. Routes are
// told at once; mere rates, of which one cut moves many, not within rateEvery of
// the last table.
func (c *Core) update(i int, now time.Duration) bool {
	m := &c.members[i]
	flows := c.flowsOf(i)
	if m.told && !reroutes(m.sent.Flows, flows) {
		if !rerates(m.sent.Flows, flows) {
			return false
		}
		if now-m.when < rateEvery {
			c.flows.moved = true
			return false
		}
	}
	c.version++
	m.sent = control.Table{Node: c.net.Nodes[i].ID, Epoch: c.cfg.Epoch, Version: c.version, Flows: flows}
	return true
}

// unacknowledged reports whether the node's last report speaks of another table
// than the one it was sent.
func (m *member) unacknowledged() bool {
	return m.last.Epoch != m.sent.Epoch || m.last.Version != m.sent.Version
}

// flowsOf spells out the flows of a node. Demands that nothing leads to are left
// out: the node looks for itself.
func (c *Core) flowsOf(node int) []control.Flow {
	f := &c.flows
	if node+1 >= len(f.first) {
		return nil
	}
	var list []control.Flow
	for i := f.first[node]; i < f.first[node+1]; i++ {
		r, d := f.routes[i], f.demands[i]
		if len(r.paths) == 0 {
			continue
		}
		list = append(list, control.Flow{To: d.To, Protection: d.Protection, Paths: r.paths,
			Disjoint: r.disjoint, Rate: f.rates[i], Short: f.short[i]})
	}
	return list
}

// reroutes reports whether the flows take other paths.
func reroutes(was, now []control.Flow) bool {
	return !slices.EqualFunc(was, now, func(a, b control.Flow) bool {
		return a.To == b.To && a.Protection == b.Protection && a.Disjoint == b.Disjoint &&
			slices.EqualFunc(a.Paths, b.Paths, slices.Equal[keymgmt.Path])
	})
}

// rerates reports whether rates of the same flows are out by enough to tell.
func rerates(was, now []control.Flow) bool {
	return !slices.EqualFunc(was, now, func(a, b control.Flow) bool {
		return a.Short == b.Short && !outBy(a.Rate, b.Rate, rateStep)
	})
}

// Short lists the demands whose minimum the links do not have.
func (c *Core) Short() []control.Demand {
	var list []control.Demand
	for i, short := range c.flows.short {
		if short {
			list = append(list, c.flows.demands[i])
		}
	}
	slices.SortFunc(list, func(a, b control.Demand) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return list
}
