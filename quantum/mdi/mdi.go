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
	"math"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
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
	ClockHz     float64 `json:"clock_hz"`              // pulses, of two bins each, in a second
	Mu          float64 `json:"mu"`                    // photons of a signal
	PSignal     float64 `json:"p_signal"`              // probability of a signal; the others are decoys
	Mu1         float64 `json:"mu1"`                   // photons of the weaker decoy
	Mu2         float64 `json:"mu2"`                   // photons of the stronger decoy
	P0          float64 `json:"p_0"`                   // share of the vacuum among decoys
	P1          float64 `json:"p_1"`                   // share of the weaker decoy; the rest is the stronger
	EtaDet      float64 `json:"eta_det"`               // detectors and optics of the station, 0 to 1
	PDc         float64 `json:"p_dc"`                  // dark counts of one detector in a bin
	EMis        float64 `json:"e_mis"`                 // probability that misalignment flips a bit
	Attenuation float64 `json:"attenuation_db_per_km"` // for channels whose loss is not given
	FEC         float64 `json:"f_ec"`                  // efficiency of error correction, for predictions
	Block       int     `json:"block"`                 // sifted bits of the key basis in a block
	MaxBlockS   float64 `json:"max_block_s"`           // seconds after which a block ends as it is
	Bound       string  `json:"bound"`                 // "" is Zhou2016
	EpsSec      float64 `json:"eps_sec"`               // secrecy
	EpsCor      float64 `json:"eps_cor"`               // correctness, for predictions; a run's is the verification's
}

// Kind implements quantum.Device.
func (d Device) Kind() string { return Kind }

func (d Device) bound() string {
	if d.Bound == "" {
		return Zhou2016
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
	want(d.Mu > 0 && d.Mu <= 10, "mu")
	want(d.EtaDet > 0 && d.EtaDet <= 1, "eta_det")
	want(d.PDc >= 0 && d.PDc <= 0.1, "p_dc")
	want(d.EMis >= 0 && d.EMis <= 0.5, "e_mis")
	want(d.Attenuation >= 0, "attenuation_db_per_km")
	want(d.FEC >= 1 && d.FEC < 10, "f_ec")
	want(ch.Loss >= 0 && ch.Loss <= 1000 && ch.Distance >= 0, "the channel")
	switch d.bound() {
	case MaRazavi:
	case Zhou2016:
		want(inside(d.PSignal), "p_signal")
		want(d.Mu1 > 0 && d.Mu1 < d.Mu2 && d.Mu2 <= 10, "mu1 < mu2")
		want(inside(d.P0) && inside(d.P1) && d.P0+d.P1 < 1, "p_0 + p_1 < 1")
		want(d.Block >= 1 && d.Block <= 1<<27, "block")
		want(d.MaxBlockS > 0 && d.MaxBlockS <= 1e8, "max_block_s")
		want(inside(d.EpsSec), "eps_sec")
		want(inside(d.EpsCor), "eps_cor")
	default:
		want(false, "bound (there are "+Zhou2016+", "+MaRazavi+")")
	}
	if len(wrong) > 0 {
		return qsc.E("mdi.Device", qsc.Invalid, "", "out of range: %s", strings.Join(wrong, ", "))
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
	return d.predict(d.arm(ch)), nil
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

// seconds is a duration that does not overflow.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 9e9) * float64(time.Second))
}
