package bb84

import "math"

// statistics turn counts into bounds on what vacuum and single photons gave. ln is
// ln(events/eps_sec), the exponent of every single deviation; 0 for none.
type statistics struct {
	Counts
	ln float64
}

// delta is Hoeffding's deviation for a basis with n counts, by the natural
// logarithm.
func (s statistics) delta(n float64) float64 { return math.Sqrt(n / 2 * s.ln) }

// up and down are n_k^±: the counts of intensity k that would have been without
// fluctuation, in units in which every pulse had that intensity, times e^k.
func (s statistics) up(v [3]float64, k int) float64 {
	n := sum(v)
	return math.Exp(s.Mu[k]) / s.P[k] * min(v[k]+s.delta(n), n)
}

func (s statistics) down(v [3]float64, k int) float64 {
	return math.Exp(s.Mu[k]) / s.P[k] * max(v[k]-s.delta(sum(v)), 0)
}

// tau is the probability that a pulse holds n photons, n 0 or 1.
func (s statistics) tau(n int) (t float64) {
	for k, p := range s.P {
		t += p * math.Exp(-s.Mu[k]) * math.Pow(s.Mu[k], float64(n))
	}
	return t
}

func (s statistics) estimate() (e Estimate) {
	if s.Decoys == 1 {
		e.Vacuum = s.vacuum(s.Key, 0, 1)
		e.Single = s.singleOne(s.Key, s.vacuumAbove(s.Key, s.KeyErr, s.Pooled))
		e.Test = s.singleOne(s.Test, s.vacuumAbove(s.Test, s.TestErr, false))
		e.Errors = s.wrong(0, 1)
		return e
	}
	e.Vacuum = s.vacuum(s.Key, 1, 2)
	e.Single = s.singleTwo(s.Key, e.Vacuum)
	e.Test = s.singleTwo(s.Test, s.vacuum(s.Test, 1, 2))
	e.Errors = s.wrong(1, 2)
	return e
}

// vacuum bounds the counts of vacuum from below by two intensities, a the brighter.
func (s statistics) vacuum(v [3]float64, a, b int) float64 {
	x := s.tau(0) * (s.Mu[a]*s.down(v, b) - s.Mu[b]*s.up(v, a)) / (s.Mu[a] - s.Mu[b])
	return min(max(x, 0), sum(v))
}

// vacuumAbove bounds them from above, as one decoy needs it: vacuum errs in half
// of its counts. With the total of the errors alone, all of them may be vacuum's.
func (s statistics) vacuumAbove(v, wrong [3]float64, pooled bool) float64 {
	m := sum(wrong)
	if !pooled {
		m = s.tau(0) * math.Exp(s.Mu[1]) / s.P[1] * (wrong[1] + s.delta(sum(wrong)))
	}
	return min(2*(m+s.delta(sum(v))), sum(v))
}

// singleTwo bounds the counts of single photons from below with two decoys.
func (s statistics) singleTwo(v [3]float64, vacuum float64) float64 {
	m := s.Mu
	x := s.down(v, 1) - s.up(v, 2) - (m[1]*m[1]-m[2]*m[2])/(m[0]*m[0])*(s.up(v, 0)-vacuum/s.tau(0))
	x *= s.tau(1) * m[0] / (m[0]*(m[1]-m[2]) - m[1]*m[1] + m[2]*m[2])
	return min(max(x, 0), sum(v))
}

// singleOne is the same with one decoy; vacuum is an upper bound.
func (s statistics) singleOne(v [3]float64, vacuum float64) float64 {
	m := s.Mu
	x := s.down(v, 1) - m[1]*m[1]/(m[0]*m[0])*s.up(v, 0) - (m[0]*m[0]-m[1]*m[1])/(m[0]*m[0])*vacuum/s.tau(0)
	x *= s.tau(1) * m[0] / (m[1] * (m[0] - m[1]))
	return min(max(x, 0), sum(v))
}

// wrong bounds the errors of single photons in the test basis from above, a the
// brighter intensity.
func (s statistics) wrong(a, b int) float64 {
	x := s.tau(1) * (s.up(s.TestErr, a) - s.down(s.TestErr, b)) / (s.Mu[a] - s.Mu[b])
	return min(max(x, 0), sum(s.Test))
}

// phase bounds the phase error rate of the key basis's single photons: the error
// rate of those in the test basis and the deviation g of sampling without
// replacement, by the binary logarithm.
func (s statistics) phase(e Estimate) float64 {
	if e.Single <= 0 || e.Test <= 0 {
		return 0.5
	}
	b := e.Errors / e.Test
	if s.ln > 0 {
		b = max(b, 1/e.Test) // a rate of 0 is never certain
	}
	if b >= 0.5 {
		return 0.5
	}
	c, d := e.Single, e.Test
	spread := (c + d) * (1 - b) * b
	if s.ln == 0 || spread == 0 {
		return b
	}
	arg := math.Log2((c+d)/(c*d*(1-b)*b)) + 2*s.ln/math.Ln2
	return min(b+math.Sqrt(spread/(c*d*math.Ln2)*max(arg, 0)), 0.5)
}
