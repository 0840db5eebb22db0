package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/quantum-secure-cloud/qsc"
)

// place is a node on the map, in degrees or, where none has a place, on a circle.
type place struct {
	x, y float64
	air  bool // a satellite: drawn above its ground stations
}

// atlas is the map in the making. It is a plot.Plotter.
type atlas struct {
	p      *Plan
	at     map[qsc.NodeID]place
	globe  bool // x and y are degrees
	degree map[qsc.NodeID]int
	taken  []vg.Rectangle // by what is written already
}

func (p *Plan) drawMap(c draw.Canvas) error {
	a := p.atlas()
	pl := plot.New()
	pl.BackgroundColor = paper
	pl.Add(a)
	a.frame(pl, c)
	a.axes(pl)
	pl.Draw(c)
	a.legend(c)
	return nil
}

// atlas finds a place for every node.
func (p *Plan) atlas() *atlas {
	a := &atlas{p: p, at: map[qsc.NodeID]place{}, degree: map[qsc.NodeID]int{}}
	for _, l := range p.Links {
		a.degree[l.Ends[0]]++
		a.degree[l.Ends[1]]++
	}
	for _, n := range p.net.Nodes {
		if s, ok := p.net.Site(n.Site); ok && s.Location.Known {
			a.at[n.ID] = place{x: s.Location.Lon, y: s.Location.Lat}
			a.globe = true
		}
	}
	a.spread()
	for i, n := range p.net.Nodes {
		if _, ok := a.at[n.ID]; ok {
			continue
		}
		if a.globe {
			a.at[n.ID] = a.above(n.ID)
			continue
		}
		angle := 2 * math.Pi * float64(i) / float64(len(p.net.Nodes))
		a.at[n.ID] = place{x: math.Sin(angle), y: math.Cos(angle)}
	}
	return a
}

// spread moves nodes of one place a little apart.
func (a *atlas) spread() {
	taken := map[[2]float64]int{}
	for _, n := range a.p.net.Nodes {
		at, ok := a.at[n.ID]
		if !ok {
			continue
		}
		key := [2]float64{at.x, at.y}
		if k := taken[key]; k > 0 {
			angle := float64(k) * 2.4
			a.at[n.ID] = place{x: at.x + 0.02*math.Cos(angle), y: at.y + 0.02*math.Sin(angle)}
		}
		taken[key]++
	}
}

// above is a place over the middle of a node's neighbours.
func (a *atlas) above(id qsc.NodeID) place {
	top, x, n := math.Inf(-1), 0.0, 0.0
	for _, at := range a.at {
		if !at.air {
			top = math.Max(top, at.y)
		}
	}
	low := top
	for _, to := range a.p.net.Neighbours(id) {
		if at, ok := a.at[to]; ok {
			x, n, low = x+at.x, n+1, math.Min(low, at.y)
		}
	}
	if n == 0 {
		n = 1
	}
	return place{x: x / n, y: top + math.Max(0.3*(top-low), 0.15*math.Abs(a.width())), air: true}
}

func (a *atlas) width() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, at := range a.at {
		low, high = math.Min(low, at.x), math.Max(high, at.x)
	}
	return high - low
}

// frame sets the axes so that a degree is as long as it is on the ground.
func (a *atlas) frame(pl *plot.Plot, c draw.Canvas) {
	var x, y span
	for _, at := range a.at {
		x.take(at.x)
		y.take(at.y)
	}
	x.pad(0.12)
	y.pad(0.12)
	shrink := 1.0
	if a.globe {
		shrink = math.Max(0.2, math.Cos((y.low+y.high)/2*math.Pi/180))
	}
	size := c.Size()
	want := float64((size.X - 50) / (size.Y - 90)) // width over height of the drawing
	if have := (x.high - x.low) * shrink / (y.high - y.low); have < want {
		x.widen(want / have)
	} else {
		y.widen(have / want)
	}
	pl.X.Min, pl.X.Max, pl.Y.Min, pl.Y.Max = x.low, x.high, y.low, y.high
}

// span is what an axis shows.
type span struct {
	low, high float64
	set       bool
}

func (s *span) take(v float64) {
	if !s.set {
		*s = span{v, v, true}
	}
	s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
}

func (s *span) pad(part float64) {
	d := math.Max(s.high-s.low, 0.05) * part
	s.low, s.high = s.low-d, s.high+d
}

func (s *span) widen(times float64) {
	mid, half := (s.low+s.high)/2, (s.high-s.low)/2*times
	s.low, s.high = mid-half, mid+half
}

