package bb84

import (
	"math"

	"gonum.org/v1/gonum/optimize"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Optimise returns the device with the intensities, their probabilities and the
// basis probability (one for both ends) that give the most key over a channel;
// mu3 and the block stay. It is deterministic on one machine and takes
// milliseconds; the two ends of a link must not each compute their own, because
// the last bits of a float depend on the processor. Error: Invalid.
func (d Device) Optimise(c quantum.Channel) (Device, error) {
	d, err := d.checked()
	if err != nil {
		return d, err
	}
	loss, err := d.lossOf(c)
	if err != nil {
		return d, err
	}
	return d.optimise(loss, Counts.pool), nil
}

// optimise searches with the counts as a bound will see them.
func (d Device) optimise(loss float64, seen func(Counts) Counts) Device {
	best, least := d, d.regret(loss, seen)
	for _, start := range [][]float64{d.chart(), {-0.4, -1.2, 1, 0, 2.5}, {-0.6, -0.4, 0, 1, 1}} {
		res, err := optimize.Minimize(optimize.Problem{Func: func(x []float64) float64 { return d.at(x).regret(loss, seen) }},
			start, &optimize.Settings{FuncEvaluations: 600, Converger: &optimize.FunctionConverge{Absolute: 1e-7, Relative: 1e-7, Iterations: 60}},
			&optimize.NelderMead{})
		if res != nil && err == nil && res.F < least {
			best, least = d.at(res.X), res.F
		}
	}
	return best
}

// chart are coordinates without limits for the five free parameters; at is its
// inverse.
func (d Device) chart() []float64 {
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	p2 := 0.5
	if d.Decoys == 2 {
		p2 = d.P2 / (1 - d.P1)
	}
	return []float64{math.Log(d.Mu1), logit((d.Mu2 - d.Mu3) / (d.Mu1 - 2*d.Mu3)), logit(d.P1), logit(p2), logit(d.PX)}
}

func (d Device) at(x []float64) Device {
	part := func(v float64) float64 { return 1e-4 + (1-2e-4)/(1+math.Exp(-v)) }
	d.Mu1 = 3*d.Mu3 + min(math.Exp(x[0]), 2)
	d.Mu2 = d.Mu3 + (d.Mu1-2*d.Mu3)*part(x[1])
	d.P1 = part(x[2])
	d.P2 = (1 - d.P1) * part(x[3])
	d.PX = part(x[4])
	d.PXBob = d.PX
	return d
}

// regret falls as the rate rises. Without key it says how far off key is, so that
// a search finds its way.
func (d Device) regret(loss float64, seen func(Counts) Counts) float64 {
	counts, pulses := d.fill(loss)
	if math.IsInf(pulses, 0) {
		return math.MaxFloat64
	}
	e := d.secret(seen(counts))
	if e.Bits > 0 {
		return math.Log(pulses / e.Bits)
	}
	return 1e3 + (float64(d.Block)-e.Bits)/float64(d.Block)
}
