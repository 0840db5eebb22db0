package bbm92

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/quantum-secure-cloud/qsc"
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
	*events.End
	setup      distill.Setup
	link       Link
	alice, bob events.Settings
}

// NewProtocol opens one end. Error: Invalid.
func NewProtocol(s distill.Setup, l Link) (*Protocol, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	return &Protocol{
		End: events.NewEnd("bbm92", "with entangled pairs"), setup: s, link: l,
		alice: events.NewSettings(s.World, "bbm92/alice"), bob: events.NewSettings(s.World, "bbm92/bob"),
	}, nil
}

// Sift implements distill.Protocol.
func (p *Protocol) Sift(ctx context.Context, w distill.Wire, start distill.Start) (*distill.Sifted, error) {
	run := &events.Run{
		Setup: p.setup, Start: start, Clock: p.link.Clock, Rate: p.link.Rate, Patience: p.link.Patience,
		MaxReply: events.MaxEvents / 4, Meter: &p.Meter,
	}
	h := &half{p: p, pz: events.Threshold(p.link.PZ, 32)}
	var until time.Time
	var err error
	if p.setup.Role == distill.Alice {
		until, err = run.Follow(ctx, w, aliceHalf{h})
	} else {
		until, err = run.Observe(ctx, w, &bobHalf{half: h, r: run.Stream("bbm92/pairs")})
	}
	if err != nil {
		h.key.Zeroise()
		return nil, err
	}
	return &distill.Sifted{Bits: h.key.Bits(), QBER: h.c.Estimate(), Until: until, Private: h.c}, nil
}
