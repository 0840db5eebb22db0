package ldpc

import "math"

// largest bounds the product of hyperbolic tangents: 1 - 2^-24, beyond which
// float32 knows only 1. Messages stay below 17.4.
const largest = 1 - 1.0/(1<<24)

// tanhHalf returns tanh(x/2) = (1-e)/(1+e), e = exp(-|x|).
func tanhHalf(x float32) float32 {
	b := math.Float32bits(x)
	e := expNeg(math.Float32frombits(b &^ (1 << 31)))
	t := (1 - e) / (1 + e)
	return math.Float32frombits(math.Float32bits(t) | b&(1<<31))
}

// twoAtanh returns 2 atanh(p) = ln (1+p)/(1-p), |p| ≤ 1.
func twoAtanh(p float32) float32 {
	b := math.Float32bits(p)
	a := min(math.Float32frombits(b&^(1<<31)), largest)
	y := logAbove1((1 + a) / (1 - a))
	return math.Float32frombits(math.Float32bits(y) | b&(1<<31))
}

// expNeg returns exp(-x), x ≥ 0, to a few parts in ten million: 2^k times a polynomial on
// [-1/2, 1/2].
func expNeg(x float32) float32 {
	y := x * -math.Log2E
	if y < -60 {
		return 0
	}
	k := int32(y - 0.5) // the nearest, since y ≤ 0
	f := y - float32(k)
	p := 1 + f*(0.69314718+f*(0.24022651+f*(0.055504109+f*(0.0096181291+f*(0.0013333558+f*0.00015403530)))))
	return p * math.Float32frombits(uint32(127+k)<<23)
}

// logAbove1 returns ln x, x ≥ 1: the exponent and, of the mantissa over sqrt 2,
// the series of 2 atanh((m-1)/(m+1)).
func logAbove1(x float32) float32 {
	b := math.Float32bits(x) + (0x3f800000 - 0x3f3504f3)
	k := int32(b>>23) - 127
	m := math.Float32frombits(b&0x7fffff + 0x3f3504f3)
	s := (m - 1) / (m + 1)
	s2 := s * s
	return float32(k)*math.Ln2 + s*(2+s2*(0.66666667+s2*(0.4+s2*0.28571429)))
}
