package repeater

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Transfer is what a chain delivers before any sifting.
type Transfer struct {
	Attempts float64 // in a second, by each link
	Link     float64 // probability that a link is ready after one attempt
	Pairs    float64 // delivered end to end, a second
	Fidelity float64 // of those, on average
	QBER     float64 // the same in every basis
	Wait     float64 // s from the first attempt until all links are ready, expected
}

// Transfer returns the expected pairs over a channel. Error: Invalid.
func (d Device) Transfer(ch quantum.Channel) (Transfer, error) {
	if err := d.check("repeater.Transfer"); err != nil {
		return Transfer{}, err
	}
	if !(ch.Loss >= 0 && ch.Loss < 1e5 && ch.Distance >= 0 && ch.Distance < 1e5) {
		return Transfer{}, qsc.E("repeater.Transfer", qsc.Invalid, "", "a channel of %g dB and %g km: give a loss and a distance of 0 to 100000", ch.Loss, ch.Distance)
	}
	l := d.over(ch)
	c, clock := d.model(l, 0), float64(d.clock(l))
	if !(c.perPeriod()*clock > slowest) {
		return Transfer{Attempts: clock, Link: c.p, Fidelity: 0.25, QBER: 0.5, Wait: math.Inf(1)}, nil
	}
	w := c.w * c.kept()
	return Transfer{
		Attempts: clock, Link: c.p, Pairs: c.perPeriod() * clock,
		Fidelity: fidelityOf(w), QBER: c.qber(), Wait: c.wait() / clock,
	}, nil
}

// slowest is the rate in pairs a second below which nothing is delivered.
const slowest = 1e-12

// Predict implements quantum.Device: expected pairs, sifted by two bases, one
// block under the device's bound.
func (d Device) Predict(ch quantum.Channel) (quantum.Prediction, error) {
	t, err := d.Transfer(ch)
	if err != nil {
		return quantum.Prediction{}, err
	}
	sifted := t.Pairs * d.PZ * d.PZ
	p := quantum.Prediction{Clock: t.Attempts, Sifted: qsc.BitRate(sifted), QBER: t.QBER, Bound: d.Bound}
	if finite := d.Bound != bbm92.KoashiPreskill; finite {
		p.EpsSec, p.EpsCor = d.EpsSec, d.EpsCor
		if sifted > 0 {
			p.Fill = events.Seconds(float64(d.Block) / sifted)
		}
	}
	p.Rate = qsc.BitRate(sifted * d.secret(t.QBER))
	p.PerUse = float64(p.Rate) / t.Attempts
	return p, nil
}

// secret is the share of sifted bits that becomes key when a block of the device's
// length has the expected counts.
func (d Device) secret(qber float64) float64 {
	tests := float64(d.Block) * math.Pow((1-d.PZ)/d.PZ, 2)
	return max(d.security().Share(float64(d.Block), tests, qber, d.FEC), 0)
}

func (d Device) security() bbm92.Security {
	return bbm92.Security{Bound: d.Bound, EpsSec: d.EpsSec, EpsCor: d.EpsCor}
}
