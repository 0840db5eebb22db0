package cvqkd

import (
	"math"
	"math/bits"
)

// sums are all that the disclosed symbols are reduced to.
type sums struct {
	m          int64 // values
	xx, xy, yy float64
}

func (s *sums) add(x, y float64) {
	s.m++
	s.xx += x * x
	s.xy += x * y
	s.yy += y * y
}

// possible reports whether the sums can be those of m pairs of real values.
func (s *sums) possible() bool {
	for _, v := range []float64{s.xx, s.xy, s.yy} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return s.m >= 0 && s.xx >= 0 && s.yy >= 0 && s.xy*s.xy <= s.xx*s.yy*(1+1e-9)
}

// fit returns the linear model of greatest likelihood; ok is false where there
// is nothing to fit.
func (s *sums) fit() (l linear, ok bool) {
	if s.m < 2 || !(s.xx > 0) {
		return linear{}, false
	}
	gain := s.xy / s.xx
	return linear{gain, max((s.yy-gain*s.xy)/float64(s.m), 0), float64(s.m)}, true
}

func ones(words []uint64) (n int) {
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

// judge chooses the code for frames from what is known of the channel so far. It
// counts the channel a standard deviation worse than it seems. Scarce is a signal
// that does not stand out by z standard deviations; noisy a channel that leaves
// no key, in the limit of long blocks, even if it is better than it seems by z. The margin is what experience takes off
// beta.
func (d Device) judge(s sums, margin float64) choice {
	l, ok := s.fit()
	z := min(deviations(d.EpsPE), math.Sqrt(l.m/8)) // keeps the variance above 0
	if !ok || !(d.shifted(l, z).gain > 0) {
		return choice{verdict: tooScarce}
	}
	best := d.shifted(l, -z)
	if d.asymptotic(d.channel(best)) <= 0 {
		return choice{verdict: tooNoisy}
	}
	c := choice{checks: d.checks(d.shifted(l, 1), margin)}
	if low, high := checkRange(d.frame()); c.checks < low || c.checks > high {
		return choice{verdict: tooNoisy}
	}
	return c
}

// snr is signal over noise of a value.
func (d Device) snr(l linear) float64 { return l.gain * l.gain * d.VA / l.sigma2 }

// rateSteps is how finely codes are chosen: syndromes are multiples of the
// frame's 512th part, so that a device in a steady channel needs few codes.
const rateSteps = 512

// checks is how many syndrome bits a frame needs: all but beta (1 - margin) I of
// each value.
func (d Device) checks(l linear, margin float64) int {
	n := d.frame()
	rate := d.Beta * (1 - margin) * math.Log1p(d.snr(l)) / (2 * math.Ln2)
	step := max(n/rateSteps, 1)
	return int(math.Ceil(float64(n)*(1-rate)/float64(step))) * step
}

// checkRange is what there are codes for: rates 0.02 to 0.98.
func checkRange(n int) (low, high int) { return (n + 49) / 50, n - (n+49)/50 }
