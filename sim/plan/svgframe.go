package plan

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg/draw"
)

// stretch is how much a map may be drawn out of shape to fill the sheet.
const stretch = 1.8

// frame sets the axes so that a degree is as long as it is on the ground, or
// nearly.
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
		x.widen(math.Max(1, want/have/stretch))
	} else {
		y.widen(math.Max(1, have/want/stretch))
	}
	y.high += (y.high - y.low) * float64(legendHeight/size.Y) // for the legend
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
		pl.X.Tick.Marker, pl.Y.Tick.Marker = degrees{"E", "W"}, degrees{"N", "S"}
	}
}

// degrees marks round places and writes them as people do.
type degrees struct{ plus, minus string }

// Ticks implements plot.Ticker: three to seven of them.
func (d degrees) Ticks(low, high float64) (ticks []plot.Tick) {
	step := roundStep((high - low) / 6)
	for k := math.Ceil(low / step); k*step <= high; k++ {
		v := round6(k * step)
		name := d.plus
		if v < 0 {
			name = d.minus
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g°%s", math.Abs(v), name)})
	}
	return ticks
}

// roundStep is the next of 1, 2 and 5 times a power of ten.
func roundStep(least float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(least)))
	for _, f := range []float64{1, 2, 5} {
		if f*ten >= least*(1-1e-9) {
			return f * ten
		}
	}
	return 10 * ten
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }
