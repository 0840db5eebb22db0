package plan

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/sim/plan/flow"
)

// Advice is something to add, and what it brings.
type Advice struct {
	What    string       `json:"what"`
	Double  []qsc.LinkID `json:"double,omitempty"`  // the links that get twice what they have
	Between []qsc.NodeID `json:"between,omitempty"` // the ends of a new link
	Rate    qsc.BitRate  `json:"rate,omitempty"`    // that it has
	AtLeast float64      `json:"served_at_least"`   // what every pair can have then, times what it wants
	Gain    float64      `json:"gain"`              // AtLeast over that of the network as it is
}

// How many candidates are tried, and how many told.
const (
	tried = 4 // of each sort
	told  = 5

	leastGain = 1.02 // below it, nothing is told
)

// advise tries the links that limit the whole doubled, and new ones between nodes
// that have none and pay dearly to reach each other.
func (m *maker) advise() error {
	if !(m.result.Lower > 0) || math.IsInf(m.result.Lower, 1) {
		return nil
	}
	all := m.ideas()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range all {
		g.Go(func() error { m.try(&all[i]); return nil })
	}
	_ = g.Wait()
	slices.SortStableFunc(all, func(a, b idea) int { return -cmp.Compare(a.Gain, b.Gain) })
	for _, x := range all {
		if x.Gain >= leastGain && len(m.plan.Advice) < told {
			m.plan.Advice = append(m.plan.Advice, x.Advice)
		}
	}
	return nil
}

// idea is what may become advice.
type idea struct {
	Advice
	edges []flow.Edge
	price []float64 // to begin with
}

func (m *maker) ideas() (all []idea) {
	for _, e := range m.dearestLinks() {
		all = append(all, m.doubled(m.plan.Links[e].twice(), e))
	}
	if few := m.narrow(); len(few) > 1 {
		all = append(all, m.doubled(m.twiceAll(few), few...))
	}
	for _, n := range m.newLinks() {
		all = append(all, idea{
			Advice{What: n.what, Between: n.ends[:], Rate: qsc.BitRate(n.edge.Capacity)},
			append(slices.Clone(m.edges), n.edge), append(slices.Clone(m.result.Price), n.worth),
		})
	}
	return all
}

func (m *maker) doubled(what string, edges ...int) idea {
	x := idea{Advice{What: what}, slices.Clone(m.edges), m.result.Price}
	for _, e := range edges {
		x.edges[e].Capacity *= 2
		x.Double = append(x.Double, m.plan.Links[e].ID)
	}
	return x
}

func (m *maker) try(x *idea) {
	r := flow.Solve(len(m.Network.Nodes), x.edges, m.demands, flow.Config{
		Gap: 0.08, Phases: m.phases(100, 20), Price: x.price, Least: leastGain * m.result.Lower,
	})
	x.AtLeast = finite(r.Lower)
	x.Gain = x.AtLeast / m.result.Lower
}

func (m *maker) dearestLinks() []int {
	order := m.byPrice()
	return order[:min(m.part(tried, 1), len(order))]
}

func (m *maker) byPrice() []int {
	order := make([]int, len(m.edges))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(m.result.Price[a], m.result.Price[b]) })
	return order
}

// twice says how a link is doubled.
func (l Link) twice() string {
	switch {
	case l.Kind == topology.KindPreshared:
		return fmt.Sprintf("twice the couriered stock for %s (%v)", l.ID, l.Rate)
	case l.Kind == topology.KindSatellite:
		return fmt.Sprintf("a second satellite with the passes of %s (%v)", l.ID, l.Rate)
	case l.Distance > 0:
		return fmt.Sprintf("a second %s link beside %s (%.4g km, %v)", l.Kind, l.ID, l.Distance, l.Rate)
	}
	return fmt.Sprintf("a second %s link beside %s (%v)", l.Kind, l.ID, l.Rate)
}

// narrow is the few links that limit the whole together, when they do.
func (m *maker) narrow() (all []int) {
	const most = 8
	covered := 0.0
	for i, e := range m.byPrice() {
		if i == most || covered > 0.98 {
			break
		}
		all, covered = append(all, e), covered+m.result.Price[e]
	}
	if covered < 0.8 {
		return nil
	}
	return all
}

func (m *maker) twiceAll(edges []int) string {
	names := make([]string, len(edges))
	for i, e := range edges {
		names[i] = string(m.plan.Links[e].ID)
	}
	return "twice as much of each: " + strings.Join(names, ", ")
}

// newLink is one that is not there yet.
type newLink struct {
	what  string
	ends  [2]qsc.NodeID
	edge  flow.Edge
	worth float64 // what the way there now costs, for the link's rate
}

// Fibre is longer than the way of the crow; a new link is laid up to so far.
const (
	detour    = 1.3
	newAtMost = 120 // km of fibre
)

// newLinks ranks pairs of near nodes by the price of the way between them now and
// the rate that decoy BB84 would have there.
func (m *maker) newLinks() (out []newLink) {
	apart := flow.Distances(len(m.Network.Nodes), m.edges, m.result.Price)
	for i, a := range m.Network.Nodes {
		for j := i + 1; j < len(m.Network.Nodes); j++ {
			b := m.Network.Nodes[j]
			km, ok := m.apart(a, b)
			if _, there := m.Network.LinkBetween(a.ID, b.ID); there || !ok || km > newAtMost || math.IsInf(apart[i][j], 1) {
				continue
			}
			l := topology.Link{ID: "new", Kind: topology.KindBB84, Preset: usual[topology.KindBB84], Distance: km, Loss: fibreLoss * km}
			p, err := m.predict(l)
			if err != nil || p.Rate <= 0 {
				continue
			}
			out = append(out, newLink{
				fmt.Sprintf("a new bb84 link %s-%s (%.0f km of fibre, %v)", a.ID, b.ID, km, p.Rate),
				[2]qsc.NodeID{a.ID, b.ID}, flow.Edge{A: i, B: j, Capacity: float64(p.Rate)}, apart[i][j] * float64(p.Rate),
			})
		}
	}
	slices.SortStableFunc(out, func(a, b newLink) int { return -cmp.Compare(a.worth, b.worth) })
	return unlike(out, m.part(tried, 1))
}

// unlike takes the first n that share no end: others would be the same advice
// again.
func unlike(all []newLink, n int) (out []newLink) {
	taken := map[int]bool{}
	for _, l := range all {
		if len(out) < n && !taken[l.edge.A] && !taken[l.edge.B] {
			out = append(out, l)
			taken[l.edge.A], taken[l.edge.B] = true, true
		}
	}
	return out
}

// apart is the fibre between two nodes.
func (m *maker) apart(a, b topology.Node) (km float64, ok bool) {
	x, _ := m.Network.Site(a.Site)
	y, _ := m.Network.Site(b.Site)
	if !x.Location.Known || !y.Location.Known {
		return 0, false
	}
	return math.Ceil(detour * kmBetween(x.Location, y.Location)), true
}

const earthRadius = 6371 // km

// kmBetween is the great circle between two places.
func kmBetween(a, b topology.Location) float64 {
	const rad = math.Pi / 180
	s := math.Sin((b.Lat - a.Lat) * rad / 2)
	t := math.Sin((b.Lon - a.Lon) * rad / 2)
	h := s*s + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*t*t
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}
