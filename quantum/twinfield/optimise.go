package twinfield

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/midpoint"
)

// Optimise returns the device with the intensities and probabilities that give the
// most key over a channel: the signal's under an asymptotic bound, the decoys' and
// the slice too under the finite one. It is deterministic and takes milliseconds,
// up to some tens of them. Error: Invalid.
func (d Device) Optimise(ch quantum.Channel) (Device, error) {
	if err := d.check(ch); err != nil {
		return d, err
	}
	e := d.Arm(ch)
	return midpoint.Best(d, func(d *Device) (*midpoint.Params, []midpoint.Knob) {
		k := []midpoint.Knob{{At: &d.PSend, Lo: 0.01, Hi: 0.6}, {At: &d.Mu, Lo: 0.05, Hi: 1.5}}
		if d.bound() == Jiang2021 {
			k = append(k, []midpoint.Knob{
				{At: &d.PSignal, Lo: 0.2, Hi: 0.98}, {At: &d.P0, Lo: 0.02, Hi: 0.7}, {At: &d.P1, Lo: 0.1, Hi: 0.9},
				{At: &d.Mu1, Lo: 0.01, Hi: 0.3}, {At: &d.Mu2, Lo: 0.31, Hi: 1.2}, {At: &d.Slice, Lo: 0.05, Hi: 0.8},
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
	if d.bound() != Jiang2021 {
		_, wrong := d.raw(e).total()
		return wrong
	}
	raw, _ := d.raw(e).total()
	return d.estimate(d.expect(e, float64(d.Block)/(raw*d.odds().signal))).Phi
}
