package plan

import (
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// labelled is how many links get their rate written on them, those first that
// limit the whole: the table has all.
func (a *atlas) labelled() int {
	if len(a.p.net.Nodes) > named {
		return 10
	}
	return 24
}

// label writes a link's rate on it where it hides least.
func (a *atlas) label(c draw.Canvas, line []vg.Point, l Link) {
	t := text(8, kindColours[l.Kind])
	words := l.Rate.String()
	w := widthOfText(t, words)/2 + 2
	var at []vg.Point
	for _, part := range []vg.Length{0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74} {
		where := part * vg.Length(len(line)-1)
		i := int(where)
		at = append(at, line[i].Add(line[i+1].Sub(line[i]).Scale(where-vg.Length(i))))
	}
	if best, box, ok := a.room(c, at, w, 6); ok {
		a.write(c, t, best, box, words)
	}
}

// room is the first of the places that is free, hides the fewest links and is
// nearest to the fewest nodes.
func (a *atlas) room(c draw.Canvas, places []vg.Point, w, h vg.Length) (at vg.Point, box vg.Rectangle, ok bool) {
	fewest := math.MaxInt
	for _, p := range places {
		b := around(p, w, h)
		if !free(b, a.taken) || !within(b, c.Rectangle) {
			continue
		}
		hidden := 0
		for _, l := range a.lines {
			if crosses(l[0], l[1], b) {
				hidden++
			}
		}
		for _, n := range a.points {
			if free := around(p, w+8, h+8); free.Min.X < n.X && n.X < free.Max.X && free.Min.Y < n.Y && n.Y < free.Max.Y {
				hidden++ // looks like that node's name
			}
		}
		if hidden < fewest {
			at, box, ok, fewest = p, b, true, hidden
		}
	}
	return at, box, ok
}

// crosses reports whether a line passes through a box (Liang and Barsky 1984).
func crosses(from, to vg.Point, box vg.Rectangle) bool {
	enter, leave := 0.0, 1.0
	clip := func(d, low, high float64) bool {
		if d == 0 {
			return low <= 0 && high >= 0
		}
		a, b := low/d, high/d
		enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
		return enter <= leave
	}
	return clip(float64(to.X-from.X), float64(box.Min.X-from.X), float64(box.Max.X-from.X)) &&
		clip(float64(to.Y-from.Y), float64(box.Min.Y-from.Y), float64(box.Max.Y-from.Y))
}

// widthOfText allows for a reader's fonts, which may be wider than ours.
func widthOfText(t draw.TextStyle, words string) vg.Length { return 1.2 * t.Width(words) }

// write puts words into a box of their own.
func (a *atlas) write(c draw.Canvas, t draw.TextStyle, at vg.Point, box vg.Rectangle, words string) {
	a.taken = append(a.taken, box)
	c.SetColor(paper)
	c.Fill(box.Path())
	t.XAlign = draw.XCenter
	c.FillText(t, at, words)
}

// names writes the nodes' names where there is room, the best joined first.
func (a *atlas) names(c draw.Canvas, nodes []topology.Node, on map[qsc.NodeID]vg.Point) {
	style := text(9, ink)
	if len(nodes) > named {
		style = text(7, ink)
		nodes = nodes[:named]
	}
	for _, n := range nodes {
		name := a.nameOf(n)
		w, h := widthOfText(style, name)/2+1, style.Height(name)/2+1
		var places []vg.Point
		for _, far := range []vg.Length{0, 5} {
			for _, off := range []vg.Point{
				{Y: 12 + far}, {Y: -12 - far}, {X: w + 7 + far}, {X: -w - 7 - far},
				{X: w + 4, Y: 9 + far}, {X: -w - 4, Y: 9 + far}, {X: w + 4, Y: -9 - far}, {X: -w - 4, Y: -9 - far},
			} {
				places = append(places, on[n.ID].Add(off))
			}
		}
		if at, box, ok := a.room(c, places, w, h); ok {
			a.write(c, style, at, box, name)
		}
	}
}

func (a *atlas) nameOf(n topology.Node) string {
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

// legendHeight is that of the two rows along the map's upper edge.
const legendHeight vg.Length = 34

// legend names the kinds that there are and says what widths and marks mean.
func (a *atlas) legend(c draw.Canvas) {
	left, t := c.Min.X+44, text(8.5, ink)
	x, y := left, c.Max.Y-10
	seen := map[string]bool{}
	for _, l := range a.p.Links {
		if seen[l.Kind] {
			continue
		}
		seen[l.Kind] = true
		c.StrokeLine2(draw.LineStyle{Color: kindColours[l.Kind], Width: 2.6, Dashes: dashesOf(l.Kind)}, x, y, x+18, y)
		c.FillText(t, vg.Point{X: x + 22, Y: y}, l.Kind)
		x += 22 + widthOfText(t, l.Kind) + 9
	}
	x, y = left, y-15
	t = text(8.5, faint)
	put := func(words string, width vg.Length, colour color.Color) {
		c.StrokeLine2(draw.LineStyle{Color: colour, Width: width}, x, y, x+18, y)
		c.FillText(t, vg.Point{X: x + 22, Y: y}, words)
		x += 22 + widthOfText(t, words) + 9
	}
	for _, rate := range []qsc.BitRate{1e3, 1e5, 1e7} {
		put(rate.String(), a.style(Link{Rate: rate}).Width, faint)
	}
	if slices.ContainsFunc(a.p.Links, func(l Link) bool { return l.Price >= limiting }) {
		put("limits the whole", 9, band)
	}
	mark := func(words string, shape draw.GlyphDrawer) {
		c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: 4, Shape: shape}, vg.Point{X: x + 9, Y: y})
		c.FillText(t, vg.Point{X: x + 17, Y: y}, words)
		x += 17 + widthOfText(t, words) + 9
	}
	if len(a.air) > 0 {
		mark("satellite", draw.PyramidGlyph{})
	}
	if a.globe && slices.ContainsFunc(a.p.net.Nodes, func(n topology.Node) bool { return a.at[n.ID].loose && !a.air[n.ID] }) {
		mark("place not given", draw.RingGlyph{})
	}
}
