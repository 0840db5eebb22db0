package mdi

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Counts is what one block has counted: coincidences by what the two ends sent.
type Counts struct {
	Pulses       float64 // of the block, with a coincidence or without
	Vacuum       float64 // neither sent
	A1, A2       float64 // Alice sent the weaker and the stronger decoy, Bob nothing
	B1, B2       float64 // the other way round
	Weak         float64 // both sent the weaker decoy
	WeakErrors   float64 // of those: bits that do not fit
	Strong       float64 // both sent the stronger decoy
	Key          float64 // both sent signals, without those disclosed
	Sample       float64 // signals disclosed to estimate the error rate of the key basis
	SampleErrors float64
}

// Estimate is what the bound finds in counts.
type Estimate struct {
	Yield   float64 // of a photon from each end, at least
	Phase   float64 // their phase error rate, at most
	Singles float64 // of the key bits: a photon from each end, at least
	Phi     float64 // phase error rate of those, at most
}

// chernoffs is how often a bound that may fail is used. Each failure probability ξ
// counts once, as do those of smoothing and privacy amplification, all doubled (an
// upper estimate of the sum in Curty et al.).
const (
	chernoffs = 13
	shares    = 2 * (chernoffs + 3)
)

// sampling is the share of signals that is disclosed.
const sampling = 1.0 / 64

// odds are the probabilities of pairs of settings.
type odds struct{ vacuum, one, two, weak, strong, key float64 }

func (d Device) odds() odds {
	decoy := 1 - d.PSignal
	still, one, two := decoy*d.P0, decoy*d.P1, decoy*(1-d.P0-d.P1)
	return odds{still * still, still * one, still * two, one * one, two * two, d.PSignal * d.PSignal}
}

// estimate applies the decoy method and the tail bounds to counts.
func (d Device) estimate(c Counts) (x Estimate) {
	xi, o := d.EpsSec/shares, d.odds()
	least := func(n, odds float64) float64 { return tails.MeanBelow(n, xi) / (c.Pulses * odds) }
	most := func(n, odds float64) float64 { return tails.MeanAbove(n, xi) / (c.Pulses * odds) }
	x.Yield = d.yield(least(c.Weak, o.weak), most(c.Strong, o.strong),
		most(c.A1, o.one)+most(c.B1, o.one), least(c.A2, o.two)+least(c.B2, o.two), least(c.Vacuum, o.vacuum))
	x.Phase = d.phase(most(c.WeakErrors, o.weak), least(c.A1, o.one)+least(c.B1, o.one), most(c.Vacuum, o.vacuum), x.Yield)
	mean := c.Pulses * o.key * (1 - sampling) * d.Mu * d.Mu * math.Exp(-2*d.Mu) * x.Yield
	x.Singles, x.Phi = min(tails.CountBelow(mean, xi), c.Key), 0.5
	if x.Singles > 0 && x.Phase < 0.5 {
		x.Phi = min(tails.CountAbove(x.Singles*x.Phase, xi)/x.Singles, 0.5)
	}
	return x
}

// yield is the least yield of a photon from each end from the rates of coincidences
// of both decoys, of one decoy and vacuum (both ways added up), and of the vacuum
// (Xu et al., with the weakest decoy the vacuum).
func (d Device) yield(weak, strong, one, two, none float64) float64 {
	v, m := d.Mu1, d.Mu2
	lo := math.Exp(2*v)*weak - math.Exp(v)*one + none
	hi := math.Exp(2*m)*strong - math.Exp(m)*two + none
	return max((m*m*m*lo-v*v*v*hi)/(m*m*v*v*(m-v)), 0)
}

// phase is the largest error rate of a photon from each end (the same). Where one
// end sent nothing, half of the coincidences are errors.
func (d Device) phase(wrong, one, none, yield float64) float64 {
	if yield <= 0 {
		return 0.5
	}
	v := d.Mu1
	return min(max(math.Exp(2*v)*wrong-math.Exp(v)*one/2+none/2, 0)/(v*v*yield), 0.5)
}

// bits is the length of the key when lost bits were dropped and leak bits disclosed.
func (d Device) bits(x Estimate, lost, leak, epsCor float64) (length, phi float64) {
	singles := x.Singles - lost
	if singles <= 0 {
		return -leak, 0.5
	}
	phi = min(x.Phi*x.Singles/singles, 0.5) // every phase error may be among those kept
	xi := d.EpsSec / shares
	return singles*(1-tails.Entropy(phi)) - leak - math.Log2(8/epsCor) - 2*math.Log2(2/(xi*xi)) - 2*math.Log2(1/(2*xi)), phi
}

// expect returns the counts to be expected of a number of pulses.
func (d Device) expect(e, pulses float64) Counts {
	o, p := d.odds(), d.PDc
	key, keyErrors := gainZ(e*d.Mu, e*d.Mu, p, d.EMis)
	weak, weakErrors := gainX(e*d.Mu1, e*d.Mu1, p, d.EMis)
	strong, _ := gainX(e*d.Mu2, e*d.Mu2, p, d.EMis)
	one, _ := gainX(e*d.Mu1, 0, p, d.EMis)
	two, _ := gainX(e*d.Mu2, 0, p, d.EMis)
	none, _ := gainX(0, 0, p, d.EMis)
	return Counts{
		Pulses: pulses, Vacuum: pulses * o.vacuum * none,
		A1: pulses * o.one * one, A2: pulses * o.two * two, B1: pulses * o.one * one, B2: pulses * o.two * two,
		Weak: pulses * o.weak * weak, WeakErrors: pulses * o.weak * weakErrors, Strong: pulses * o.strong * strong,
		Key:    pulses * o.key * key * (1 - sampling),
		Sample: pulses * o.key * key * sampling, SampleErrors: pulses * o.key * keyErrors * sampling,
	}
}

// predictFinite fills in a prediction for blocks of Block bits; gain is that of
// signals.
func (d Device) predictFinite(p *quantum.Prediction, e, gain float64) {
	p.EpsSec, p.EpsCor = d.EpsSec, d.EpsCor
	sifted := d.odds().key * gain * (1 - sampling)
	if sifted == 0 {
		return
	}
	pulses := float64(d.Block) / sifted
	leak := d.FEC * float64(d.Block) * tails.Entropy(p.QBER)
	length, _ := d.bits(d.estimate(d.expect(e, pulses)), 0, leak, d.EpsCor)
	p.PerUse = max(length, 0) / pulses
	p.Sifted = qsc.BitRate(sifted * d.ClockHz)
	p.Fill = events.Seconds(pulses / d.ClockHz)
}
