// Package mdi is measurement-device-independent quantum key distribution (Lo, Curty
// and Qi, PRL 108, 130503) with time bins, at both fidelities. Both ends send weak
// light to a station in the middle that announces coincidences: one click in the
// early bin and one in the late. No detector is trusted.
//
// Z is the key basis: light in one bin or the other. X, light in both bins with a
// relative phase of 0 or π, is for decoys and is disclosed. Not modelled: dead time,
// afterpulses, unequal arms, imperfect overlap of the two lights beyond the
// misalignment. Errors are corrected and key is made by package distill.
package mdi

import (
	"cmp"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/midpoint"
	"github.com/quantum-secure-cloud/qsc/quantum/splitter"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Kind is the word of network descriptions.
const Kind = "mdi"

// The bounds on offer.
const (
	// Zhou2016 is the finite-key length of the four-intensity protocol: signals in
	// Z, two decoys in X and the vacuum (Zhou, Yu and Wang, PRA 93, 042324), with the
	// analytic two-decoy bounds of Xu, Curty, Qi and Lo (New J. Phys. 15, 113007),
	// Chernoff's bound and the constants of Curty et al. (Nat. Commun. 5, 3732). It
	// is the default and the only one for runs.
	Zhou2016 = "mdi-zhou-2016"
	// MaRazavi is the asymptotic length with perfect decoys (Ma and Razavi, PRA 86,
	// 062319).
	MaRazavi = "mdi-asymptotic"
)

// Device is a pair of transmitters and the station between them.
type Device struct {
	midpoint.Params
}

// Kind implements quantum.Device.
func (d Device) Kind() string { return Kind }

func (d Device) bound() string { return cmp.Or(d.Bound, Zhou2016) }

// check lists every parameter that is out of range.
func (d Device) check(ch quantum.Channel) error {
	r := midpoint.Check(&d.Params, ch)
	switch d.bound() {
	case MaRazavi:
	case Zhou2016:
		midpoint.CheckFinite(&d.Params, &r, 1<<27)
	default:
		r.Want(false, "bound (there are "+Zhou2016+", "+MaRazavi+")")
	}
	return r.Err("mdi.Device")
}

// gainZ is the probability of a coincidence, and of one with an error, when both
// ends send in Z and a and b photons arrive: where their bits differ each bin holds
// the light of one end (right), else one bin holds both and the other none.
func gainZ(a, b, p, eMis float64) (gain, errors float64) {
	right := splitter.One(a, 0, p) * splitter.One(b, 0, p) / 2
	wrong := splitter.One(a, b, p) * splitter.One(0, 0, p) / 2
	return right + wrong, eMis*right + (1-eMis)*wrong
}

// gainX is the same where both send in X: of the bins' four pairs of single clicks,
// those in one detector stand for equal bits and those in two for different ones.
// With y = (1-p)e^(-(a+b)/4) and x = √(ab)/2 the two are
//
//	right 2y²[ I0(2x) - 2y I0(x) + y² ], wrong 2y²[ 1 - 2y I0(x) + y² ]
//
// (Ma and Razavi, appendix), arranged so that small ones keep their digits.
func gainX(a, b, p, eMis float64) (gain, errors float64) {
	h, x := (a+b)/4, math.Sqrt(a*b)/2
	y := (1 - p) * math.Exp(-h)
	less := p - (1-p)*math.Expm1(-h) // 1 - y
	common := less*less - 2*y*splitter.BesselLess1(x)
	right, wrong := 2*y*y*(common+splitter.BesselLess1(2*x)), 2*y*y*common
	return right + wrong, (1-eMis)*wrong + eMis*right
}

// pairs is the probability of a coincidence of a photon from each end, and of its
// error, in either basis (Ma and Razavi).
func pairs(e, p, eMis float64) (y11, e11 float64) {
	y11 = (1 - p) * (1 - p) * (e*e/2 + (4*e-3*e*e)*p + 4*(1-e)*(1-e)*p*p)
	return y11, 0.5 - (0.5-eMis)*(1-p)*(1-p)*e*e/2/y11
}

// Predict implements quantum.Device. The asymptotic bound counts signals only, as
// if decoys took no time.
func (d Device) Predict(ch quantum.Channel) (quantum.Prediction, error) {
	if err := d.check(ch); err != nil {
		return quantum.Prediction{}, err
	}
	return d.predict(d.Arm(ch)), nil
}

func (d Device) predict(e float64) quantum.Prediction {
	q, eq := gainZ(e*d.Mu, e*d.Mu, d.PDc, d.EMis)
	p := quantum.Prediction{Clock: d.ClockHz, Bound: d.bound()}
	if q > 0 {
		p.QBER = eq / q
	}
	if p.Bound == Zhou2016 {
		d.predictFinite(&p, e, q)
	} else {
		y11, e11 := pairs(e, d.PDc, d.EMis)
		p.PerUse = max(d.Mu*d.Mu*math.Exp(-2*d.Mu)*y11*(1-tails.Entropy(e11))-d.FEC*q*tails.Entropy(p.QBER), 0)
		p.Sifted = qsc.BitRate(q * d.ClockHz)
	}
	p.Rate = qsc.BitRate(p.PerUse * d.ClockHz)
	return p
}
