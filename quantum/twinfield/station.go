package twinfield

import (
	"math"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/splitter"
)

// station draws what the station in the middle announces. Windows are proposed at
// geometric gaps with the largest probability that any choice of the ends has, and
// accepted by their real choices, so that the cost follows the announcements.
type station struct {
	r          *rand.Rand
	alice, bob party
	mean       [sources]float64 // photons that arrive of each source
	dark       float64          // for one detector in a window
	eMis       float64
	scramble   float64 // share of windows whose phase somebody has measured
	top        float64 // the largest probability of an announcement
	gaps       events.Gaps
}

// newStation opens the station under an attack.
func newStation(d Device, e float64, alice, bob party, r *rand.Rand, a quantum.Attack) *station {
	s := &station{r: r, alice: alice, bob: bob, dark: d.PDc, eMis: d.EMis}
	s.mean = [sources]float64{weak: e * d.Mu1, strong: e * d.Mu2, sent: e * d.Mu}
	switch a.Kind {
	case quantum.InterceptResend:
		s.scramble = a.Strength
	case quantum.Noise:
		s.dark = 1 - (1-s.dark)*(1-a.Strength/100)
	}
	s.top = min(s.most(2*max(s.mean[sent], s.mean[strong])), 0.999)
	s.gaps = events.NewGaps(r, s.top)
	return s
}

// most is at least the probability of an announcement when that many photons
// arrive, whatever their phases.
func (s *station) most(arriving float64) float64 { return -math.Expm1(-arriving) + 2*s.dark }

// click is an announced window.
type click struct {
	window         uint64
	detector       byte
	alice, bob     source
	phaseA, phaseB uint16
}

// next returns the first announcement in the windows from ≤ i < to.
func (s *station) next(from, to uint64) (c click, ok bool) {
	for {
		c.window = s.gaps.Next(from, to)
		if c.window >= to {
			return c, false
		}
		c.alice, c.phaseA = s.alice.at(c.window)
		c.bob, c.phaseB = s.bob.at(c.window)
		if s.accept(&c) {
			return c, true
		}
		from = c.window + 1
	}
}

// accept decides by the settings whether exactly one detector clicked, and which.
func (s *station) accept(c *click) bool {
	a, b := s.mean[c.alice], s.mean[c.bob]
	u := s.r.Float64() * s.top
	if u >= a+b+2*s.dark { // looser than most, and cheaper
		return false
	}
	swing := 0.0
	if a > 0 && b > 0 {
		d := c.phaseA - c.phaseB
		if s.scramble > 0 && s.r.Float64() < s.scramble {
			d = uint16(s.r.Uint32())
		}
		swing = math.Sqrt(a*b) * cosine[d&(phases-1)]
	}
	zero, one := (a+b)/2+swing, (a+b)/2-swing
	first := splitter.Only(zero, one, s.dark)
	if u >= first+splitter.Only(one, zero, s.dark) {
		return false
	}
	if u >= first {
		c.detector = 1
	} else {
		c.detector = 0
	}
	if s.r.Float64() < s.eMis {
		c.detector ^= 1
	}
	return true
}

// announced is the mean probability of an announcement in a window.
func (d Device) announced(e float64) (p float64) {
	decoy := 1 - d.PSignal
	share := [sources]float64{decoy * d.P0, decoy * d.P1, decoy * (1 - d.P0 - d.P1), d.PSignal * (1 - d.PSend), d.PSignal * d.PSend}
	mean := [sources]float64{weak: e * d.Mu1, strong: e * d.Mu2, sent: e * d.Mu}
	for i, x := range share {
		for j, y := range share {
			p += x * y * gain(mean[i], mean[j], d.PDc)
		}
	}
	return p
}
