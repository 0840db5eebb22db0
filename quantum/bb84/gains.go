package bb84

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Gains are the probabilities of one pulse, by intensity.
type Gains struct {
	Click  [3]float64 // a click, when Bob measures in either basis: R_k
	Error  [3]float64 // a click with the wrong bit, when he measures in Alice's: e_k
	Double [3]float64 // a click of both detectors of a basis, in Alice's basis
	Mixed  [3]float64 // the same in the other basis
}

// Gains returns the probabilities over a channel of a loss in dB, with light from
// outside that adds background to the dark count probability of each detector and
// gate. Dead time is not in them.
//
// R_k = D_k (1 + p_ap) with D_k = 1 - (1 - 2 p_dc) exp(-eta k), and
// e_k = p_dc + e_mis (1 - exp(-eta k)) + p_ap D_k/2, eta the whole transmittance,
// detectors included (Lim et al., PRA 89 022307).
func (d Device) Gains(loss, background float64) Gains {
	d = d.full()
	return d.gains(d.receiverEta()*math.Pow(10, -loss/10), d.PDark+background)
}

func (d Device) gains(eta, dark float64) (g Gains) {
	dark = min(dark, 0.25)
	for i, k := range d.mu() {
		s := -math.Expm1(-eta * k)
		click := s + 2*dark*(1-s) // D_k without cancellation
		g.Click[i] = min(click*(1+d.PAfter), 1)
		g.Error[i] = min(dark+d.EMis*s+d.PAfter*click/2, g.Click[i]/2)
		// Photons of both paths, or a photon and a dark count.
		g.Double[i] = math.Expm1(-eta*k*(1-d.EMis))*math.Expm1(-eta*k*d.EMis) + s*dark
		half := math.Expm1(-eta * k / 2)
		g.Mixed[i] = half*half + s*dark
	}
	return g
}

// mean is the average over the intensities.
func (d Device) mean(v [3]float64) (sum float64) {
	for i, p := range d.p() {
		sum += p * v[i]
	}
	return sum
}

// alive is the part of the clicks that dead time leaves: 1/(1 + rate · t_dead) with
// the rate of all detectors together.
func (d Device) alive(g Gains) float64 { return 1 / (1 + d.mean(g.Click)*d.deadGates()) }

// part is the probability of the key basis, or of the other.
func part(px float64, key bool) float64 {
	if key {
		return px
	}
	return 1 - px
}

// Expect returns the counts that a number of pulses is expected to give over a
// channel, with the leak that reconciliation at the device's f_ec would have.
// Counts of stretches of different loss may be added.
func (d Device) Expect(loss, background, pulses float64) Counts {
	d = d.full()
	g := d.Gains(loss, background)
	c := d.none()
	key := pulses * d.alive(g) * d.PX * d.PXBob
	test := pulses * d.alive(g) * (1 - d.PX) * (1 - d.PXBob)
	for i, p := range d.p() {
		c.Key[i], c.KeyErr[i] = key*p*g.Click[i], key*p*g.Error[i]
		c.Test[i], c.TestErr[i] = test*p*g.Click[i], test*p*g.Error[i]
	}
	c.Leak = d.FEC * tails.Entropy(ratio(sum(c.KeyErr), sum(c.Key))) * sum(c.Key)
	return c
}

// none returns counts of nothing under the device's intensities.
func (d Device) none() Counts { return Counts{Decoys: d.Decoys, Mu: d.mu(), P: d.p()} }

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

func sum(v [3]float64) float64 { return v[0] + v[1] + v[2] }
