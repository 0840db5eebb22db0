package bbm92

import (
	"math"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// pattern is which detectors clicked at both ends, in one basis: bit 0 and 1
// Alice's two, bit 2 and 3 Bob's two, named so that equal bits are right.
type pattern = int

// patterns returns the probability of each of the 16 patterns in a pulse, by
// summing over the number of pairs n, with probability (n+1) λⁿ/(1+λ)ⁿ⁺², and over
// the polarisations of a state of n pairs, of which each is as likely (Ma, Fung and
// Lo, PRA 76, 012307). It shares nothing with the closed form.
func patterns(lambda, etaA, etaB, y0A, y0B float64) (p [16]float64) {
	darkA, darkB := 1-math.Sqrt(1-y0A), 1-math.Sqrt(1-y0B)
	weight := 1 / ((1 + lambda) * (1 + lambda)) // of one state of n pairs: P(n)/(n+1)
	for n := range 4096 {
		for m := 0; m <= n; m++ {
			add(&p, weight, clicks(m, n-m, etaA, darkA), clicks(m, n-m, etaB, darkB))
		}
		weight *= lambda / (1 + lambda)
		if n > 2 && weight*float64(n*n) < 1e-25 {
			break
		}
	}
	return p
}

// clicks returns the probabilities of the four patterns of one end that gets
// photons for each of its detectors.
func clicks(one, two int, eta, dark float64) [4]float64 {
	hit := func(photons int) float64 { return -math.Expm1(math.Log1p(-dark) + float64(photons)*math.Log1p(-eta)) }
	if eta == 1 {
		hit = func(photons int) float64 {
			if photons > 0 {
				return 1
			}
			return dark
		}
	}
	a, b := hit(one), hit(two)
	return [4]float64{(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b}
}

func add(p *[16]float64, weight float64, a, b [4]float64) {
	for i, x := range a {
		for j, y := range b {
			p[i|j<<2] += weight * x * y
		}
	}
}

// wrong is the probability that a pattern's bits differ; coincident is whether
// there are bits at both ends. A double click gives a random bit.
func wrong(p pattern) (e float64, coincident bool) {
	a, b := p&3, p>>2
	switch {
	case a == 0 || b == 0:
		return 0, false
	case a == 3 || b == 3:
		return 0.5, true
	case a == b:
		return 0, true
	}
	return 1, true
}

// sourceOf draws coincidences from a table of patterns.
type sourceOf struct {
	r     *rand.Rand
	gaps  events.Gaps
	bound [16]float64 // cumulated, of the coincident patterns
	err   [16]float64
}

// Next implements PairSource.
func (s *sourceOf) Next(from, to uint64) (pulse uint64, errZ, errX float64, ok bool) {
	pulse = s.gaps.Next(from, to)
	if pulse >= to {
		return 0, 0, 0, false
	}
	u, i := s.r.Float64()*s.bound[15], 0
	for i < 15 && u >= s.bound[i] {
		i++
	}
	return pulse, s.err[i], s.err[i], true
}

// source opens the device's pairs: noise adds to Bob's stray clicks.
func (d Device) source(etaA, etaB, alive float64) func(*rand.Rand, float64) PairSource {
	return func(r *rand.Rand, noise float64) PairSource {
		s := &sourceOf{r: r}
		table, sum := patterns(d.Lambda, etaA, etaB, d.Y0A, 1-(1-d.Y0B)*(1-noise)), 0.0
		for i, p := range table {
			e, coincident := wrong(i)
			if coincident {
				sum += p
			}
			s.bound[i] = sum
			s.err[i] = e*(1-d.EMis) + (1-e)*d.EMis
		}
		s.gaps = events.NewGaps(r, sum*alive)
		return s
	}
}
