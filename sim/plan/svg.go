package plan

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/quantum-secure-cloud/qsc"
)

// The sheet: a map on the left, rate over distance on the right, a line of words
// below.
const (
	sheetWidth  vg.Length = 1180
	sheetHeight vg.Length = 620
	mapWidth    vg.Length = 640
	headHeight  vg.Length = 46
	footHeight  vg.Length = 40
	margin      vg.Length = 14
)

// Readers have other fonts than the library measures with.
const (
	ourFont = "font-family:Liberation Sans"
	fonts   = ourFont + ",Arial,Helvetica,sans-serif"
)

// WriteSVG draws the plan on one sheet. The same plan gives the same bytes.
func (p *Plan) WriteSVG(w io.Writer) error {
	c := vgsvg.NewWith(vgsvg.UseWH(sheetWidth, sheetHeight))
	sheet := draw.New(c)
	sheet.SetColor(color.White)
	sheet.Fill(sheet.Rectangle.Path())
	p.head(sheet)
	p.foot(sheet)
	left := draw.Crop(sheet, margin, mapWidth-sheetWidth, footHeight, -headHeight)
	right := draw.Crop(sheet, mapWidth+margin, -margin, footHeight, -headHeight)
	if err := p.drawMap(left); err != nil {
		return qsc.E("plan.WriteSVG", qsc.Other, p.Network, "%w", err)
	}
	if err := p.drawCurves(right); err != nil {
		return qsc.E("plan.WriteSVG", qsc.Other, p.Network, "%w", err)
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return qsc.E("plan.WriteSVG", qsc.Other, p.Network, "%w", err)
	}
	if _, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte(ourFont), []byte(fonts))); err != nil {
		return qsc.E("plan.WriteSVG", qsc.NoSpace, p.Network, "%w", err)
	}
	return nil
}

var (
	ink   = color.RGBA{0x22, 0x2b, 0x38, 0xff}
	faint = color.RGBA{0x6b, 0x75, 0x85, 0xff}
	paper = color.RGBA{0xf6, 0xf8, 0xfb, 0xff}
	rule  = color.RGBA{0xdd, 0xe3, 0xea, 0xff}
	band  = color.RGBA{0xff, 0xe2, 0x8a, 0xff}
)

// kindColours are told apart by those who see no red or green, too (Okabe and Ito).
var kindColours = map[string]color.RGBA{
	"bb84": {0x00, 0x72, 0xb2, 0xff}, "cv": {0x00, 0x9e, 0x73, 0xff}, "twin-field": {0xd5, 0x5e, 0x00, 0xff},
	"satellite": {0xcc, 0x79, 0xa7, 0xff}, "repeater": {0x56, 0xb4, 0xe9, 0xff}, "bbm92": {0xe6, 0x9f, 0x00, 0xff},
	"mdi": {0x7a, 0x5c, 0xb8, 0xff}, "preshared": {0x88, 0x88, 0x88, 0xff}, "simulated": {0xaa, 0xb2, 0xbd, 0xff}, "device": {0x33, 0x33, 0x33, 0xff},
}

func text(size float64, c color.Color) draw.TextStyle {
	f := plot.DefaultFont
	f.Variant = "Sans"
	f.Size = font.Length(size)
	return draw.TextStyle{Color: c, Font: f, Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YCenter}
}

func bold(size float64, c color.Color) draw.TextStyle {
	t := text(size, c)
	t.Font.Weight = 3 // bold, in the scale of x/image/font
	return t
}

func (p *Plan) head(c draw.Canvas) {
	title := p.Title
	if title == "" {
		title = p.Network
	}
	y := c.Max.Y - headHeight/2
	c.FillText(bold(17, ink), vg.Point{X: margin, Y: y + 5}, title)
	c.FillText(text(10.5, faint), vg.Point{X: margin, Y: y - 12}, p.summary())
}

func (p *Plan) summary() string {
	s := fmt.Sprintf("%s: %d nodes, %d links, %d terminals in %d pairs that want %v in all", p.Network, p.Nodes, len(p.Links), p.Terminals, p.Demand.Pairs, p.Demand.Wanted)
	if p.Demand.AtMost == 0 {
		return s
	}
	low, high := Share(p.Demand.AtLeast), Share(p.Demand.AtMost)
	if low == high {
		return s + "; every pair can have " + low + " that"
	}
	return s + "; every pair can have " + low + " that, no plan gives more than " + high
}

// Share prints how many times what is wanted can be had: "1.57 times", "0.0016 % of".
func Share(times float64) string {
	if times < 0.01 {
		return fmt.Sprintf("%.2g %% of", 100*times)
	}
	return fmt.Sprintf("%.3g times", times)
}

func (p *Plan) foot(c draw.Canvas) {
	words := "Rates by closed formulas, finite key where the bound has one. Map: a line is as wide as its rate is high, dashed through the air or by courier; stretched to fill the sheet, near nodes drawn apart."
	c.FillText(text(9, faint), vg.Point{X: margin, Y: footHeight/2 + 5}, words)
	if s := p.crossingsInWords(); s != "" {
		c.FillText(text(9, faint), vg.Point{X: margin, Y: footHeight/2 - 8}, s)
	}
}

// crossingsInWords is the foot's second line: the first few that are.
func (p *Plan) crossingsInWords() string {
	var all []string
	for _, x := range p.Crossings {
		if x.Km > 0 && len(all) < 3 {
			words, _, _ := strings.Cut(x.String(), " (")
			all = append(all, words)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "Over standard fibre: " + strings.Join(all, "; ") + "."
}

// widthOf is a line's width for a rate: a step for each factor of ten.
func widthOf(rate qsc.BitRate) vg.Length {
	if rate <= 0 {
		return 0.8
	}
	return vg.Length(math.Min(5, math.Max(0.9, 0.75*(math.Log10(float64(rate))-1.5))))
}
