package plan

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/node"
)

// place is a node on the map, in degrees or, where none has a place, on a circle.
type place struct {
	x, y  float64
	loose bool // not given: drawn above the others
}

// atlas is the map in the making. It is a plot.Plotter.
type atlas struct {
	p      *Plan
	at     map[qsc.NodeID]place
	globe  bool // x and y are degrees
	degree map[qsc.NodeID]int
	air    map[qsc.NodeID]bool // satellites
	taken  []vg.Rectangle      // by what is written already
	lines  [][2]vg.Point       // the links as they are drawn
	points []vg.Point          // the nodes
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
	a := &atlas{p: p, at: map[qsc.NodeID]place{}, degree: map[qsc.NodeID]int{}, air: map[qsc.NodeID]bool{}}
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
	for _, l := range p.net.Links {
		if l.Kind == topology.KindSatellite {
			a.air[a.flying(l)] = true
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

// flying is that end of a satellite's link which is not its station.
func (a *atlas) flying(l topology.Link) qsc.NodeID { return l.Other(node.StationOf(a.p.net, l)) }

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
		if !at.loose {
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
	return place{x: x / n, y: top + math.Max(0.3*(top-low), 0.15*math.Abs(a.width())), loose: true}
}

func (a *atlas) width() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, at := range a.at {
		low, high = math.Min(low, at.x), math.Max(high, at.x)
	}
	return high - low
}

// Plot implements plot.Plotter.
func (a *atlas) Plot(c draw.Canvas, pl *plot.Plot) {
	tx, ty := pl.Transforms(&c)
	a.grid(c, pl, tx, ty)
	on := map[qsc.NodeID]vg.Point{}
	for id, at := range a.at {
		on[id] = vg.Point{X: tx(at.x), Y: ty(at.y)}
	}
	a.apart(on, c)
	a.taken = append(a.taken, vg.Rectangle{Min: vg.Point{X: c.Min.X, Y: c.Max.Y - legendHeight}, Max: c.Max})
	for _, n := range a.p.net.Nodes {
		a.taken, a.points = append(a.taken, around(on[n.ID], 5, 5)), append(a.points, on[n.ID])
	}
	a.links(c, on)
	a.nodes(c, on)
	for _, l := range Scarcest(a.p.Links, a.labelled()) {
		a.label(c, drawn(l, on), l)
	}
}

// limiting is from which part of what limits the whole a link is marked.
const limiting = 0.1

// links draws the fastest last, above bands that mark those that limit the whole.
func (a *atlas) links(c draw.Canvas, on map[qsc.NodeID]vg.Point) {
	links := slices.Clone(a.p.Links)
	slices.SortStableFunc(links, func(x, y Link) int { return cmp.Compare(x.Rate, y.Rate) })
	for _, l := range links {
		line := drawn(l, on)
		for i := 1; i < len(line); i++ {
			a.lines = append(a.lines, [2]vg.Point{line[i-1], line[i]})
		}
		if l.Price >= limiting {
			c.StrokeLines(draw.LineStyle{Color: band, Width: 11}, line)
		}
	}
	for _, l := range links {
		c.StrokeLines(a.style(l), drawn(l, on))
	}
}

// drawn is a link's line: bowed upwards through the air, so that it does not hide
// what lies on the ground.
func drawn(l Link, on map[qsc.NodeID]vg.Point) []vg.Point {
	from, to := on[l.Ends[0]], on[l.Ends[1]]
	if l.Kind != topology.KindSatellite {
		return []vg.Point{from, to}
	}
	const pieces, height = 24, 0.4
	across := vg.Point{X: from.Y - to.Y, Y: to.X - from.X}.Scale(height)
	if across.Y < 0 {
		across = across.Scale(-1)
	}
	line := make([]vg.Point, 0, pieces+1)
	for i := range pieces + 1 {
		t := vg.Length(i) / pieces
		line = append(line, from.Add(to.Sub(from).Scale(t)).Add(across.Scale(t*(1-t))))
	}
	return line
}

// style is a link's line: thinner where there are many.
func (a *atlas) style(l Link) draw.LineStyle {
	style := draw.LineStyle{Color: kindColours[l.Kind], Width: widthOf(l.Rate)}
	switch n := len(a.p.net.Nodes); {
	case n > 300:
		style.Width *= 0.4
	case n > named:
		style.Width *= 0.7
	}
	style.Dashes = dashesOf(l.Kind)
	return style
}

func dashesOf(kind string) []vg.Length {
	if kind == topology.KindSatellite || kind == topology.KindPreshared {
		return []vg.Length{5, 3}
	}
	return nil
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

// named is up to how many nodes all are named; beyond, only the best joined.
const named = 40

func (a *atlas) nodes(c draw.Canvas, on map[qsc.NodeID]vg.Point) {
	nodes := slices.Clone(a.p.net.Nodes)
	slices.SortStableFunc(nodes, func(x, y topology.Node) int { return cmp.Compare(a.rank(y.ID), a.rank(x.ID)) })
	radius, halo := vg.Length(4), vg.Length(1.4)
	switch n := len(nodes); {
	case n > 300:
		radius, halo = 1.3, 0.3
	case n > named:
		radius, halo = 2.4, 1
	}
	for _, n := range nodes {
		c.DrawGlyph(draw.GlyphStyle{Color: paper, Radius: radius + halo, Shape: a.shape(n.ID)}, on[n.ID])
		c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: radius, Shape: a.shape(n.ID)}, on[n.ID])
		if a.globe && a.at[n.ID].loose && !a.air[n.ID] {
			c.DrawGlyph(draw.GlyphStyle{Color: paper, Radius: radius * 0.55, Shape: draw.CircleGlyph{}}, on[n.ID])
		}
	}
	a.names(c, nodes, on)
}

// rank says who is named first: satellites, then the best joined.
func (a *atlas) rank(id qsc.NodeID) int {
	if a.air[id] {
		return math.MaxInt
	}
	return a.degree[id]
}

func (a *atlas) shape(id qsc.NodeID) draw.GlyphDrawer {
	if a.air[id] {
		return draw.PyramidGlyph{}
	}
	return draw.CircleGlyph{}
}
