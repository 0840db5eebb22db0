package cvqkd

import "math"

// linear is the Gaussian channel between a value sent and the value measured:
// y = gain·x + noise of variance sigma2, as known from m pairs.
type linear struct {
	gain, sigma2, m float64
}

// linear is what the device shows over a channel: gain² = eta T/q and
// sigma2 = 1 + v_el + eta T xi/q with q = 1 for homodyne and 2 for heterodyne.
func (d Device) linear(t, xi, m float64) linear {
	g2 := d.Eta * t / float64(d.quadratures())
	return linear{math.Sqrt(g2), 1 + d.Vel + g2*xi, m}
}

// channel reads T and xi out of a linear model. The calibrated eta and v_el are
// taken as known; a T above 1 is read as 1, an xi below 0 as 0.
func (d Device) channel(l linear) (t, xi float64) {
	g2 := l.gain * l.gain
	t = min(g2*float64(d.quadratures())/d.Eta, 1)
	return t, max((l.sigma2-1-d.Vel)/g2, 0)
}

// deviations is z: two one-sided bounds that fail with eps together.
func deviations(eps float64) float64 { return math.Sqrt2 * math.Erfcinv(eps) }

// shifted moves an estimate by z standard deviations against the user (z > 0) or
// for him (z < 0): Leverrier 2010, section IV.
func (d Device) shifted(l linear, z float64) linear {
	gain := l.gain - z*math.Sqrt(l.sigma2/(l.m*d.VA))
	return linear{gain, l.sigma2 * (1 + z*math.Sqrt(2/l.m)), l.m}
}

// worst is the channel that fits the estimate with probability 1 - eps_pe at
// least; ok is false where not even its transmittance is above 0.
func (d Device) worst(l linear) (t, xi float64, ok bool) {
	s := d.shifted(l, deviations(d.EpsPE))
	if !(s.gain > 0) {
		return 0, 0, false
	}
	t, xi = d.channel(s)
	return t, xi, true
}

// delta is the finite-size price of n symbols in bits for each: smoothing and
// privacy amplification. Each symbol is a variable of 2 values under homodyne and
// of 4 under heterodyne detection, so the factor 2·dim + 3 is 7 or 11.
func (d Device) delta(n float64) float64 {
	factor := 7.0
	if d.Heterodyne {
		factor = 11
	}
	return factor*math.Sqrt(math.Log2(2/d.EpsBar)/n) + 2/n*math.Log2(1/d.EpsPA)
}

// finite is the key in bits for each symbol of a block that meets exactly what
// is expected.
func (d Device) finite(t float64) float64 {
	n := (1 - d.Estimate) * float64(d.Block)
	m := d.Estimate * float64(d.Block) * float64(d.quadratures())
	low, xi, ok := d.worst(d.linear(t, d.Xi, m))
	if !ok || n < 1 {
		return 0
	}
	return (1 - d.Estimate) * (d.Beta*d.at(t, d.Xi).mutual() - d.at(low, xi).holevo() - d.delta(n))
}