func (a *atlas) axes(pl *plot.Plot) {
	for _, ax := range []*plot.Axis{&pl.X, &pl.Y} {
		ax.Color, ax.Tick.Color, ax.LineStyle.Width = rule, rule, 0.8
		ax.Tick.Label.Color, ax.Tick.Label.Font = faint, text(8, faint).Font
		ax.Padding = 0
		if !a.globe {
			ax.Tick.Marker = plot.ConstantTicks(nil)
		}
	}
	if a.globe {
		pl.X.Tick.Marker = degrees{pl.X.Tick.Marker, "E", "W"}
		pl.Y.Tick.Marker = degrees{pl.Y.Tick.Marker, "N", "S"}
	}
}

// degrees writes ticks as people write places.
type degrees struct {
	plot.Ticker
	plus, minus string
}

// Ticks implements plot.Ticker.
func (d degrees) Ticks(low, high float64) []plot.Tick {
	ticks := d.Ticker.Ticks(low, high)
	for i, t := range ticks {
		switch {
		case t.Label == "":
		case t.Value < 0:
			ticks[i].Label = fmt.Sprintf("%g°%s", math.Abs(round6(t.Value)), d.minus)
		default:
			ticks[i].Label = fmt.Sprintf("%g°%s", round6(t.Value), d.plus)
		}
	}
	return ticks
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// Plot implements plot.Plotter.
func (a *atlas) Plot(c draw.Canvas, pl *plot.Plot) {
	tx, ty := pl.Transforms(&c)
	a.grid(c, pl, tx, ty)
	on := map[qsc.NodeID]vg.Point{}
	for id, at := range a.at {
		on[id] = vg.Point{X: tx(at.x), Y: ty(at.y)}
	}
	a.apart(on, c)
	point := func(id qsc.NodeID) vg.Point { return on[id] }
	links := slices.Clone(a.p.Links)
	slices.SortStableFunc(links, func(x, y Link) int { return cmp.Compare(x.Rate, y.Rate) })
	for _, n := range a.p.net.Nodes {
		a.taken = append(a.taken, around(point(n.ID), 5, 5))
	}
	for _, l := range links {
		style := draw.LineStyle{Color: kindColours[l.Kind], Width: widthOf(l.Rate)}
		if l.Kind == "satellite" || l.Kind == "preshared" {
			style.Dashes = []vg.Length{5, 3}
		}
		from, to := point(l.Ends[0]), point(l.Ends[1])
		c.StrokeLine2(style, from.X, from.Y, to.X, to.Y)
	}
	a.nodes(c, point)
	for _, l := range links[:min(len(links), labelled)] {
		a.label(c, point(l.Ends[0]), point(l.Ends[1]), l)
	}
}

// Nodes of a small network are drawn at least so far apart, in points, so that the
// links between near ones can be seen.
const (
	leastApart = 64
	pushes     = 60
)

// apart pushes near nodes away from each other.
func (a *atlas) apart(on map[qsc.NodeID]vg.Point, c draw.Canvas) {
	nodes := a.p.net.Nodes
	if len(nodes) > named {
		return
	}
	for range pushes {
		for i, x := range nodes {
			for _, y := range nodes[i+1:] {
				p, q := on[x.ID], on[y.ID]
				d := math.Hypot(float64(q.X-p.X), float64(q.Y-p.Y))
				if d >= leastApart {
					continue
				}
				way := vg.Point{X: 1}
				if d > 0 {
					way = vg.Point{X: (q.X - p.X) / vg.Length(d), Y: (q.Y - p.Y) / vg.Length(d)}
				}
				step := vg.Length(leastApart-d) / 2
				on[x.ID], on[y.ID] = inside(p.Sub(way.Scale(step)), c), inside(q.Add(way.Scale(step)), c)
			}
		}
	}
}

// inside keeps a node off the map's edge.
func inside(p vg.Point, c draw.Canvas) vg.Point {
	const edge = 24
	return vg.Point{X: min(max(p.X, c.Min.X+edge), c.Max.X-edge), Y: min(max(p.Y, c.Min.Y+edge), c.Max.Y-edge)}
}

func (a *atlas) grid(c draw.Canvas, pl *plot.Plot, tx, ty func(float64) vg.Length) {
	if !a.globe {
		return
	}
	style := draw.LineStyle{Color: rule, Width: 0.6}
	for _, t := range pl.X.Tick.Marker.Ticks(pl.X.Min, pl.X.Max) {
		if t.Label != "" {
			c.StrokeLine2(style, tx(t.Value), c.Min.Y, tx(t.Value), c.Max.Y)
		}
	}
	for _, t := range pl.Y.Tick.Marker.Ticks(pl.Y.Min, pl.Y.Max) {
		if t.Label != "" {
			c.StrokeLine2(style, c.Min.X, ty(t.Value), c.Max.X, ty(t.Value))
		}
	}
}

// labelled is how many links get their rate written on them.
const labelled = 24

// label writes a link's rate on it, where there is room: the table has it, too.
func (a *atlas) label(c draw.Canvas, from, to vg.Point, l Link) {
	t := text(8, kindColours[l.Kind])
	words := l.Rate.String()
	w := t.Width(words)/2 + 2
	for _, part := range []vg.Length{0.5, 0.4, 0.6, 0.3, 0.7} {
		at := vg.Point{X: from.X + part*(to.X-from.X), Y: from.Y + part*(to.Y-from.Y)}
		if box := around(at, w, 6); free(box, a.taken) && within(box, c.Rectangle) {
			a.write(c, t, at, box, words)
			return
		}
	}
}

// write puts words into a box of their own.
func (a *atlas) write(c draw.Canvas, t draw.TextStyle, at vg.Point, box vg.Rectangle, words string) {
	a.taken = append(a.taken, box)
	c.SetColor(paper)
	c.Fill(box.Path())
	t.XAlign = draw.XCenter
	c.FillText(t, at, words)
}

// named is up to how many nodes all are named; beyond, only the best joined.
const named = 40

func (a *atlas) nodes(c draw.Canvas, point func(qsc.NodeID) vg.Point) {
	nodes := slices.Clone(a.p.net.Nodes)
	slices.SortStableFunc(nodes, func(x, y topologyNode) int { return -cmp.Compare(a.degree[x.ID], a.degree[y.ID]) })
	radius := vg.Length(4)
	if len(nodes) > named {
		radius = 2.4
	}
	for _, n := range nodes {
		at := point(n.ID)
		shape := draw.GlyphDrawer(draw.CircleGlyph{})
		if a.at[n.ID].air {
			shape = draw.PyramidGlyph{}
		}
		c.DrawGlyph(draw.GlyphStyle{Color: paper, Radius: radius + 1.4, Shape: shape}, at)
		c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: radius, Shape: shape}, at)
	}
	a.names(c, nodes, point)
}

