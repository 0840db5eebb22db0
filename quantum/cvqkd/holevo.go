package cvqkd

import "math"

// point is a state of the link as the closed forms take it.
type point struct {
	v          float64 // V = V_A + 1
	t, xi      float64 // of the channel
	eta, vel   float64 // of a detector that the eavesdropper does not hold
	heterodyne bool
}

// at puts the device into a channel. A detector that is not trusted becomes part
// of the channel: its efficiency of T, its noise of xi.
func (d Device) at(t, xi float64) point {
	if d.Trusted {
		return point{d.VA + 1, t, xi, d.Eta, d.Vel, d.Heterodyne}
	}
	q := float64(d.quadratures())
	return point{d.VA + 1, t * d.Eta, xi + q*d.Vel/(d.Eta*t), 1, 0, d.Heterodyne}
}

// chiDetector is the noise that the detector adds, referred to its input.
func (p point) chiDetector() float64 {
	if p.heterodyne {
		return (2 - p.eta + 2*p.vel) / p.eta
	}
	return (1 - p.eta + p.vel) / p.eta
}

// chiLine is the noise that the channel adds, referred to its input.
func (p point) chiLine() float64 { return 1/p.t - 1 + p.xi }

// mutual is I_AB in bits for each symbol.
func (p point) mutual() float64 {
	noise := p.chiLine() + p.chiDetector()/p.t
	i := math.Log1p((p.v-1)/(1+noise)) / (2 * math.Ln2)
	if p.heterodyne {
		return 2 * i
	}
	return i
}

// thermal is G((l-1)/2): the entropy in bits of a mode whose symplectic
// eigenvalue is l.
func thermal(l float64) float64 {
	x := (l - 1) / 2
	if !(x > 0) {
		return 0 // the vacuum, or rounding below it
	}
	return (x+1)*math.Log1p(x)/math.Ln2 - x*math.Log2(x)
}

// holevo is chi_BE in bits for each symbol: what a collective attack learns of
// the receiver's values (Lodewyck et al., PRA 76 042305; Fossier et al., J. Phys.
// B 42 114014).
func (p point) holevo() float64 {
	line := p.chiLine()
	// The covariance matrix before the detector: a, b on the diagonal, c² beside.
	a, b, c2 := p.v, p.t*(p.v+line), p.t*(p.v*p.v-1)
	// l12 from ½(A ± sqrt(A² - 4B)) with A = a²+b²-2c² and B = (ab-c²)², written
	// so that nothing cancels.
	root := math.Sqrt((a+b)*(a+b) - 4*c2)
	l1, l2 := (root+b-a)/2, (root-b+a)/2
	bigA, sqrtB := a*a+b*b-2*c2, p.t*(p.v*line+1)
	bigC, bigD := p.conditional(bigA, sqrtB)
	l3 := math.Sqrt((bigC + math.Sqrt(max(bigC*bigC-4*bigD, 0))) / 2)
	l4 := math.Sqrt(bigD) / l3
	return thermal(l1) + thermal(l2) - thermal(l3) - thermal(l4)
}

// conditional returns C and D, which give the spectrum of what is left once the
// receiver's value is known.
func (p point) conditional(bigA, sqrtB float64) (bigC, bigD float64) {
	line, chi := p.chiLine(), p.chiDetector()
	sum := p.t * (p.v + line + chi/p.t)
	if !p.heterodyne {
		bigC = (bigA*chi + p.v*sqrtB + p.t*(p.v+line)) / sum
		return bigC, sqrtB * (p.v + sqrtB*chi) / sum
	}
	bigC = bigA*chi*chi + sqrtB*sqrtB + 1 + 2*chi*(p.v*sqrtB+p.t*(p.v+line)) + 2*p.t*(p.v*p.v-1)
	d := (p.v + sqrtB*chi) / sum
	return bigC / (sum * sum), d * d
}

// asymptotic is K = beta I - chi_BE in bits for each symbol; negative where there
// is no key.
func (d Device) asymptotic(t, xi float64) float64 {
	p := d.at(t, xi)
	return d.Beta*p.mutual() - p.holevo()
}
