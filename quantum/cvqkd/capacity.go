package cvqkd

import "math"

// binaryCapacity is what one bit carries over a Gaussian channel, in bits, sent
// as ±1 with a signal-to-noise ratio snr.
func binaryCapacity(snr float64) float64 {
	const step, edge = 0.1, 8.0
	lost, root := 0.0, math.Sqrt(snr)
	for z := -edge; z <= edge; z += step {
		lost += math.Exp(-z*z/2) * math.Log1p(math.Exp(-2*snr-2*root*z))
	}
	return 1 - lost*step/math.Sqrt(2*math.Pi)/math.Ln2
}

// ceiling is what one bit of eight-dimensional reconciliation carries at most at
// a signal-to-noise ratio: the binary capacity averaged over the length of the
// receiver's vector, whose square is a chi-square of 8 degrees of freedom.
func ceiling(snr float64) float64 {
	const step, edge = 0.1, 40.0
	sum := 0.0
	for u := step / 2; u < edge; u += step { // u = χ²/2 has the density u³e^-u/3!
		sum += u * u * u * math.Exp(-u) / 6 * binaryCapacity(snr*u/4)
	}
	return sum * step
}
