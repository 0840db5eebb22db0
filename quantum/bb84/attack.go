package bb84

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// under returns the probabilities of a pulse while an eavesdropper is at work.
// She keeps the rate of signals as it is where her attack allows it, so that what
// gives her away are errors, decoys and double clicks.
func (d Device) under(a quantum.Attack, eta, dark float64) Gains {
	g := d.gains(eta, dark)
	s := a.Strength
	switch {
	case s == 0:
	case a.Kind == quantum.Noise:
		g = d.gains(eta, dark+s*1e-2/2)
	case a.Kind == quantum.InterceptResend:
		// Half of her bases are wrong, and half of Bob's bits then.
		for k := range g.Error {
			g.Error[k] += s * (g.Click[k]/4 - g.Error[k]/2)
		}
	case a.Kind == quantum.NumberSplitting:
		d.split(&g, s, eta, dark)
	case a.Kind == quantum.Blinding:
		d.blind(&g, s)
	}
	return g
}

// split: in a part s of the pulses she stops single photons, takes one photon of two
// or more and passes the others on without loss, as often as makes up for the
// single ones. Where the channel loses little that is not enough, and rates fall.
func (d Device) split(g *Gains, s, eta, dark float64) {
	door := min(d.receiverEta(), 1-1e-9)
	clean := 1 - 2*dark
	more := func(k float64) float64 { // gain on pulses of two photons or more
		missed := math.Exp(-k) * (beyondOne(k*(1-eta)) - beyondOne(k*(1-door))/(1-door))
		return clean * missed
	}
	single := func(k float64) float64 { return clean * k * math.Exp(-k) * eta }
	m, one := more(d.Mu1), single(d.Mu1)
	pass := 1.0
	if m > one {
		pass = one / m
	}
	for i, k := range d.mu() {
		change := s * (pass*more(k) - single(k))
		g.Click[i] = max(g.Click[i]+change*(1+d.PAfter), 0)
		g.Error[i] = min(max(g.Error[i]+change*(d.EMis+d.PAfter/2), 0), g.Click[i]/2)
	}
}

// beyondOne is e^x - 1 - x for x ≥ 0, by its series, of which no term cancels: weak
// pulses have hardly two photons.
func beyondOne(x float64) (sum float64) {
	term := x
	for n := 2.0; n < 500; n++ {
		term *= x / n
		sum += term
		if term <= sum*1e-17 {
			break
		}
	}
	return sum
}

// blind: for a part s of the time the detectors click only on bright light that
// she sends, in her basis, once she has measured at Alice's door. Bob's bit is
// hers: no errors, no dark counts, no double clicks, and decoys as bright as
// lossless detection makes them.
func (d Device) blind(g *Gains, s float64) {
	rate := g.Click[0] / -math.Expm1(-d.Mu1)
	for i, k := range d.mu() {
		g.Click[i] = (1-s)*g.Click[i] + s*rate*-math.Expm1(-k)
		g.Error[i] *= 1 - s
		g.Double[i] *= 1 - s
		g.Mixed[i] *= 1 - s
	}
}
