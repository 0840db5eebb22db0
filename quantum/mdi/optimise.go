package mdi

import (
	"math"

	"gonum.org/v1/gonum/optimize"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// knob is a parameter to optimise, between bounds.
type knob struct {
	at     *float64
	lo, hi float64
}

// Optimise returns the device with the intensities and probabilities that give the
// most key over a channel: the signal's under the asymptotic bound, the decoys'
// too under the finite one. It is deterministic and takes milliseconds,
// up to some tens of them. Error: Invalid.
func (d Device) Optimise(ch quantum.Channel) (Device, error) {
	if err := d.check(ch); err != nil {
		return d, err
	}
	e := d.arm(ch)
	knobs := func(d *Device) []knob {
		k := []knob{{&d.Mu, 0.05, 1.5}}
		if d.bound() == Zhou2016 {
			k = append(k, knob{&d.PSignal, 0.05, 0.98}, knob{&d.P0, 0.02, 0.7}, knob{&d.P1, 0.1, 0.95},
				knob{&d.Mu1, 0.005, 0.2}, knob{&d.Mu2, 0.201, 1})
		}
		return k
	}
	set := func(x []float64) Device {
		out := d
		for i, k := range knobs(&out) {
			*k.at = k.lo + (k.hi-k.lo)/(1+math.Exp(-x[i]))
		}
		if out.P0+out.P1 > 0.98 {
			out.P1 = 0.98 - out.P0
		}
		return out
	}
	begin := make([]float64, 0, 8)
	for _, k := range knobs(&d) {
		share := min(max((*k.at-k.lo)/(k.hi-k.lo), 0.02), 0.98)
		begin = append(begin, math.Log(share/(1-share)))
	}
	loss := func(x []float64) float64 { return set(x).cost(e) }
	best := begin
	for range 2 { // once more from where the first search ended: simplices stick
		r, err := optimize.Minimize(optimize.Problem{Func: loss}, best, &optimize.Settings{FuncEvaluations: 300 * len(begin)}, &optimize.NelderMead{})
		if r == nil || (err != nil && r.X == nil) {
			break
		}
		best = r.X
	}
	if loss(best) < d.cost(e) {
		return set(best), nil
	}
	return d, nil
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
