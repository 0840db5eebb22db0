// Package midpoint is what links with a station in the middle that nobody trusts have
// in common (twin-field, MDI): the parameters of two transmitters with decoys and of
// the station's detectors, their ranges, and the search for the best of them.
//
// It knows no protocol and no bound, and draws nothing.
package midpoint

import (
	"math"

	"gonum.org/v1/gonum/optimize"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Params are the parameters of a pair of transmitters and the station between them. A
// pulse is one window of twin-field, two time bins of MDI.
type Params struct {
	ClockHz     float64 `json:"clock_hz"`              // pulses in a second
	Mu          float64 `json:"mu"`                    // photons of a signal that is sent
	PSignal     float64 `json:"p_signal"`              // probability of a signal; the others are decoys
	Mu1         float64 `json:"mu1"`                   // photons of the weaker decoy
	Mu2         float64 `json:"mu2"`                   // photons of the stronger decoy
	P0          float64 `json:"p_0"`                   // share of the vacuum among decoys
	P1          float64 `json:"p_1"`                   // share of the weaker decoy; the rest is the stronger
	EtaDet      float64 `json:"eta_det"`               // detectors and optics of the station, 0 to 1
	PDc         float64 `json:"p_dc"`                  // dark counts of one detector in a window or bin
	EMis        float64 `json:"e_mis"`                 // probability that misalignment swaps the detectors or flips a bit
	Attenuation float64 `json:"attenuation_db_per_km"` // for channels whose loss is not given
	FEC         float64 `json:"f_ec"`                  // efficiency of error correction, for predictions
	Block       int     `json:"block"`                 // bits in a block: of twin-field raw, before pairing; of MDI sifted
	MaxBlockS   float64 `json:"max_block_s"`           // seconds after which a block ends as it is
	Bound       string  `json:"bound"`                 // "" is the kind's finite one
	EpsSec      float64 `json:"eps_sec"`               // secrecy
	EpsCor      float64 `json:"eps_cor"`               // correctness, for predictions; a run's is the verification's
}

// Arm returns the transmittance from one end to a click.
func (p *Params) Arm(ch quantum.Channel) float64 {
	return p.EtaDet * math.Pow(10, -events.Loss(ch, p.Attenuation)/20)
}

// Check returns what is out of range whatever the bound, the channel included.
func Check(p *Params, ch quantum.Channel) (r events.Ranges) {
	r.Want(p.ClockHz >= 1 && p.ClockHz <= 1e12, "clock_hz")
	r.Want(p.Mu > 0 && p.Mu <= 10, "mu")
	r.Want(p.EtaDet > 0 && p.EtaDet <= 1, "eta_det")
	r.Want(p.PDc >= 0 && p.PDc <= 0.1, "p_dc")
	r.Want(p.EMis >= 0 && p.EMis <= 0.5, "e_mis")
	r.Want(p.Attenuation >= 0 && p.Attenuation <= 1e3, "attenuation_db_per_km")
	r.Want(p.FEC >= 1 && p.FEC < 10, "f_ec")
	r.WantChannel(ch)
	return r
}

// CheckFinite adds to r what decoys and a finite block, of at most so many bits, need.
func CheckFinite(p *Params, r *events.Ranges, most int) {
	r.Want(Inside(p.PSignal), "p_signal")
	r.Want(p.Mu1 > 0 && p.Mu1 < p.Mu2 && p.Mu2 <= 10, "mu1 < mu2")
	r.Want(Inside(p.P0) && Inside(p.P1) && p.P0+p.P1 < 1, "p_0 + p_1 < 1")
	r.Want(p.Block >= 1 && p.Block <= most, "block")
	r.Want(p.MaxBlockS > 0 && p.MaxBlockS <= 1e8, "max_block_s")
	r.Want(Inside(p.EpsSec), "eps_sec")
	r.Want(Inside(p.EpsCor), "eps_cor")
}

// Inside reports whether a probability is neither 0 nor 1; false for NaN.
func Inside(x float64) bool { return x > 0 && x < 1 }

// Knob is a parameter to choose, between bounds.
type Knob struct {
	At     *float64
	Lo, Hi float64
}

// Best returns a copy of d, its knobs turned to where the cost is least; d itself
// where none less is found. parts names a device's parameters and knobs. It is
// deterministic and costs some hundreds of calls of cost for each knob.
func Best[D any](d D, parts func(*D) (*Params, []Knob), cost func(D) float64) D {
	set := func(x []float64) D {
		out := d
		p, knobs := parts(&out)
		for i, k := range knobs {
			*k.At = k.Lo + (k.Hi-k.Lo)/(1+math.Exp(-x[i]))
		}
		if p.P0+p.P1 > 0.98 {
			p.P1 = 0.98 - p.P0
		}
		return out
	}
	var best []float64
	_, knobs := parts(&d)
	for _, k := range knobs {
		share := min(max((*k.At-k.Lo)/(k.Hi-k.Lo), 0.02), 0.98)
		best = append(best, math.Log(share/(1-share)))
	}
	loss := func(x []float64) float64 { return cost(set(x)) }
	for range 2 { // once more from where the first search ended: simplices stick
		r, err := optimize.Minimize(optimize.Problem{Func: loss}, best, &optimize.Settings{FuncEvaluations: 300 * len(best)}, &optimize.NelderMead{})
		if r == nil || (err != nil && r.X == nil) {
			break
		}
		best = r.X
	}
	if loss(best) < cost(d) {
		return set(best)
	}
	return d
}
