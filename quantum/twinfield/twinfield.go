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
	"math"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
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
	ClockHz     float64 `json:"clock_hz"`              // windows in a second
	Duty        float64 `json:"duty"`                  // share of time for signals; the rest tracks the phase
	Mu          float64 `json:"mu"`                    // photons in a signal window that is sent
	PSend       float64 `json:"p_send"`                // probability of sending in a signal window
	PSignal     float64 `json:"p_signal"`              // probability of a signal window; the others are decoys
	Mu1         float64 `json:"mu1"`                   // photons of the weaker decoy
	Mu2         float64 `json:"mu2"`                   // photons of the stronger decoy
	P0          float64 `json:"p_0"`                   // share of the vacuum among decoys
	P1          float64 `json:"p_1"`                   // share of the weaker decoy; the rest is the stronger
	Slice       float64 `json:"slice"`                 // largest phase difference, in radians from 0 or π, of windows that show the phase error
	EtaDet      float64 `json:"eta_det"`               // detectors and optics of the station, 0 to 1
	PDc         float64 `json:"p_dc"`                  // dark counts of one detector in a window
	EMis        float64 `json:"e_mis"`                 // probability that misalignment swaps the detectors
	Attenuation float64 `json:"attenuation_db_per_km"` // for channels whose loss is not given
	FEC         float64 `json:"f_ec"`                  // efficiency of error correction, for predictions
	Block       int     `json:"block"`                 // raw bits before pairing in a block
	MaxBlockS   float64 `json:"max_block_s"`           // seconds after which a block ends as it is
	Bound       string  `json:"bound"`                 // "" is Jiang2021
	EpsSec      float64 `json:"eps_sec"`               // secrecy
	EpsCor      float64 `json:"eps_cor"`               // correctness, for predictions; a run's is the verification's
}

// Kind implements quantum.Device.
func (d Device) Kind() string { return Kind }

func (d Device) bound() string {
	if d.Bound == "" {
		return Jiang2021
	}
	return d.Bound
}

// check lists every parameter that is out of range.
func (d Device) check(ch quantum.Channel) error {
	var wrong []string
	want := func(ok bool, name string) {
		if !ok {
			wrong = append(wrong, name)
		}
	}
	inside := func(x float64) bool { return x > 0 && x < 1 }
	want(d.ClockHz >= 1 && d.ClockHz <= 1e12, "clock_hz")
	want(d.Duty > 0 && d.Duty <= 1, "duty")
	want(d.Mu > 0 && d.Mu <= 10, "mu")
	want(inside(d.PSend), "p_send")
	want(d.EtaDet > 0 && d.EtaDet <= 1, "eta_det")
	want(d.PDc >= 0 && d.PDc <= 0.1, "p_dc")
	want(d.EMis >= 0 && d.EMis <= 0.5, "e_mis")
	want(d.Attenuation >= 0, "attenuation_db_per_km")
	want(d.FEC >= 1 && d.FEC < 10, "f_ec")
	want(ch.Loss >= 0 && ch.Loss <= 1000 && ch.Distance >= 0, "the channel")
	switch d.bound() {
	case SNS, AOPP:
	case Jiang2021:
		want(inside(d.PSignal), "p_signal")
		want(d.Mu1 > 0 && d.Mu1 < d.Mu2 && d.Mu2 <= 10, "mu1 < mu2")
		want(inside(d.P0) && inside(d.P1) && d.P0+d.P1 < 1, "p_0 + p_1 < 1")
		want(d.Slice > 0 && d.Slice < math.Pi/2, "slice")
		want(d.Block >= 1 && d.Block <= 1<<26, "block")
		want(d.MaxBlockS > 0 && d.MaxBlockS <= 1e8, "max_block_s")
		want(inside(d.EpsSec), "eps_sec")
		want(inside(d.EpsCor), "eps_cor")
	default:
		want(false, "bound (there are "+Jiang2021+", "+AOPP+", "+SNS+")")
	}
	if len(wrong) > 0 {
		return qsc.E("twinfield.Device", qsc.Invalid, "", "out of range: %s", strings.Join(wrong, ", "))
	}
	return nil
}

// arm returns the transmittance from one end to a click.
func (d Device) arm(ch quantum.Channel) float64 {
	loss := ch.Loss
	if loss == 0 {
		loss = ch.Distance * d.Attenuation
	}
	return d.EtaDet * math.Pow(10, -loss/20)
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
	return d.predict(d.arm(ch)), nil
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

// seconds is a duration that does not overflow.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 9e9) * float64(time.Second))
}
