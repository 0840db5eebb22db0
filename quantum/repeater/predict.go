package repeater

import (
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
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
	p := quantum.Prediction{
		Clock: t.Attempts, Sifted: qsc.BitRate(sifted), QBER: t.QBER,
		Bound: d.Bound, EpsSec: d.EpsSec, EpsCor: d.EpsCor,
	}
	share, finite := d.secret(t.QBER)
	if !finite {
		p.EpsSec, p.EpsCor = 0, 0
	} else if sifted > 0 {
		p.Fill = time.Duration(min(float64(d.Block)/sifted, 1e9) * float64(time.Second))
	}
	p.Rate = qsc.BitRate(sifted * share)
	p.PerUse = float64(p.Rate) / t.Attempts
	return p, nil
}

// secret is the share of sifted bits that becomes key when a block of the device's
// length has the expected counts, and whether a finite-key bound says so. The
// formulas are those of bbm92 (Tomamichel et al. 2012, equations 1 and 2).
func (d Device) secret(qber float64) (share float64, finite bool) {
	n, tests := float64(d.Block), float64(d.Block)*math.Pow((1-d.PZ)/d.PZ, 2)
	leak := d.FEC * tails.Entropy(qber)
	if d.Bound == bbm92.KoashiPreskill {
		return max(1-tails.Entropy(qber)-leak, 0), false
	}
	mu := math.Sqrt((n + tests) / (n * tests) * (tests + 1) / tests * math.Log(4/d.EpsSec))
	cost := math.Log2(2 / (d.EpsSec * d.EpsSec * d.EpsCor))
	return max(1-tails.Entropy(qber+mu)-leak-cost/n, 0), true
}

// RatePerSecond is the secret key rate over fibre of the device's attenuation, in
// bit/s, for a planner's curves; 0 where the device's parameters are not valid.
func (d Device) RatePerSecond(distanceKM float64) float64 {
	p, err := d.Predict(quantum.Channel{Distance: distanceKM})
	if err != nil {
		return 0
	}
	return float64(p.Rate)
}

// BestLinks returns d with that number of elementary links, 1 to limit, which
// gives the highest rate over fibre of the device's attenuation, and the rate.
func (d Device) BestLinks(distanceKM float64, limit int) (Device, float64) {
	best, rate := d, d.RatePerSecond(distanceKM)
	for n := 1; n <= min(limit, 64); n++ {
		d.Links = n
		if r := d.RatePerSecond(distanceKM); r > rate {
			best, rate = d, r
		}
	}
	return best, rate
}
