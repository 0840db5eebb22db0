// Package cvqkd is continuous-variable QKD of the kind GG02: coherent states with
// Gaussian modulation, read by homodyne or heterodyne detection, reverse
// reconciliation, at both fidelities from one Device. The count level is the
// closed forms for collective attacks, asymptotic or with Leverrier's finite-size
// terms; the event level draws every symbol and makes both ends do sifting,
// estimation and eight-dimensional reconciliation for real.
//
// It does not model the local oscillator, phase recovery or the pulse's shape
// (their price is in the excess noise), knows no discrete modulation, and proves
// nothing against coherent attacks. The optics are simulated: who has the World
// has the key. Formulas and formats are in docs/design/cvqkd.md.
package cvqkd

import (
	"math"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// The bounds by name.
const (
	Asymptotic = "holevo-asymptotic" // K = βI - χ, for ever many symbols
	FiniteSize = "leverrier-2010"    // Leverrier, Grosshans and Grangier, PRA 81 062343
)

// Device is a pair of sender and receiver. Variances are in shot-noise units
// (SNU: the vacuum's is 1).
type Device struct {
	Clock      float64 `json:"clock_hz"`   // symbols in a second
	VA         float64 `json:"v_a"`        // modulation variance of each quadrature, SNU
	Xi         float64 `json:"xi"`         // excess noise, SNU at the channel's input
	Eta        float64 `json:"eta"`        // efficiency of the detection
	Vel        float64 `json:"v_el"`       // electronic noise of each detector, SNU
	Beta       float64 `json:"beta"`       // share of the mutual information that reconciliation keeps
	Heterodyne bool    `json:"heterodyne"` // both quadratures of each symbol, by two detectors; else one, chosen at random
	Trusted    bool    `json:"trusted"`    // the detector's loss and noise are not the eavesdropper's
	Block      int64   `json:"block"`      // symbols in a finite-size block; 0: the asymptotic bound, count level only
	Estimate   float64 `json:"estimate"`   // share of a block's symbols that is disclosed to estimate the channel
	Frame      int     `json:"frame_bits"` // bits in a frame of reconciliation, a multiple of 64; 0: 65536
	Loss       float64 `json:"loss_db"`    // fixed loss of the couplings, added to the channel's
	EpsPE      float64 `json:"eps_pe"`     // that the channel is worse than estimated
	EpsBar     float64 `json:"eps_bar"`    // smoothing
	EpsPA      float64 `json:"eps_pa"`     // privacy amplification
	EpsCor     float64 `json:"eps_cor"`    // that the keys differ: what a prediction promises
}

// Kind implements quantum.Device.
func (Device) Kind() string { return "cv" }

// quadratures is the number of values measured for each symbol.
func (d Device) quadratures() int {
	if d.Heterodyne {
		return 2
	}
	return 1
}

// frame is the number of bits in a frame.
func (d Device) frame() int {
	if d.Frame == 0 {
		return 1 << 16
	}
	return d.Frame
}

// maxVA keeps six standard deviations of a lossless channel within the
// receiver's converter.
const maxVA = 400

// maxBlock bounds a round in symbols.
const maxBlock = 1 << 36

// check names every parameter that is out of range.
func (d Device) check(op string, ch quantum.Channel) error {
	var bad []string
	rule := func(ok bool, text string) {
		if !ok {
			bad = append(bad, text)
		}
	}
	within := func(x, low, high float64) bool { return x >= low && x <= high } // false for NaN
	open := func(x float64) bool { return x > 0 && x < 1 }
	rule(within(d.Clock, 1, 1e12), "clock_hz in 1 to 1e12")
	rule(within(d.VA, 1e-3, maxVA), "v_a in 0.001 to 400")
	rule(within(d.Xi, 0, 10), "xi in 0 to 10")
	rule(within(d.Eta, 0.01, 1), "eta in 0.01 to 1")
	rule(within(d.Vel, 0, 10), "v_el in 0 to 10")
	rule(!d.Trusted || d.Eta < 1 || d.Vel == 0, "eta below 1 where v_el of a trusted detector is not 0")
	rule(within(d.Beta, 0.01, 1), "beta in 0.01 to 1")
	rule(d.Block >= 0 && d.Block <= maxBlock, "block in 0 to 2^36")
	rule(d.Frame == 0 || d.Frame%64 == 0 && d.Frame >= 512 && d.Frame <= 1<<19, "frame_bits a multiple of 64 in 512 to 524288")
	rule(within(d.Loss, 0, 100), "loss_db in 0 to 100")
	rule(within(ch.Loss, 0, 200), "the channel's loss in 0 to 200 dB")
	if d.Block > 0 {
		rule(open(d.Estimate), "estimate above 0 and below 1")
		rule(open(d.EpsPE) && open(d.EpsBar) && open(d.EpsPA), "eps_pe, eps_bar and eps_pa above 0 and below 1")
		rule(within(d.EpsCor, 0, 1), "eps_cor in 0 to 1")
	}
	if bad == nil {
		return nil
	}
	return qsc.E(op, qsc.Invalid, "", "a cv device needs: %s", strings.Join(bad, "; "))
}

// transmittance of the channel, couplings included.
func (d Device) transmittance(ch quantum.Channel) float64 {
	return math.Pow(10, -(ch.Loss+d.Loss)/10)
}

// epsSec is the secrecy parameter of the finite-size bound.
func (d Device) epsSec() float64 { return d.EpsPE + d.EpsBar + d.EpsPA }

// Predict implements quantum.Device: bound holevo-asymptotic where block is 0,
// else leverrier-2010 with the counts to be expected.
func (d Device) Predict(ch quantum.Channel) (quantum.Prediction, error) {
	if err := d.check("cvqkd.Predict", ch); err != nil {
		return quantum.Prediction{}, err
	}
	p := quantum.Prediction{Clock: d.Clock, Bound: Asymptotic}
	perUse, keyed := d.asymptotic(d.transmittance(ch), d.Xi), 1.0
	if d.Block > 0 {
		p.Bound, p.EpsSec, p.EpsCor = FiniteSize, d.epsSec(), d.EpsCor
		p.Fill = events.Seconds(float64(d.Block) / d.Clock)
		perUse, keyed = d.finite(d.transmittance(ch)), 1-d.Estimate
	}
	p.PerUse = max(perUse, 0)
	p.Rate = qsc.BitRate(d.Clock * p.PerUse)
	p.Sifted = qsc.BitRate(d.Clock * keyed * float64(d.quadratures()))
	return p, nil
}
