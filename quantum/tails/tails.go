// Package tails bounds counts and their means by the multiplicative Chernoff
// bound, as the finite-key analyses of decoy-state protocols need it: for a sum X
// of independent trials of mean m, whatever their single probabilities,
//
//	P(X ≤ x) ≤ exp(-(m - x + x ln(x/m))) for x < m, and the same for X ≥ x > m
//
// (Chernoff 1952; in this form Mitzenmacher and Upfal, Probability and Computing,
// theorems 4.4 and 4.5). The bounds are solved for, not expanded, so they hold for
// small counts as well.
//
// It does not bound sampling without replacement.
package tails

import "math"

// Entropy is the binary entropy in bits; 0 and 1 outside of 0 < x < ½, so that
// an error rate beyond one half is never taken for knowledge.
func Entropy(x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 0.5 || math.IsNaN(x):
		return 1
	}
	return -x*math.Log2(x) - (1-x)*math.Log1p(-x)/math.Ln2
}

// exponent is m - x + x ln(x/m), which is 0 at x = m and rises on both sides.
func exponent(x, m float64) float64 {
	if x <= 0 {
		return m
	}
	return m - x + x*math.Log(x/m)
}

// MeanAbove returns what the mean exceeds with probability at most eps when x was
// counted.
func MeanAbove(x, eps float64) float64 {
	t := math.Log(1 / eps)
	return bisect(x, x+2*t+2*math.Sqrt(x*t)+1, func(m float64) bool { return exponent(x, m) > t })
}

// MeanBelow returns what the mean falls short of with probability at most eps
// when x was counted.
func MeanBelow(x, eps float64) float64 {
	t := math.Log(1 / eps)
	if x <= 0 {
		return 0
	}
	return bisect(x, 0, func(m float64) bool { return m <= 0 || exponent(x, m) > t })
}

// CountAbove returns what a count of mean m exceeds with probability at most eps.
func CountAbove(m, eps float64) float64 {
	t := math.Log(1 / eps)
	if m <= 0 {
		return 0
	}
	return bisect(m, m+2*t+2*math.Sqrt(m*t)+1, func(x float64) bool { return exponent(x, m) > t })
}

// CountBelow returns what a count of mean m falls short of with probability at
// most eps.
func CountBelow(m, eps float64) float64 {
	t := math.Log(1 / eps)
	if m <= t {
		return 0
	}
	return bisect(m, 0, func(x float64) bool { return exponent(x, m) > t })
}

// bisect finds where beyond turns true on the way from in to out, and returns a
// point where it is true, so that the bound is on the safe side.
func bisect(in, out float64, beyond func(float64) bool) float64 {
	for range 100 {
		mid := in + (out-in)/2
		if mid == in || mid == out {
			break
		}
		if beyond(mid) {
			out = mid
		} else {
			in = mid
		}
	}
	return out
}
