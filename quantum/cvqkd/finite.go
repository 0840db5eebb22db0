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

// spread is z of the worst channel: three one-sided bounds, of the gain from both sides
// and of the noise, that fail with eps_pe together.
func (d Device) spread() float64 { return deviations(d.EpsPE * 2 / 3) }

// worst is the channel that tells the eavesdropper most among those that fit the
// estimate, which the true one does with probability 1 - eps_pe at least; ok is false
// where not even its transmittance is above 0.
//
// The noise is the largest. The gain is not always the smallest, as it is often
// written: below a transmittance of about one half she learns more of the receiver's
// values when more of the light arrives. What she learns rises and then falls with the
// gain, so thirds of the interval are cut off where it is less.
func (d Device) worst(l linear) (t, xi float64, ok bool) {
	low, high := d.shifted(l, d.spread()), d.shifted(l, -d.spread())
	if !(low.gain > 0) {
		return 0, 0, false
	}
	at := func(gain float64) (t, xi, chi float64) {
		t, xi = d.channel(linear{gain, low.sigma2, l.m})
		return t, xi, d.at(t, xi).holevo()
	}
	t, xi, most := at(low.gain)
	a, b := low.gain, high.gain
	try := func(gain float64) float64 {
		u, x, chi := at(gain)
		if chi > most {
			t, xi, most = u, x, chi
		}
		return chi
	}
	try(b)
	for range 40 {
		third := (b - a) / 3
		if try(a+third) < try(b-third) {
			a += third
		} else {
			b -= third
		}
	}
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