// names writes the nodes' names where there is room, the best joined first.
func (a *atlas) names(c draw.Canvas, nodes []topologyNode, point func(qsc.NodeID) vg.Point) {
	style := text(9, ink)
	if len(nodes) > named {
		style = text(7, ink)
		nodes = nodes[:named]
	}
	for _, n := range nodes {
		name := a.nameOf(n)
		w, h := style.Width(name), style.Height(name)
		at := point(n.ID)
		for _, off := range []vg.Point{{Y: 12}, {Y: -12}, {X: w/2 + 8}, {X: -w/2 - 8}, {X: w/2 + 6, Y: 9}, {X: -w/2 - 6, Y: 9}, {X: w/2 + 6, Y: -9}, {X: -w/2 - 6, Y: -9}} {
			box := around(at.Add(off), w/2+1, h/2+1)
			if free(box, a.taken) && within(box, c.Rectangle) {
				a.write(c, style, at.Add(off), box, name)
				break
			}
		}
	}
}

func (a *atlas) nameOf(n topologyNode) string {
	if s, ok := a.p.net.Site(n.Site); ok && s.Title != "" && string(s.ID) == string(n.ID) {
		return s.Title
	}
	return string(n.ID)
}

func around(p vg.Point, w, h vg.Length) vg.Rectangle {
	return vg.Rectangle{Min: vg.Point{X: p.X - w, Y: p.Y - h}, Max: vg.Point{X: p.X + w, Y: p.Y + h}}
}

func free(box vg.Rectangle, taken []vg.Rectangle) bool {
	return !slices.ContainsFunc(taken, func(t vg.Rectangle) bool {
		return box.Min.X < t.Max.X && t.Min.X < box.Max.X && box.Min.Y < t.Max.Y && t.Min.Y < box.Max.Y
	})
}

func within(box, all vg.Rectangle) bool {
	return box.Min.X >= all.Min.X && box.Max.X <= all.Max.X && box.Min.Y >= all.Min.Y && box.Max.Y <= all.Max.Y
}

// legend names the kinds that there are, along the map's upper edge.
func (a *atlas) legend(c draw.Canvas) {
	x, y := c.Min.X+44, c.Max.Y-10
	seen := map[string]bool{}
	for _, l := range a.p.Links {
		if seen[l.Kind] {
			continue
		}
		seen[l.Kind] = true
		style := draw.LineStyle{Color: kindColours[l.Kind], Width: 2.6}
		c.StrokeLine2(style, x, y, x+16, y)
		t := text(9, ink)
		c.FillText(t, vg.Point{X: x + 20, Y: y}, l.Kind)
		x += 20 + t.Width(l.Kind) + 14
	}
}
