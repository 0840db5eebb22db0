package repeater

import (
	"math"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// source is the event level of a chain: it draws when each link becomes ready,
// how long the others wait for the last, and whether the swaps succeed. Cost
// follows the rounds of swapping, not the attempts. It implements
// bbm92.PairSource.
type source struct {
	c    chain
	r    *rand.Rand
	gaps events.Gaps

	begun bool
	now   uint64  // the attempt with which the round begins
	drawn bool    // the round that began at now is drawn
	at    uint64  // the attempt that made the last link ready
	w     float64 // of the chain then
	ok    bool    // all swaps succeeded
}

func newSource(c chain, r *rand.Rand) *source {
	return &source{c: c, r: r, gaps: events.NewGaps(r, c.p)}
}

// Next returns the first pair delivered in attempts from ≤ i < to and its error
// probability in Z and in X.
func (s *source) Next(from, to uint64) (attempt uint64, errZ, errX float64, ok bool) {
	if !s.begun {
		s.begun, s.now = true, from
	}
	for {
		if !s.drawn {
			s.round()
		}
		if s.at >= to {
			return 0, 0, 0, false
		}
		s.drawn, s.now = false, s.at+1
		if s.ok && s.at >= from {
			e := (1 - s.w) / 2
			return s.at, e, e, true
		}
	}
}

// forever is beyond all attempts.
const forever = uint64(1) << 62

// round draws one round from now on.
func (s *source) round() {
	last, sum := uint64(0), 0.0
	for range s.c.links {
		gap := s.gaps.Next(0, forever-min(s.now, forever))
		sum += float64(gap)
		last = max(last, gap)
	}
	waited := float64(last)*float64(s.c.links) - sum
	s.drawn, s.at = true, s.now+last
	s.w = s.c.w * math.Pow(s.c.decay, waited)
	s.ok = s.c.swap >= 1 || s.r.Float64() < s.c.swap
}
