package repeater

import (
	"math/rand/v2"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Protocol implements distill.Runnable: the chain's pairs are drawn at Bob's end
// and sifted by package bbm92, with its attacks (intercept-resend of delivered
// pairs; noise: stray light at every heralding station). Errors: Invalid, also for
// a channel over which no pair would ever arrive.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	t, err := d.Transfer(s.Channel)
	if err != nil {
		return nil, err
	}
	if t.Pairs < slowest || t.QBER >= 0.5 {
		return nil, qsc.E("repeater.Protocol", qsc.Invalid, "", "nothing comes over %g km and %g dB with %d links: cut the channel into more links or take better memories", s.Channel.Distance, s.Channel.Loss, d.Links)
	}
	l := d.over(s.Channel)
	clock := d.clock(l)
	p, err := bbm92.NewProtocol(s, bbm92.Link{
		Clock: clock, Rate: min(t.Pairs/float64(clock), 0.999999), PZ: d.PZ, Block: d.Block,
		Patience: time.Duration(d.Patience * float64(time.Second)),
		Security: d.security(),
		Params:   d.params(l),
		Source: func(r *rand.Rand, noise float64) bbm92.PairSource {
			return newSource(d.model(l, noise), r)
		},
	})
	if err != nil {
		return nil, err // not p: a nil *Protocol would not be a nil interface
	}
	return p, nil
}

// params are what a record keeps of the device.
func (d Device) params(l layout) map[string]any {
	return map[string]any{
		"scheme": d.Scheme, "links": d.Links, "modes": d.Modes, "link_km": l.linkKM, "link_loss_db": l.lossDB,
		"eta_arm": d.EtaArm, "alpha": d.Alpha, "fidelity": d.Fidelity, "t2_s": d.T2, "reset_s": d.Reset,
		"purify_rounds": d.Purify, "p_bsm": d.BSM, "bsm_fidelity": d.BSMFidelity, "block": d.Block,
	}
}
