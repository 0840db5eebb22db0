package repeater

import "math"

// chain is the stochastic model of a repeater: in every period each link that is
// not ready becomes ready with probability p, on its own; when all are ready they
// are swapped at once, and all begin anew whether the swaps succeed or not.
type chain struct {
	links int
	p     float64 // of a link in a period, modes and purification included
	swap  float64 // that all links-1 Bell measurements succeed
	w     float64 // Werner parameter of a chain in which no link has waited
	decay float64 // factor on w for each period that a ready link waits
}

// binomial returns C(n,j) p^j (1-p)^(n-j).
func binomial(n, j int, p float64) float64 {
	c := 1.0
	for i := 1; i <= j; i++ {
		c *= float64(n-j+i) / float64(i)
	}
	return c * math.Pow(p, float64(j)) * math.Pow(1-p, float64(n-j))
}

// some is the probability that at least one of n links becomes ready.
func (c chain) some(n int) float64 { return -math.Expm1(float64(n) * math.Log1p(-c.p)) }

// wait returns the expected number of periods until all links are ready, by first
// steps from the states "k links are ready": all terms are positive, so that long
// chains lose no digits, as they do in the alternating sum
// sum_{k=1..m} (-1)^(k+1) C(m,k)/(1-(1-p)^k) that it equals.
func (c chain) wait() float64 {
	e := make([]float64, c.links+1)
	for k := c.links - 1; k >= 0; k-- {
		n, sum := c.links-k, 1.0
		for j := 1; j <= n; j++ {
			sum += binomial(n, j, c.p) * e[k+j]
		}
		e[k] = sum / c.some(n)
	}
	return e[0]
}

// kept returns the expectation of decay^(periods waited by all links together)
// when the last link becomes ready: what memories leave of the Werner parameter.
// While k links are ready, a period multiplies by decay^k.
func (c chain) kept() float64 {
	v := make([]float64, c.links+1)
	v[c.links] = 1
	for k := c.links - 1; k >= 0; k-- {
		n, sum, x := c.links-k, 0.0, math.Pow(c.decay, float64(k))
		for j := 1; j <= n; j++ {
			sum += binomial(n, j, c.p) * v[k+j]
		}
		v[k] = x * sum / (1 - x*(1-c.some(n)))
	}
	return v[0]
}

// perPeriod is the expected number of pairs delivered end to end in a period.
func (c chain) perPeriod() float64 { return c.swap / c.wait() }

// qber is the expected error rate of delivered pairs, the same in both bases.
func (c chain) qber() float64 { return (1 - c.w*c.kept()) / 2 }
