package bb84

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Predict implements quantum.Device: the counts expected while one block fills, to
// which the bound is applied as if they had been observed. Errors in the key basis
// are pooled, as distillation knows them.
func (d Device) Predict(c quantum.Channel) (quantum.Prediction, error) {
	d, err := d.checked()
	if err != nil {
		return quantum.Prediction{}, err
	}
	loss, err := d.lossOf(c)
	if err != nil {
		return quantum.Prediction{}, err
	}
	counts, pulses := d.fill(loss)
	e := d.secret(counts.pool())
	p := quantum.Prediction{
		Clock:  d.Clock,
		Sifted: qsc.BitRate(float64(d.Block) / pulses * d.Clock),
		PerUse: max(e.Bits, 0) / pulses,
		QBER:   ratio(sum(counts.KeyErr), sum(counts.Key)),
		Bound:  d.Bound,
	}
	p.Rate = qsc.BitRate(p.PerUse * d.Clock)
	if d.Bound != Asymptotic {
		p.Fill, p.EpsSec, p.EpsCor = events.Seconds(pulses/d.Clock), d.EpsSec, d.EpsCor
	}
	return p, nil
}

// fill returns the counts of one block and the pulses that it takes; +Inf where
// nothing is ever detected.
func (d Device) fill(loss float64) (c Counts, pulses float64) {
	one := d.Expect(loss, 0, 1)
	pulses = float64(d.Block) / sum(one.Key)
	if math.IsInf(pulses, 0) {
		return d.none(), pulses
	}
	return d.Expect(loss, 0, pulses), pulses
}

// Secret applies the device's bound to counts. Error: Invalid.
func (d Device) Secret(c Counts) (Estimate, error) {
	d, err := d.checked()
	if err != nil {
		return Estimate{}, err
	}
	return d.secret(c), nil
}

func (d Device) secret(c Counts) Estimate {
	b, err := BoundNamed(d.Bound)
	if err != nil {
		return Estimate{Phi: 0.5}
	}
	return b.Length(c, Security{d.EpsSec, d.EpsCor})
}

// Ceiling returns the secret bits for each pulse with infinitely many pulses and
// decoys, all of them signals, key of both bases: what finite blocks come up to,
// but for the little that vacuum adds. Standard form (Lo, Ma, Chen 2005):
// q {-Q f h(E) + Y1 mu e^-mu [1 - h(e1)]}, with Y0 = 2 p_dc. Dead time and
// afterpulses are not in it. Error: Invalid.
func (d Device) Ceiling(c quantum.Channel) (float64, error) {
	d, err := d.checked()
	if err != nil {
		return 0, err
	}
	loss, err := d.lossOf(c)
	if err != nil {
		return 0, err
	}
	eta, y0 := d.receiverEta()*math.Pow(10, -loss/10), 2*d.PDark
	s := -math.Expm1(-eta * d.Mu1)
	gain, wrong := y0+s, y0/2+d.EMis*s
	y1 := y0 + eta - y0*eta
	e1 := ratio(y0/2+d.EMis*eta, y1)
	q := d.PX*d.PXBob + (1-d.PX)*(1-d.PXBob)
	r := y1*d.Mu1*math.Exp(-d.Mu1)*(1-tails.Entropy(e1)) - gain*d.FEC*tails.Entropy(ratio(wrong, gain))
	return max(q*r, 0), nil
}
