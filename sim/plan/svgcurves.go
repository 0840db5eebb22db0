package plan

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/quantum-secure-cloud/qsc"
)

// The rates that the plot shows.
const (
	lowestRate  = 1e-2
	highestRate = 1e9
)

var curveColours = []color.RGBA{
	kindColours["bb84"], kindColours["cv"], kindColours["twin-field"], kindColours["bbm92"], kindColours["repeater"],
	{0x55, 0x55, 0x55, 0xff}, {0x99, 0x99, 0x99, 0xff},
}

// drawCurves draws the secret key rate over the distance, and the network's own
// links as points.
func (p *Plan) drawCurves(c draw.Canvas) error {
	pl := plot.New()
	pl.BackgroundColor = color.White
	pl.X.Label.Text, pl.Y.Label.Text = "km of fibre at 0.2 dB/km", "secret key, bit/s"
	pl.X.Min, pl.X.Max, pl.Y.Min, pl.Y.Max = 0, curveReach, lowestRate, highestRate
	pl.X.Tick.Marker = hundreds{}
	pl.Y.Scale, pl.Y.Tick.Marker = plot.LogScale{}, decades{}
	for _, ax := range []*plot.Axis{&pl.X, &pl.Y} {
		ax.Color, ax.Tick.Color, ax.LineStyle.Width = rule, rule, 0.8
		ax.Tick.Label.Color, ax.Tick.Label.Font = faint, text(8, faint).Font
		ax.Label.TextStyle.Color, ax.Label.TextStyle.Font = ink, text(9.5, ink).Font
		ax.Padding = 0
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = rule, rule
	pl.Add(grid)
	for i, curve := range p.Curves {
		if err := addCurve(pl, curve, i); err != nil {
			return err
		}
	}
	if err := p.addLinks(pl); err != nil {
		return err
	}
	pl.Draw(c)
	p.curveLegend(c)
	return nil
}

// curveLegend names the curves in the corner where none passes.
func (p *Plan) curveLegend(c draw.Canvas) {
	const width, row = 205, 13
	x, y := c.Max.X-width, c.Max.Y-10
	c.SetColor(color.White)
	c.Fill(vg.Rectangle{Min: vg.Point{X: x - 8, Y: y - vg.Length(row*len(p.Curves)) - 8}, Max: vg.Point{X: c.Max.X, Y: c.Max.Y}}.Path())
	for i, curve := range p.Curves {
		c.StrokeLine2(curveStyle(i), x, y, x+22, y)
		c.FillText(text(9, ink), vg.Point{X: x + 28, Y: y}, curve.Name)
		y -= row
	}
	c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: 3.2, Shape: draw.CircleGlyph{}}, vg.Point{X: x + 11, Y: y})
	c.FillText(text(9, ink), vg.Point{X: x + 28, Y: y}, "links of this network, by kind")
}

func curveStyle(i int) draw.LineStyle {
	s := draw.LineStyle{Color: curveColours[i%len(curveColours)], Width: 1.8}
	if i < len(ways) && ways[i].span > 0 {
		s.Dashes = []vg.Length{5, 3}
	}
	return s
}

func addCurve(pl *plot.Plot, c Curve, i int) error {
	var xy plotter.XYs
	for j, r := range c.Rates {
		if r >= lowestRate {
			xy = append(xy, plotter.XY{X: c.Km[j], Y: math.Min(r, highestRate)})
		}
	}
	if len(xy) < 2 {
		return nil
	}
	line, err := plotter.NewLine(xy)
	if err != nil {
		return err
	}
	line.LineStyle = curveStyle(i)
	pl.Add(line)
	return nil
}

// addLinks puts the network's links into the plot, each at its length.
func (p *Plan) addLinks(pl *plot.Plot) error {
	var xy plotter.XYs
	var colours []color.RGBA
	for _, l := range p.Links {
		if l.Distance > 0 && l.Distance <= curveReach && float64(l.Rate) >= lowestRate && l.Kind != "preshared" {
			xy = append(xy, plotter.XY{X: l.Distance, Y: math.Min(float64(l.Rate), highestRate)})
			colours = append(colours, kindColours[l.Kind])
		}
	}
	if len(xy) == 0 {
		return nil
	}
	points, err := plotter.NewScatter(xy)
	if err != nil {
		return err
	}
	points.GlyphStyleFunc = func(i int) draw.GlyphStyle {
		return draw.GlyphStyle{Color: colours[i], Radius: 3.4, Shape: draw.CircleGlyph{}}
	}
	pl.Add(points)
	return nil
}

// hundreds marks every hundred km.
type hundreds struct{}

// Ticks implements plot.Ticker.
func (hundreds) Ticks(low, high float64) (all []plot.Tick) {
	for v := low; v <= high; v += 100 {
		all = append(all, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
	}
	return all
}

// decades marks every other power of ten, in the field's units.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) (all []plot.Tick) {
	for e := math.Ceil(math.Log10(low)); e <= math.Log10(high)+1e-9; e++ {
		t := plot.Tick{Value: math.Pow(10, e)}
		switch int(e) {
		case -2, -1:
			t.Label = fmt.Sprintf("%g bit/s", t.Value)
		default:
			t.Label = qsc.BitRate(t.Value).String()
		}
		all = append(all, t)
	}
	return all
}
