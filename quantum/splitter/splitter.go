// Package splitter is a beam splitter on which weak light of two ends meets before
// two detectors that tell light from none: the optics that the stations of
// twin-field and MDI links share.
//
// It draws nothing and knows no protocol. Both detectors have the same dark counts;
// losses are the caller's, who gives photons as they would be counted.
package splitter

import "math"

// Only is the probability that the detector that gets a photons on average clicks,
// and the one that gets b does not; p is the probability of a dark count of each.
func Only(a, b, p float64) float64 {
	return (p - (1-p)*math.Expm1(-a)) * (1 - p) * math.Exp(-b)
}

// One is the probability that exactly one detector clicks when a and b photons
// arrive from the two ends with random phases:
//
//	2(1-p) e^(-(a+b)/2) [ I0(√(ab)) - (1-p) e^(-(a+b)/2) ]
//
// arranged so that small probabilities keep their digits.
func One(a, b, p float64) float64 {
	half := (a + b) / 2
	return 2 * (1 - p) * math.Exp(-half) * (BesselLess1(math.Sqrt(a*b)) + p - (1-p)*math.Expm1(-half))
}

// BesselLess1 is I0(x) - 1, of the modified Bessel function, by its power series.
func BesselLess1(x float64) (sum float64) {
	q, term := x*x/4, 1.0
	for k := 1.0; k < 500; k++ {
		term *= q / (k * k)
		sum += term
		if term <= sum*1e-17 {
			break
		}
	}
	return sum
}
