package ldpc

import "math"

// The plain kernels: what the vector kernels do, element by element.

// takeOffPlain adds the signs of in to bad and makes in tanh of half of in-m.
func takeOffPlain(in, m []float32, bad []uint32) {
	m, bad = m[:len(in)], bad[:len(in)]
	for j, l := range in {
		bad[j] ^= math.Float32bits(l)
		in[j] = tanhHalf(l - m[j])
	}
}

// giveBackPlain makes m twice atanh of p acc, takes t into acc and leaves m's
// change in t.
func giveBackPlain(t, p, acc, m []float32) {
	p, acc, m = p[:len(t)], acc[:len(t)], m[:len(t)]
	for j := range t {
		v := twoAtanh(p[j] * acc[j])
		acc[j] *= t[j]
		t[j] = v - m[j]
		m[j] = v
	}
}

func multiplyPlain(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for j := range dst {
		dst[j] = a[j] * b[j]
	}
}

func addToPlain(dst, a []float32) {
	a = a[:len(dst)]
	for j := range dst {
		dst[j] += a[j]
	}
}
