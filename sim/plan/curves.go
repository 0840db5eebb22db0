package plan

import (
	"math"

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

// Crossing is a distance from which another way gives more.
type Crossing struct {
	Km   float64 `json:"km"`
	From string  `json:"from"` // best below
	To   string  `json:"to"`   // best above
	Rate float64 `json:"rate"` // bit/s of both, there
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

var ways = []way{
	{"decoy BB84", "rusca-snspd", 0},
	{"CV-QKD", "gg02-metro", 0},
	{"twin field", "sns-202", 0},
	{"BBM92", "bbm92-248", 0},
	{"repeater chain, 8 links", "chain-500km", 0},
	{"trusted nodes, BB84 each 50 km", "rusca-snspd", 50},
	{"trusted nodes, BB84 each 100 km", "rusca-snspd", 100},
}

func (m *maker) curves() error {
	for _, w := range ways {
		p, err := preset.Find(w.preset)
		if err != nil {
			return err
		}
		c := Curve{Name: w.name}
		for km := float64(curveStep); km <= curveReach; km += curveStep {
			rate, err := w.rate(p.Device, km)
			if err != nil {
				return err
			}
			if rate < leastRate { // nothing, but for the rounding of the formulas
				rate = 0
			}
			c.Km, c.Rates = append(c.Km, km), append(c.Rates, float64(rate))
		}
		m.plan.Curves = append(m.plan.Curves, c)
	}
	return m.cross()
}

// rate is the way's at a distance: with trusted nodes, that of the longest span.
func (w way) rate(d quantum.Device, km float64) (qsc.BitRate, error) {
	if w.span > 0 {
		km /= math.Max(1, math.Ceil(km/w.span))
	}
	p, err := d.Predict(quantum.Channel{Loss: fibreLoss * km, Distance: km})
	return p.Rate, err
}

// cross lists where the best way without trusted nodes changes, and from where
// each way with them is ahead of it.
func (m *maker) cross() error {
	var direct []Curve
	for i, c := range m.plan.Curves {
		if ways[i].span == 0 {
			direct = append(direct, c)
		}
	}
	if len(direct) == 0 {
		return nil
	}
	best := bestOf(direct)
	for i := 1; i < len(best.names); i++ {
		if best.names[i] != best.names[i-1] && best.names[i] != "" && best.names[i-1] != "" {
			m.plan.Crossings = append(m.plan.Crossings, Crossing{direct[0].Km[i], best.names[i-1], best.names[i], best.rates[i]})
		}
	}
	for i, c := range m.plan.Curves {
		if ways[i].span == 0 {
			continue
		}
		for j := range c.Km {
			if c.Km[j] > ways[i].span && c.Rates[j] > best.rates[j] && best.rates[j] > 0 {
				m.plan.Crossings = append(m.plan.Crossings, Crossing{c.Km[j], best.names[j], c.Name, best.rates[j]})
				break
			}
		}
	}
	return nil
}

type envelope struct {
	names []string
	rates []float64
}

func bestOf(curves []Curve) (e envelope) {
	for j := range curves[0].Km {
		name, rate := "", 0.0
		for _, c := range curves {
			if c.Rates[j] > rate {
				name, rate = c.Name, c.Rates[j]
			}
		}
		e.names, e.rates = append(e.names, name), append(e.rates, rate)
	}
	return e
}
