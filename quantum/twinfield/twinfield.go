// Package twinfield is twin-field quantum key distribution in the
// sending-or-not-sending form (Wang, Yu, Hu, PRA 98, 062323) with actively odd
// parity pairing (Xu, Yu, Jiang, Hu, Wang, PRA 101, 042330), at both fidelities.
// Both ends send weak light to a station in the middle, whose two detectors say in
// which windows one of them clicked; the key rate falls with the square root of
// the channel's transmittance.
//
// The station is not trusted, and the ends never learn more of it than what it
// announces. Not modelled: the locking of the lasers (its cost is the duty factor),
// dead time, afterpulses, unequal arms. Errors are corrected and key is made by
// package distill.
package twinfield

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
const Kind = "twin-field"

// The bounds on offer.
const (
	// Jiang2021 is the finite-key length with AOPP where Chernoff's bound is applied
	// at every step, which Jiang, Hu, Yu and Wang showed to be sound (New J. Phys.
	// 23, 063038; arXiv 2102.00739), with decoys of two intensities and the vacuum.
	// It is the default and the only one for runs.
	Jiang2021 = "sns-aopp-jiang-2021"
	// AOPP is the asymptotic length with AOPP and perfect decoys.
	AOPP = "sns-aopp-asymptotic"
	// SNS is the asymptotic length without AOPP and with perfect decoys.
	SNS = "sns-asymptotic"
)

// Device is a pair of transmitters and the station between them.
type Device struct {
	midpoint.Params
	Duty  float64 `json:"duty"`   // share of time for signals; the rest tracks the phase
	PSend float64 `json:"p_send"` // probability of sending in a signal window
	Slice float64 `json:"slice"`  // largest phase difference, in radians from 0 or π, of windows that show the phase error
}

// Kind implements quantum.Device.
func (d Device) Kind() string { return Kind }

func (d Device) bound() string { return cmp.Or(d.Bound, Jiang2021) }

// check lists every parameter that is out of range.
func (d Device) check(ch quantum.Channel) error {
	r := midpoint.Check(&d.Params, ch)
	r.Want(d.Duty > 0 && d.Duty <= 1, "duty")
	r.Want(midpoint.Inside(d.PSend), "p_send")
	switch d.bound() {
	case SNS, AOPP:
	case Jiang2021:
		midpoint.CheckFinite(&d.Params, &r, 1<<26)
		r.Want(d.Slice > 0 && d.Slice < math.Pi/2, "slice")
	default:
		r.Want(false, "bound (there are "+Jiang2021+", "+AOPP+", "+SNS+")")
	}
	return r.Err("twinfield.Device")
}

// gain is the probability that exactly one detector clicks when a and b photons
// arrive with random phases: S00, S1 and S11 of the closed forms.
func gain(a, b, p float64) float64 { return splitter.One(a, b, p) }

// single is the probability that exactly one detector clicks when one photon was
// sent, and of its error: the wrong detector for the phase between the ends.
func single(e, p, eMis float64) (y1, e1 float64) {
	y1 = (1 - p) * (e + 2*p*(1-e))
	return y1, ((1-p)*eMis*e + p*(1-p)*(1-e)) / y1
}

// rawRates are the probabilities of raw bits in a signal window of both ends.
type rawRates struct {
	right  float64 // one end sent; for each of the two ends
	none   float64 // neither did: an error, where Bob did not send
	both   float64 // both did: an error, where Bob sent
	single float64 // of right: a single photon came of it
	y1, e1 float64
}

func (d Device) raw(e float64) (r rawRates) {
	s, p := d.PSend, d.PDc
	r.right = s * (1 - s) * gain(e*d.Mu, 0, p)
	r.none = (1 - s) * (1 - s) * gain(0, 0, p)
	r.both = s * s * gain(e*d.Mu, e*d.Mu, p)
	r.y1, r.e1 = single(e, p, d.EMis)
	r.single = s * (1 - s) * d.Mu * math.Exp(-d.Mu) * r.y1
	return r
}

// total is the probability of a raw bit, and the share of wrong ones.
func (r rawRates) total() (n, wrong float64) {
	n = 2*r.right + r.none + r.both
	return n, (r.none + r.both) / n
}

// paired is what pairing leaves of raw bits in each signal window: bits, the share
// of wrong ones, and pairs of two single photons.
func (r rawRates) paired() (n, wrong, singles float64) {
	ones, zeros := r.right+r.none, r.right+r.both // Bob's: a one where he did not send
	pairs := min(ones, zeros)
	good, bad := r.right*r.right/(ones*zeros), r.none*r.both/(ones*zeros)
	return pairs * (good + bad), bad / (good + bad), pairs * r.single * r.single / (ones * zeros)
}

// Predict implements quantum.Device. The asymptotic bounds count signal windows
// only, as if decoys took no time. PerUse is for each window within the duty time.
func (d Device) Predict(ch quantum.Channel) (quantum.Prediction, error) {
	if err := d.check(ch); err != nil {
		return quantum.Prediction{}, err
	}
	return d.predict(d.Arm(ch)), nil
}

func (d Device) predict(e float64) quantum.Prediction {
	p := quantum.Prediction{Clock: d.ClockHz * d.Duty, Bound: d.bound()}
	r := d.raw(e)
	n, singles, e1 := 0.0, 2*r.single, r.e1
	switch p.Bound {
	case Jiang2021:
		d.predictFinite(&p, e)
		return p
	case SNS:
		n, p.QBER = r.total()
	case AOPP:
		n, p.QBER, singles = r.paired()
		e1 = 2 * e1 * (1 - e1)
	}
	p.PerUse = max(singles*(1-tails.Entropy(e1))-d.FEC*n*tails.Entropy(p.QBER), 0)
	p.Sifted, p.Rate = qsc.BitRate(n*p.Clock), qsc.BitRate(p.PerUse*p.Clock)
	return p
}
