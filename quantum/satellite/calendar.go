package satellite

import (
	"math"
	"sync"
	"time"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/quantum-secure-cloud/qsc/quantum/bb84"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Pass is the satellite's way over a station, once, and the one block of key that
// is made of it.
type Pass struct {
	Rise, Culmination, Set time.Time
	MaxElevation           float64 // degrees
	SunElevation           float64 // at culmination, degrees
	Clear                  float64 // probability of a clear sky; 0 or 1 where the weather is drawn
	Sifted                 int64   // bits of the key basis under a clear sky; 0 where the sky is too bright
	Bits                   int64   // secret under a clear sky; 0: too little or too noisy
	QBER                   float64
}

// Expected is the secret bits of the pass, weather included.
func (p Pass) Expected() float64 { return float64(p.Bits) * p.Clear }

// Calendar lists the passes over a station that culminate between two times. With
// weather nil, Clear is the climate's probability at the time of the year. The
// device's own station is not used. Parameters that Predict refuses yield nothing.
func (d Device) Calendar(st Station, from, to time.Time, w *Weather) []Pass {
	if d.check("satellite.Calendar") != nil {
		return nil
	}
	var all []Pass
	d.eachPass(st, from, to, func(p Pass) bool {
		if w != nil {
			p.Clear = w.Clear(st.Name, p.Culmination)
		}
		all = append(all, p)
		return true
	})
	return all
}

// eachPass calls f with the passes in order until it returns false.
func (d Device) eachPass(st Station, from, to time.Time, f func(Pass) bool) {
	v := newView(d.Orbit, st)
	at := func(s float64) time.Time { return d.Epoch.Add(time.Duration(math.Round(s*1e3)) * time.Millisecond) }
	v.passes(from.Sub(d.Epoch).Seconds(), to.Sub(d.Epoch).Seconds(), rad(d.Lowest), func(a arc) bool {
		p := Pass{Rise: at(a.rise), Culmination: at(a.top), Set: at(a.set), MaxElevation: degrees(a.height)}
		p.SunElevation = st.SunElevation(p.Culmination)
		p.Clear = st.fraction(p.Culmination)
		d.fill(&p, v, a)
		return f(p)
	})
}

// The points and weights of an integral over -1 to 1.
const points = 14

var legendre = sync.OnceValue(func() (g struct{ x, w [points]float64 }) {
	quad.Legendre{}.FixedLocations(g.x[:], g.w[:], -1, 1)
	return g
})

// counts integrates the counts expected over a pass under a clear sky, with the
// sky light of its culmination.
func (d Device) counts(v *view, a arc, sunDeg float64) bb84.Counts {
	g, half := legendre(), (a.set-a.rise)/2
	background := d.background(sunDeg)
	var c bb84.Counts
	for i, x := range g.x {
		elevation, slant := v.look(a.rise + half*(1+x))
		one := d.BB84.Expect(d.Budget(slant, degrees(elevation)), background, g.w[i]*half*d.BB84.Clock)
		if i == 0 {
			c = one
		} else {
			c = c.Add(one)
		}
	}
	return c
}

// hopeless is an error rate at which no bound leaves anything.
const hopeless = 0.2

// fill works out what a pass yields. Where the best moment is hopeless (daylight),
// the rest is not looked at. Errors of the
// whole pass are corrected together, so the leak follows from their mean rate.
func (d Device) fill(p *Pass, v *view, a arc) {
	_, slant := v.look(a.top)
	best := d.BB84.Expect(d.Budget(slant, p.MaxElevation), d.background(p.SunElevation), 1)
	if p.QBER = total(best.KeyErr) / total(best.Key); !(p.QBER < hopeless) {
		return
	}
	c := d.counts(v, a, p.SunElevation)
	n, wrong := total(c.Key), total(c.KeyErr)
	p.Sifted = int64(n)
	if n <= 0 {
		return
	}
	p.QBER = wrong / n
	if p.QBER >= hopeless || n < bb84.LeastSifted {
		return
	}
	c.KeyErr, c.Pooled = [3]float64{wrong}, true
	c.Leak = d.BB84.FEC * tails.Entropy(p.QBER) * n
	e, err := d.BB84.Secret(c)
	if err == nil {
		p.Bits = max(int64(e.Bits), 0)
	}
}

func total(v [3]float64) float64 { return v[0] + v[1] + v[2] }
