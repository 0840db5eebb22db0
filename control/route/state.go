package route

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// State is what is known of a link. Index 0 of a pair is the direction from
// Ends[0] to Ends[1], index 1 the other: a path takes key of the direction in
// which it runs.
type State struct {
	Up    bool
	Stock [2]int64    // bytes of key left to send with
	Size  int64       // bytes that fit, each direction
	Rate  qsc.BitRate // secret key rate of both directions together; 0: finite stock
	Trend [2]float64  // bytes per second by which the stock changes; negative: it drains
	Avoid [2]bool     // will be dry soon: take it only where nothing else leads
}

// The metric, in sixteenths of a hop. A hop costs hopCost whatever else, so no
// detour is free. An empty ring adds fillWeight, a stock that is gone within
// Horizon trendWeight: the proportion 50 to 25 is that of qkd-keyserver, the one
// published metric with code. What the direction can give within Horizon, stock
// and half the rate, adds another hop at ampleSupply bytes and rises with its
// inverse, up to scarceMost.
const (
	hopCost     = 16
	fillWeight  = 50
	trendWeight = 25
	ampleSupply = 4 << 20
	scarceMost  = 4096
	avoidCost   = 8192

	maxCost  = hopCost + fillWeight + trendWeight + scarceMost + avoidCost
	unusable = -1
)

// Horizon is how far ahead the metric looks.
const Horizon = 10 * time.Minute

// Cost returns the price of one direction of a link in this state, and false
// when no key can go that way: the link is down, or empty and makes no key.
func (s State) Cost(direction int) (int32, bool) {
	stock := max(s.Stock[direction], 0)
	if !s.Up || stock == 0 && s.Rate <= 0 {
		return 0, false
	}
	full := 0.0
	if s.Size > 0 {
		full = min(1, float64(stock)/float64(s.Size))
	}
	gone := 0.0
	if drain := -s.Trend[direction]; drain > 0 {
		gone = min(1, drain*Horizon.Seconds()/float64(max(stock, 1)))
	}
	supply := float64(stock) + max(0, float64(s.Rate))/16*Horizon.Seconds()
	scarce := min(scarceMost, hopCost*ampleSupply/max(supply, 1))
	cost := hopCost + int32(fillWeight*(1-full)) + int32(trendWeight*gone) + int32(scarce)
	if s.Avoid[direction] {
		cost += avoidCost
	}
	return cost, true
}

// State returns what is known of a link. Errors: NotFound.
func (g *Graph) State(id qsc.LinkID) (State, error) {
	l, ok := g.byID[id]
	if !ok {
		return State{}, qsc.E("route.State", qsc.NotFound, string(id), "the graph has no such link")
	}
	return g.states[l], nil
}

// SetLink takes what is now known of a link and reports whether that changes
// its price enough to matter. A price stands until it is out by a quarter, so
// that paths do not swing with every report; a link that goes down, comes up,
// runs empty or is to be avoided changes it at once. Errors: NotFound.
func (g *Graph) SetLink(id qsc.LinkID, s State) (changed bool, err error) {
	l, ok := g.byID[id]
	if !ok {
		return false, qsc.E("route.SetLink", qsc.NotFound, string(id), "the graph has no such link")
	}
	g.states[l] = s
	return g.price(l), nil
}

// SetNode says whether a node answers: no path passes, begins or ends at one
// that does not. It reports whether that is news. Errors: NotFound.
func (g *Graph) SetNode(id qsc.NodeID, up bool) (changed bool, err error) {
	v, ok := g.index[id]
	if !ok {
		return false, qsc.E("route.SetNode", qsc.NotFound, string(id), "the graph has no such node")
	}
	if g.nodeUp[v] == up {
		return false, nil
	}
	g.nodeUp[v] = up
	for _, e := range g.of(v) {
		g.price(e.arc >> 1)
	}
	return true, nil
}

// price brings the costs of a link's two arcs up to date.
func (g *Graph) price(l int32) (changed bool) {
	e := g.ends[l]
	for dir := range int32(2) {
		now, usable := g.states[l].Cost(int(dir))
		if !usable || !g.nodeUp[e[0]] || !g.nodeUp[e[1]] {
			now = unusable
		}
		arc := 2*l + dir
		was := g.cost[arc]
		if !matters(was, now) {
			continue
		}
		if !changed {
			g.version++
		}
		changed = true
		g.cost[arc] = now
		switch {
		case was == unusable:
			g.opened[arc] = g.version
		case now == unusable || now > was:
			g.raised[arc] = g.version
		}
	}
	return changed
}

func matters(was, now int32) bool {
	if was == unusable || now == unusable || was == 0 {
		return was != now
	}
	off := max(was-now, now-was)
	return off > was/4 && off > hopCost/4
}
