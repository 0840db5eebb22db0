package mdi

import (
	"math"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/splitter"
)

// station draws what the station in the middle announces. Coincidences are proposed
// at geometric gaps with the largest probability that any choice of the ends has,
// and accepted by their real choices and phases, so that the cost follows the
// announcements.
type station struct {
	r          *rand.Rand
	alice, bob party
	mean       [sources]float64 // photons that arrive of each source
	dark       float64          // for one detector in a bin
	eMis       float64
	intercept  float64 // share of Bob's pulses measured and sent anew
	top        float64 // at least the probability of any coincidence
	gaps       events.Gaps
}

// newStation opens the station under an attack.
func newStation(d Device, e float64, alice, bob party, r *rand.Rand, a quantum.Attack) *station {
	s := &station{r: r, alice: alice, bob: bob, mean: d.means(e), dark: d.PDc, eMis: d.EMis}
	switch a.Kind {
	case quantum.InterceptResend:
		s.intercept = a.Strength
	case quantum.Noise:
		s.dark = 1 - (1-s.dark)*(1-a.Strength/100)
	}
	most := s.bin(max(s.mean[signal], s.mean[strong])) // both bins as bright: no split of the light has a larger product
	s.top = min(most*most, 0.999)
	s.gaps = events.NewGaps(r, s.top)
	return s
}

// bin is at least the probability of a single click when that many photons arrive
// in a bin.
func (s *station) bin(photons float64) float64 { return -math.Expm1(-photons) + 2*s.dark }

// coincidence is an announced pulse.
type coincidence struct {
	pulse      uint64
	same       bool // both clicks were in one detector
	flip       bool // Bob's bit is turned by misalignment
	alice, bob choice
}

// next returns the first coincidence in the pulses from ≤ i < to.
func (s *station) next(from, to uint64) (c coincidence, ok bool) {
	for {
		c.pulse = s.gaps.Next(from, to)
		if c.pulse >= to {
			return c, false
		}
		c.alice, c.bob = s.alice.at(c.pulse), s.bob.at(c.pulse)
		if s.accept(&c) {
			return c, true
		}
		from = c.pulse + 1
	}
}

// accept decides by the light whether there is one click in each bin, and where.
func (s *station) accept(c *coincidence) bool {
	a := lightOf(c.alice.source == signal, s.mean[c.alice.source], c.alice.bit)
	b := lightOf(c.bob.source == signal, s.mean[c.bob.source], c.bob.bit)
	if s.intercept > 0 && s.r.Float64() < s.intercept {
		b = s.resend(c.bob)
	}
	u := s.r.Float64() * s.top
	early, late := a.bins[0]+b.bins[0]+2*s.dark, a.bins[1]+b.bins[1]+2*s.dark
	if u >= early*late { // looser than the product of bin, and cheaper
		return false
	}
	cos := math.Cos(2 * math.Pi * s.r.Float64())
	var only [2][2]float64 // by bin and detector
	for bin := range only {
		zero, one := at(bin, a, b, cos)
		only[bin] = [2]float64{splitter.Only(zero, one, s.dark), splitter.Only(one, zero, s.dark)}
	}
	same := only[0][0]*only[1][0] + only[0][1]*only[1][1]
	if u >= same+only[0][0]*only[1][1]+only[0][1]*only[1][0] {
		return false
	}
	c.same, c.flip = u < same, s.r.Float64() < s.eMis
	return true
}

// resend is the light of somebody who has measured Bob's pulse in a basis of his own
// choice.
func (s *station) resend(c choice) light {
	inZ := s.r.IntN(2) == 0
	if inZ != (c.source == signal) {
		c.bit = byte(s.r.IntN(2))
	}
	return lightOf(inZ, s.mean[c.source], c.bit)
}

// announced is the mean probability of a coincidence in a pulse.
func (d Device) announced(e float64) (p float64) {
	share, mean := d.shares(), d.means(e)
	for i := range share {
		for j := range share {
			p += share[i] * share[j] * gain(source(i), source(j), mean[i], mean[j], d.PDc)
		}
	}
	return p
}

// shares are the probabilities of the sources, and means the photons that arrive of
// each.
func (d Device) shares() [sources]float64 {
	decoy := 1 - d.PSignal
	return [sources]float64{decoy * d.P0, decoy * d.P1, decoy * (1 - d.P0 - d.P1), d.PSignal}
}

func (d Device) means(e float64) [sources]float64 {
	return [sources]float64{weak: e * d.Mu1, strong: e * d.Mu2, signal: e * d.Mu}
}

// gain is the probability of a coincidence for two sources, in whatever bases.
func gain(i, j source, a, b, p float64) (g float64) {
	switch {
	case i == signal && j == signal:
		g, _ = gainZ(a, b, p, 0)
	case i != signal && j != signal:
		g, _ = gainX(a, b, p, 0)
	case j == signal:
		return gain(j, i, b, a, p)
	default: // one end's light in one bin only, the other's in both
		g = splitter.One(a, b/2, p) * splitter.One(0, b/2, p)
	}
	return g
}
