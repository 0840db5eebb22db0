package mdi

import (
	"context"
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Protocol is one end of an MDI link. It implements distill.Protocol and
// quantum.Attackable. Both ends are transmitters; Bob's also draws what the station
// announces and passes it on.
//
// It suffers intercept-resend on Bob's arm and noise (stray light on each detector).
// Blinding the station gains an attacker nothing that it does not have already.
type Protocol struct {
	*events.End
	setup      distill.Setup
	d          Device
	e          float64 // transmittance of an arm, detectors included
	clock      uint64  // pulses in a second
	alice, bob party
}

// Protocol implements distill.Runnable. Errors: Invalid, Unsupported for a bound
// that is not for runs.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	if err := d.check(s.Channel); err != nil {
		return nil, err
	}
	if d.bound() != Zhou2016 {
		return nil, qsc.E("mdi.Protocol", qsc.Unsupported, "", "the bound %s is for predictions: set bound = %q to run the device", d.bound(), Zhou2016)
	}
	return &Protocol{
		End:   events.NewEnd("mdi", "at a station that nobody trusts"),
		setup: s, d: d, e: d.Arm(s.Channel), clock: uint64(max(math.Round(d.ClockHz), 1)),
		alice: newParty(d, s.World, "alice"), bob: newParty(d, s.World, "bob"),
	}, nil
}

// Sift implements distill.Protocol: the two ends tell each other of the announced
// coincidences until there are Block key bits.
func (p *Protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	run := &events.Run{
		Setup: p.setup, Start: start, Clock: p.clock, Rate: p.d.announced(p.e), Patience: events.Seconds(p.d.MaxBlockS),
		MaxReply: 2 * events.MaxEvents, Meter: &p.Meter,
	}
	h := &half{p: p}
	var until time.Time
	var err error
	if p.setup.Role == distill.Alice {
		until, err = run.Follow(ctx, w, aliceHalf{h})
	} else {
		until, err = run.Observe(ctx, w, &bobHalf{half: h, r: run.Stream("mdi/station")})
	}
	if err != nil {
		h.key.Zeroise()
		return nil, err
	}
	c := h.counts(events.PulseAt(p.clock, until.Sub(start.At)))
	return &distill.Sifted{Bits: h.key.Bits(), QBER: c.guess(), Until: until, Private: c}, nil
}

// guess is the error rate to begin reconciliation with: that of the sample, and not
// so low that a first guess would be a bad one.
func (c Counts) guess() float64 { return max((c.SampleErrors+1)/(c.Sample+2), 1e-3) }

// Length implements distill.Protocol. Error: Scarce when nothing was kept.
func (p *Protocol) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	c, ok := s.Private.(Counts)
	if !ok {
		return distill.Length{}, qsc.E("mdi.Length", qsc.Invalid, "", "these bits were not sifted here")
	}
	if o.Kept == 0 || c.Weak == 0 || c.Pulses == 0 {
		return distill.Length{}, qsc.E("mdi.Length", qsc.Scarce, "", "%d bits kept, %.0f coincidences of decoys: gather a longer block", o.Kept, c.Weak)
	}
	d, x := p.d, p.d.estimate(c)
	bits, phi := d.bits(x, float64(o.Sifted-o.Kept), float64(o.Leak+o.Verify), max(o.EpsCor, math.SmallestNonzeroFloat64))
	return distill.Length{
		Bits: int64(math.Floor(bits)), Bound: Zhou2016, EpsSec: d.EpsSec, EpsCor: o.EpsCor, Phi: phi,
		Params: map[string]any{
			"clock_hz": d.ClockHz, "mu": d.Mu, "p_signal": d.PSignal, "mu1": d.Mu1, "mu2": d.Mu2, "p_0": d.P0, "p_1": d.P1,
			"pulses": c.Pulses, "vacuum": c.Vacuum, "alice_mu1": c.A1, "alice_mu2": c.A2, "bob_mu1": c.B1, "bob_mu2": c.B2,
			"both_mu1": c.Weak, "both_mu1_errors": c.WeakErrors, "both_mu2": c.Strong,
			"key": c.Key, "sample": c.Sample, "sample_errors": c.SampleErrors,
			"yield_11": x.Yield, "e_11": x.Phase, "singles": x.Singles,
			"sifted_bits": o.Sifted, "kept_bits": o.Kept, "leak_bits": o.Leak + o.Verify,
		},
	}, nil
}
