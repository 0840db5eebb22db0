package cvqkd

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Length implements distill.Protocol: Leverrier's bound on what was observed. Of
// the kept bits, each uniform and independent of the public rotations, it takes
// what was disclosed, what a collective attack on the kept symbols learns at the
// worst channel that fits the test values, and the finite-size terms.
//
// Errors: Scarce where the test values do not tell the transmittance from 0,
// Noisy where no frame was kept.
func (p *Protocol) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	const op = "cvqkd.Length"
	c, ok := s.Private.(counts)
	if !ok {
		return distill.Length{}, qsc.E(op, qsc.Invalid, "", "these counts are of another protocol")
	}
	l, ok := c.sums.fit()
	if !ok {
		return distill.Length{}, qsc.E(op, qsc.Scarce, "", "%d test values tell nothing of the channel: raise block or estimate", c.sums.m)
	}
	low, high, ok := p.dev.worst(l)
	if !ok {
		return distill.Length{}, qsc.E(op, qsc.Scarce, "", "%d test values do not tell the transmittance from 0: raise block or estimate", c.sums.m)
	}
	if o.Kept == 0 {
		return distill.Length{}, qsc.E(op, qsc.Noisy, "", "none of %d frames was reconciled: lower beta", o.Frames)
	}
	symbols := float64(o.Kept) / float64(p.dev.quadratures())
	chi, delta := p.dev.at(low, high).holevo(), p.dev.delta(symbols)
	taken := int64(math.Ceil(symbols * (chi + delta)))
	return distill.Length{
		Bits: o.Kept - o.Leak - o.Verify - taken, Bound: FiniteSize,
		EpsSec: p.dev.epsSec(), EpsCor: o.EpsCor,
		Params: p.params(c, l, o, low, high, chi, delta),
	}, nil
}

// params is every number that a length rests on.
func (p *Protocol) params(c counts, l linear, o distill.Outcome, low, high, chi, delta float64) map[string]any {
	d := p.dev
	t, xi := d.channel(l)
	detection := "homodyne"
	if d.Heterodyne {
		detection = "heterodyne"
	}
	symbols := float64(o.Kept) / float64(d.quadratures())
	mutual := float64(d.quadratures()) * math.Log1p(d.snr(l)) / (2 * math.Ln2)
	return map[string]any{
		"v_a": d.VA, "eta": d.Eta, "v_el": d.Vel, "detection": detection, "trusted": d.Trusted,
		"symbols": c.symbols, "test_values": c.sums.m, "key_symbols": int64(symbols),
		"sum_xx": c.sums.xx, "sum_xy": c.sums.xy, "sum_yy": c.sums.yy,
		"t": t, "xi": xi, "t_worst": low, "xi_worst": high, "z": d.spread(),
		"snr": d.snr(l), "chi_be": chi, "delta_n": delta,
		"beta":   float64(o.Kept-o.Leak) / (symbols * mutual), // really reached, failed frames charged
		"eps_pe": d.EpsPE, "eps_bar": d.EpsBar, "eps_pa": d.EpsPA,
	}
}
