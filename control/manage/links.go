package manage

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/rate"
	"github.com/quantum-secure-cloud/qsc/control/route"
)

// link is what the controller knows of one link: each end's last word and how
// the stock moves.
type link struct {
	ends [2]int // members
	said [2]*control.LinkState

	state  route.State
	halted bool // one of the ends says so
	trend  trend
	left   [2]leaving
}

// leaving is when flows left a direction, and with how much key in it.
type leaving struct {
	at    time.Duration
	stock int64
}

// trend follows the stock of both directions.
type trend struct {
	known bool
	at    time.Duration
	stock [2]int64
	slope [2]float64 // bytes per second, smoothed
}

// Reports closer than this say little about a slope.
const trendStep = 500 * time.Millisecond

// takeLinks notes a node's view of its links. One that it leaves out is down.
func (c *Core) takeLinks(node int, r control.Report, numbers []int32) {
	news := make(map[int32]*control.LinkState, len(numbers))
	for k, n := range numbers {
		news[n] = &r.Links[k]
	}
	for _, l := range c.net.LinksOf(r.Node) {
		n, _ := c.graph.LinkNumber(l.ID)
		at := &c.links[n]
		end := 0
		if at.ends[1] == node {
			end = 1
		}
		s := news[n]
		if s == nil {
			s = &control.LinkState{Link: l.ID}
		}
		if was := at.said[end]; was == nil || was.Up != s.Up {
			c.urgent = true
		}
		at.said[end] = s
	}
}

// price tells the graph what is known of every link now.
func (c *Core) price(now time.Duration) {
	for n := range c.links {
		l := &c.links[n]
		was := l.state
		l.state, l.halted = l.merge()
		l.trend.take(now, l.state)
		l.state.Trend = l.trend.slope
		for dir := range 2 {
			l.state.Avoid[dir] = l.dry(now, dir, was.Avoid[dir], c.cfg.Dry)
		}
		_, _ = c.graph.SetLink(c.graph.Link(int32(n)), l.usable()) // every link is in the graph
	}
}

// usable is the state that routes go by: of a halted link, what is too little for a
// round is nothing.
func (l *link) usable() route.State {
	s := l.state
	for dir := range s.Stock {
		if l.halted && s.Stock[dir] < tooLittle(s.Size) {
			s.Stock[dir] = 0
		}
	}
	return s
}

// merge joins what the two ends say: it is up when all who speak say so, and
// what either lacks is lacking.
func (l *link) merge() (s route.State, halted bool) {
	for end, said := range l.said {
		if said == nil {
			continue
		}
		halted = halted || said.Halted
		// Stock[0] runs from end 0 to end 1: what end 0 sends, end 1 receives.
		stock := [2]int64{said.Send, said.Recv}
		if end == 1 {
			stock = [2]int64{said.Recv, said.Send}
		}
		if l.said[1-end] == nil || end == 0 {
			s = route.State{Up: said.Up, Stock: stock, Size: said.Size, Rate: said.Rate}
			continue
		}
		s.Up = s.Up && said.Up
		s.Stock = [2]int64{min(s.Stock[0], stock[0]), min(s.Stock[1], stock[1])}
		s.Size, s.Rate = min(s.Size, said.Size), min(s.Rate, said.Rate)
	}
	return s, halted
}

// take measures the slope since the last measurement and smooths it by half.
func (t *trend) take(now time.Duration, s route.State) {
	if !s.Up {
		*t = trend{}
		return
	}
	dt := now - t.at
	if t.known && dt < trendStep {
		return
	}
	for dir := range 2 {
		if t.known {
			slope := float64(s.Stock[dir]-t.stock[dir]) / dt.Seconds()
			t.slope[dir] = (t.slope[dir] + slope) / 2
		}
	}
	t.known, t.at, t.stock = true, now, s.Stock
}

// dry reports whether flows should stay off one direction of the link: it is halted;
// or it drains and will be empty within the horizon, or holds less than a 32nd, or
// makes no key and holds too little for a round. A ring that is filled again is not
// said to drain before three quarters are gone: a relay's round takes up to half at
// once. Once left, a direction is taken again when a quarter has come in, when it is
// all but full, or after avoidLongest; so flows do not swing.
func (l *link) dry(now time.Duration, dir int, was bool, horizon time.Duration) bool {
	s := l.state
	stock, slope := s.Stock[dir], s.Trend[dir]
	reserve := rate.Reserve{Stock: stock, Draw: qsc.BitRate(max(0, -slope) * 8)}
	drains := reserve.DryWithin(horizon) && (s.Rate <= 0 || stock < s.Size/4)
	left := &l.left[dir]
	switch {
	case !s.Up:
		return false
	case l.halted:
		*left = leaving{now, stock}
		return true
	case drains || stock < s.Size/32 || s.Rate <= 0 && stock < tooLittle(s.Size):
		if !was || stock < left.stock {
			*left = leaving{now, stock}
		}
		return true
	}
	return was && stock < min(s.Size/16*15, left.stock+s.Size/4) && now-left.at < avoidLongest
}

// tooLittle is how much key in a ring of this size may be not enough for a round: a
// relay takes up to half of a ring at once and leaves an eighth, at most 64 KiB, for
// the frames of its order. Without it a small ring that cannot serve and so does not
// drain either would look as good as any.
func tooLittle(size int64) int64 { return min(size/8*5, 128<<10) }

// avoidLongest is how long flows stay off a link that neither drains nor fills.
const avoidLongest = 10 * time.Minute

// capacity is the rate that flows may share on the link, in secret bits per
// second of both directions: what it makes or, of a finite stock, what spends it
// within stockLife. No courier will bring more of a halted link's: whoever has no
// other way takes the rest now.
func (l *link) capacity() qsc.BitRate {
	switch s := l.state; {
	case !s.Up:
		return 0
	case s.Rate > 0 && !l.halted:
		return s.Rate
	default:
		life := stockLife
		if l.halted {
			life = restLife
		}
		return qsc.BitRate(float64(s.Stock[0]+s.Stock[1]) * 8 / life.Seconds())
	}
}

const (
	stockLife = 24 * time.Hour // over which a couriered stock is spread
	restLife  = time.Minute    // over which a halted link's rest is
)
