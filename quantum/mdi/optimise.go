package mdi

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/midpoint"
)

// Optimise returns the device with the intensities and probabilities that give the
// most key over a channel: the signal's under the asymptotic bound, the decoys'
// too under the finite one. It is deterministic and takes milliseconds,
// up to some tens of them. Error: Invalid.
func (d Device) Optimise(ch quantum.Channel) (Device, error) {
	if err := d.check(ch); err != nil {
		return d, err
	}
	e := d.Arm(ch)
	return midpoint.Best(d, func(d *Device) (*midpoint.Params, []midpoint.Knob) {
		k := []midpoint.Knob{{At: &d.Mu, Lo: 0.05, Hi: 1.5}}
		if d.bound() == Zhou2016 {
			k = append(k, []midpoint.Knob{
				{At: &d.PSignal, Lo: 0.05, Hi: 0.98}, {At: &d.P0, Lo: 0.02, Hi: 0.7}, {At: &d.P1, Lo: 0.1, Hi: 0.95},
				{At: &d.Mu1, Lo: 0.005, Hi: 0.2}, {At: &d.Mu2, Lo: 0.201, Hi: 1},
			}...)
		}
		return &d.Params, k
	}, func(d Device) float64 { return d.cost(e) }), nil
}

// cost falls as the key rate rises. Where there is no key it falls towards it, so
// that a search finds its way.
func (d Device) cost(e float64) float64 {
	if p := d.predict(e); p.PerUse > 0 {
		return -1 - math.Log1p(p.PerUse*1e15)
	}
	q, eq := gainZ(e*d.Mu, e*d.Mu, d.PDc, d.EMis)
	if d.bound() != Zhou2016 {
		return eq / q
	}
	return d.estimate(d.expect(e, float64(d.Block)/(q*d.odds().key))).Phi
}
