package plan

import (
	"cmp"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/sim/plan/flow"
)

// Demand is what the terminals want of the network, all at once.
type Demand struct {
	Pairs    int         `json:"pairs"`
	Wanted   qsc.BitRate `json:"wanted"`          // of delivered key, in all
	Spent    qsc.BitRate `json:"spent"`           // of end-to-end key: one for each disjoint path
	AtLeast  float64     `json:"served_at_least"` // every pair can have so many times what it wants
	AtMost   float64     `json:"served_at_most"`  // and no plan gives every pair more
	PerPair  qsc.BitRate `json:"per_pair"`        // what a pair of mean demand gets at AtLeast
	Cut      float64     `json:"cut"`             // part of Spent that has no way at all; it is left out of what follows
	Autonomy float64     `json:"autonomy"`        // days until the first full ring is empty when every source stops; -1: none is used
	Weakest  qsc.LinkID  `json:"weakest"`         // whose ring that is
	Lasts    float64     `json:"lasts"`           // the same when the sources run; -1: for ever
	Shortest qsc.LinkID  `json:"shortest"`        // whose ring that is
}

// demand places terminals, joins what they want by node pairs and shares the
// links out.
func (m *maker) demand() error {
	apps, pairs, err := m.Network.Applications(topology.ApplicationConfig{Count: m.Terminals, Seed: m.Seed})
	if err != nil {
		return err
	}
	m.plan.Terminals = len(apps)
	d := &m.plan.Demand
	joined := map[[2]int]float64{}
	for _, p := range pairs {
		rate, paths := p.Mean, p.Paths
		if m.PerPair > 0 {
			rate, paths = m.PerPair, m.Paths
		}
		a, b := m.number[apps[p.Master].Node], m.number[apps[p.Slave].Node]
		if a == b {
			continue
		}
		d.Pairs++
		d.Wanted += rate
		d.Spent += rate * qsc.BitRate(paths)
		joined[[2]int{min(a, b), max(a, b)}] += float64(rate) * float64(paths)
	}
	for p, amount := range joined {
		m.demands = append(m.demands, flow.Demand{From: p[0], To: p[1], Amount: amount})
	}
	slices.SortFunc(m.demands, func(a, b flow.Demand) int { return cmp.Or(a.From-b.From, a.To-b.To) })
	m.demands, d.Cut = m.left(&Loss{node: -1})
	m.share(d)
	return nil
}

// share finds what every pair can have at once, and what that leaves of the links.
func (m *maker) share(d *Demand) {
	m.result = flow.Solve(len(m.Network.Nodes), m.edges, m.demands, flow.Config{Gap: m.gap(), Phases: m.phases(600, 40)})
	d.AtLeast, d.AtMost = finite(m.result.Lower), finite(m.result.Upper)
	if d.Pairs > 0 {
		d.PerPair = qsc.BitRate(float64(d.Wanted) / float64(d.Pairs) * d.AtLeast)
	}
	d.Autonomy, d.Lasts = -1, -1
	for i := range m.plan.Links {
		l := &m.plan.Links[i]
		l.Price, l.Autonomy, l.Lasts = m.result.Price[i], -1, -1
		if m.result.Use[i] <= 0 {
			continue
		}
		l.Load = m.result.Use[i] / m.result.Lower
		l.Use = l.Load * min(1, m.result.Lower)
		l.last(float64(2*m.Network.Links[i].Pad*8), m.edges[i].Capacity)
		if d.Autonomy < 0 || l.Autonomy < d.Autonomy {
			d.Autonomy, d.Weakest = l.Autonomy, l.ID
		}
		if l.Lasts >= 0 && (d.Lasts < 0 || l.Lasts < d.Lasts) {
			d.Lasts, d.Shortest = l.Lasts, l.ID
		}
	}
}

// last fills in how many days a stock of so many bits lasts for the link's load. A
// courier brings his all at once, a source little by little.
func (l *Link) last(stock, rate float64) {
	const day = 86400
	l.Autonomy = stock / (l.Load * rate) / day
	switch {
	case l.Load <= 1:
	case l.Kind == topology.KindPreshared:
		l.Lasts = l.Autonomy
	default:
		l.Lasts = stock / ((l.Load - 1) * rate) / day
	}
}

// gap is how exact the flow is to be.
func (m *maker) gap() float64 {
	if m.effort() < 1 {
		return 0.15
	}
	return 0.05
}

// finite is v, or 0 where JSON has no word for it.
func finite(v float64) float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	return v
}
