package bbm92

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// PairSource draws the entangled pairs that were detected at both ends. Bob's end
// asks it; Alice's never does.
type PairSource interface {
	// Next returns the first coincidence among the pulses (or attempts) from ≤ i <
	// to, and the probability that the two ends' bits differ where both measured
	// in Z, or both in X. ok is false when there is none.
	Next(from, to uint64) (pulse uint64, errZ, errX float64, ok bool)
}

// Link is what a protocol over entangled pairs is made of, whatever makes the
// pairs. Z is the key basis; X is disclosed.
type Link struct {
	Clock    uint64        // pulses or attempts in a second
	Rate     float64       // coincidences expected in each
	PZ       float64       // probability of measuring in Z, at each end
	Block    int           // sifted Z bits that make a block
	Patience time.Duration // of device time; a block ends then as it is
	Security Security
	Params   map[string]any // kept in the record

	// Source opens the pairs of a round. noise is the probability of stray light
	// at Bob in a pulse, 0 without an attack.
	Source func(r *rand.Rand, noise float64) PairSource
}

func (l *Link) check() error {
	if l.Clock == 0 || !(l.Rate > 0 && l.Rate < 1) || !(l.PZ > 0 && l.PZ < 1) || l.Block < 1 || l.Block > 1<<27 || l.Patience <= 0 || l.Source == nil {
		return qsc.E("bbm92.NewProtocol", qsc.Invalid, "", "clock, rate, basis probability, block and patience must be set")
	}
	_, err := l.Security.bound()
	return err
}

// Protocol is one end of a link of entangled pairs. It implements
// distill.Protocol and quantum.Attackable.
type Protocol struct {
	setup      distill.Setup
	link       Link
	alice, bob events.Settings
	meter      events.Meter

	mu     sync.Mutex
	attack quantum.Attack
}

// NewProtocol opens one end. Error: Invalid.
func NewProtocol(s distill.Setup, l Link) (*Protocol, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	return &Protocol{
		setup: s, link: l,
		alice: events.NewSettings(s.World, "bbm92/alice"), bob: events.NewSettings(s.World, "bbm92/bob"),
	}, nil
}

// Attack implements quantum.Attackable: intercept-resend and noise. It is done at
// Bob's end, where coincidences are drawn; at Alice's it has no effect. It begins
// with the next run of pulses.
func (p *Protocol) Attack(a quantum.Attack) error {
	if a.Strength != 0 && a.Kind != quantum.InterceptResend && a.Kind != quantum.Noise {
		return qsc.E("bbm92.Attack", qsc.Unsupported, "", "%s makes no sense with entangled pairs: try %s or %s", a.Kind, quantum.InterceptResend, quantum.Noise)
	}
	if !(a.Strength >= 0 && a.Strength <= 1) {
		return qsc.E("bbm92.Attack", qsc.Invalid, "", "strength %g is not within 0 and 1", a.Strength)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attack = a
	return nil
}

func (p *Protocol) attacked() quantum.Attack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attack
}

// Progress implements distill.Protocol.
func (p *Protocol) Progress() distill.Progress { return p.meter.Progress() }

// Close implements distill.Protocol. Nothing is held between rounds.
func (p *Protocol) Close() error { return nil }

// Sift implements distill.Protocol.
func (p *Protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	run := &events.Run{
		Setup: p.setup, Start: start, Clock: p.link.Clock, Rate: p.link.Rate, Patience: p.link.Patience,
		MaxReply: events.MaxEvents / 4, Meter: &p.meter,
	}
	h := &half{p: p, pz: events.Threshold(p.link.PZ, 32)}
	var until time.Time
	var err error
	if p.setup.Role == distill.Alice {
		until, err = run.Follow(ctx, w, aliceHalf{h})
	} else {
		r := events.Stream(p.setup.World, fmt.Sprintf("bbm92/pairs/%d/%d", start.Round, start.At.UnixNano()))
		until, err = run.Observe(ctx, w, &bobHalf{half: h, r: r})
	}
	if err != nil {
		h.key.Zeroise()
		return nil, err
	}
	return &distill.Sifted{Bits: h.key.Bits(), QBER: h.c.Estimate(), Until: until, Private: h.c}, nil
}
