package plan

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
)

// Curve is the secret key rate of a way to bridge a distance of standard fibre.
type Curve struct {
	Name  string    `json:"name"`
	Km    []float64 `json:"km"`
	Rates []float64 `json:"rates"` // bit/s; 0 beyond its reach
}

// Crossing is the distance from which one way to bridge it stays ahead of another.
type Crossing struct {
	Km    float64 `json:"km"` // 0: at every distance, or never
	Never bool    `json:"never,omitempty"`
	From  string  `json:"from"` // ahead below
	To    string  `json:"to"`   // ahead above
	Rate  float64 `json:"rate"` // bit/s that To gives there
}

// String says it in words.
func (c Crossing) String() string {
	switch {
	case c.Never:
		return fmt.Sprintf("up to %d km %s never overtakes %s", curveReach, c.To, c.From)
	case c.Km == 0:
		return fmt.Sprintf("%s is ahead of %s at every distance", c.To, c.From)
	}
	return fmt.Sprintf("from %.0f km on %s is ahead of %s (%v there)", c.Km, c.To, c.From, qsc.BitRate(c.Rate))
}

// Fibre of the comparison, and how far it goes.
const (
	fibreLoss  = 0.2 // dB/km
	curveReach = 800 // km
	curveStep  = 5   // km

	leastRate qsc.BitRate = 1e-4
)

// way is how a distance is bridged.
type way struct {
	name   string
	preset string
	span   float64 // km between trusted nodes; 0: none in between
}

const (
	byBB84      = "decoy BB84"
	byTwinField = "twin field"
	byRepeaters = "repeater chain of 8 links"
	byNodes50   = "BB84 with a trusted node each 50 km"
	byNodes100  = "BB84 with a trusted node each 100 km"
)

var ways = []way{
	{byBB84, "rusca-snspd", 0},
	{"CV-QKD", "gg02-metro", 0},
	{byTwinField, "sns-202", 0},
	{"BBM92", "bbm92-248", 0},
	{byRepeaters, "chain-500km", 0},
	{byNodes50, "rusca-snspd", 50},
	{byNodes100, "rusca-snspd", 100},
}

// contests are the questions of those who have a distance to bridge: the second
// way over the first.
var contests = [][2]string{
	{byBB84, byTwinField}, {byBB84, byRepeaters}, {byTwinField, byRepeaters},
	{byBB84, byNodes50}, {byBB84, byNodes100}, {byTwinField, byNodes50}, {byTwinField, byNodes100},
	{byNodes50, byRepeaters}, {byNodes100, byRepeaters},
}

func (m *maker) curves() error {
	c, err := compared()
	m.plan.Curves, m.plan.Crossings = slices.Clone(c.curves), slices.Clone(c.crossings)
	return err
}

// comparison is the same for every network.
type comparison struct {
	curves    []Curve
	crossings []Crossing
}

var compared = sync.OnceValues(func() (out comparison, err error) {
	rivals := map[string]rival{}
	for _, w := range ways {
		p, err := preset.Find(w.preset)
		if err != nil {
			return out, err
		}
		r := rival{w, p.Device, Curve{Name: w.name}}
		for km := float64(curveStep); km <= curveReach; km += curveStep {
			rate, err := r.rate(km)
			if err != nil {
				return out, err
			}
			r.curve.Km, r.curve.Rates = append(r.curve.Km, km), append(r.curve.Rates, rate)
		}
		rivals[w.name] = r
		out.curves = append(out.curves, r.curve)
	}
	for _, c := range contests {
		x, err := crossing(rivals[c[0]], rivals[c[1]])
		if err != nil {
			return out, err
		}
		out.crossings = append(out.crossings, x)
	}
	return out, nil
})

// rival is a way with its device and its curve.
type rival struct {
	way
	device quantum.Device
	curve  Curve
}

// rate is the way's at a distance: with trusted nodes, that of one of the equal
// spans between them.
func (r rival) rate(km float64) (float64, error) {
	if r.span > 0 {
		km /= math.Max(1, math.Ceil(km/r.span))
	}
	p, err := r.device.Predict(quantum.Channel{Loss: fibreLoss * km, Distance: km})
	if p.Rate < leastRate { // nothing, but for the rounding of the formulas
		p.Rate = 0
	}
	return float64(p.Rate), err
}

// crossing finds where one way falls behind another for good: behind the last
// distance at which it is not.
func crossing(from, to rival) (Crossing, error) {
	c := Crossing{From: from.name, To: to.name}
	last := len(from.curve.Km) - 1
	for last >= 0 && (from.curve.Rates[last] == 0 || from.curve.Rates[last] < to.curve.Rates[last]) {
		last--
	}
	if last == len(from.curve.Km)-1 || to.curve.Rates[last+1] == 0 {
		c.Never = true
		return c, nil
	}
	if last < 0 {
		return c, nil
	}
	low, high := from.curve.Km[last], from.curve.Km[last+1]
	for high-low > 1e-3 {
		mid := (low + high) / 2
		x, err := from.rate(mid)
		if err != nil {
			return c, err
		}
		y, err := to.rate(mid)
		if err != nil {
			return c, err
		}
		if x < y {
			high = mid
		} else {
			low = mid
		}
	}
	var err error
	c.Km = high
	c.Rate, err = to.rate(high)
	return c, err
}
