package twinfield

import (
	"context"
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// Protocol is one end of a twin-field link. It implements distill.Protocol and
// quantum.Attackable. Both ends are transmitters; Bob's also draws what the station
// announces and passes it on.
//
// It suffers intercept-resend at the station (whoever measures which arm the light
// came from, or its phase, and sends light on, leaves the detectors without a common
// phase) and noise (stray light on each detector).
type Protocol struct {
	*events.End
	setup      distill.Setup
	d          Device
	e          float64 // transmittance of an arm, detectors included
	clock      uint64  // windows of the duty time in a second
	alice, bob party
}

// Protocol implements distill.Runnable. Errors: Invalid, Unsupported for a bound
// that is not for runs.
func (d Device) Protocol(s distill.Setup) (distill.Protocol, error) {
	if err := d.check(s.Channel); err != nil {
		return nil, err
	}
	if d.bound() != Jiang2021 {
		return nil, qsc.E("twinfield.Protocol", qsc.Unsupported, "", "the bound %s is for predictions: set bound = %q to run the device", d.bound(), Jiang2021)
	}
	return &Protocol{
		End:   events.NewEnd("twinfield", "at a station that nobody trusts"),
		setup: s, d: d, e: d.Arm(s.Channel), clock: uint64(max(math.Round(d.ClockHz*d.Duty), 1)),
		alice: newParty(d, s.World, "alice"), bob: newParty(d, s.World, "bob"),
	}, nil
}

// Sift implements distill.Protocol: the two ends tell each other of the announced
// windows until there are Block raw bits, then pair them.
func (p *Protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	run := &events.Run{
		Setup: p.setup, Start: start, Clock: p.clock, Rate: p.d.announced(p.e), Patience: events.Seconds(p.d.MaxBlockS),
		MaxReply: 3 * events.MaxEvents, Meter: &p.Meter,
	}
	h := newHalf(p)
	defer h.raw.Zeroise()
	var until time.Time
	var key distill.Bits
	var err error
	if p.setup.Role == distill.Alice {
		if until, err = run.Follow(ctx, w, aliceHalf{h}); err == nil {
			key, err = h.pairAlice(ctx, w)
		}
	} else {
		b := &bobHalf{half: h, r: run.Stream("twinfield/station")}
		if until, err = run.Observe(ctx, w, b); err == nil {
			key, err = h.pairBob(ctx, w, run.Stream("twinfield/pairing"))
		}
	}
	if err != nil {
		return nil, err
	}
	c := h.counts(events.PulseAt(p.clock, until.Sub(start.At)))
	return &distill.Sifted{Bits: key, QBER: p.d.guess(c), Leak: pairingLeak, Until: until, Private: c}, nil
}

// guess is the error rate to be expected after pairing: of Bob's ones, as many are
// wrong as the vacuum clicks; of his zeros, those that his ones have not as well. It
// is rounded, so that both ends have the same, and not so low that a first guess
// would be a bad one.
func (d Device) guess(c Counts) float64 {
	o := d.odds()
	none := min((c.Vacuum+1)/o.vacuum*o.signal*(1-d.PSend)*(1-d.PSend), c.Ones/2)
	right := c.Ones - none
	both := max(c.Zeros-right, 1)
	bad := none * both
	q := bad / (right*right + bad + 1)
	return min(max(math.Round(q*1e5)/1e5, 1e-4), 0.5)
}

// Length implements distill.Protocol. Error: Scarce when nothing was kept.
func (p *Protocol) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	c, ok := s.Private.(Counts)
	if !ok {
		return distill.Length{}, qsc.E("twinfield.Length", qsc.Invalid, "", "these bits were not sifted here")
	}
	if o.Kept == 0 || c.Slice == 0 || c.Windows == 0 {
		return distill.Length{}, qsc.E("twinfield.Length", qsc.Scarce, "", "%d bits kept, %.0f windows for the phase error: gather a longer block", o.Kept, c.Slice)
	}
	d, x := p.d, p.d.estimate(c)
	leak := float64(o.Leak + o.Verify)
	bits, phi := d.bits(x, float64(o.Sifted-o.Kept), leak, max(o.EpsCor, math.SmallestNonzeroFloat64))
	return distill.Length{
		Bits: int64(math.Floor(bits)), Bound: Jiang2021, EpsSec: d.EpsSec, EpsCor: o.EpsCor, Phi: phi,
		Params: map[string]any{
			"clock_hz": d.ClockHz, "duty": d.Duty, "mu": d.Mu, "p_send": d.PSend, "p_signal": d.PSignal,
			"mu1": d.Mu1, "mu2": d.Mu2, "p_0": d.P0, "p_1": d.P1, "slice": d.Slice,
			"windows": c.Windows, "vacuum": c.Vacuum, "alice_mu1": c.A1, "alice_mu2": c.A2, "bob_mu1": c.B1, "bob_mu2": c.B2,
			"slice_windows": c.Slice, "slice_errors": c.SliceErrors, "zeros": c.Zeros, "ones": c.Ones,
			"yield_1": x.Single, "e_1": x.Phase, "single_pairs": x.Singles,
			"sifted_bits": o.Sifted, "kept_bits": o.Kept, "leak_bits": o.Leak + o.Verify,
		},
	}, nil
}
