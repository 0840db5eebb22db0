//go:build !purego

package ldpc

import "github.com/klauspost/cpuid/v2"

//go:generate go run -modfile=../../../tools/go.mod asm.go -out kernel_amd64.s -stubs stubs_amd64.go -pkg ldpc

var vector = cpuid.CPU.Supports(cpuid.AVX, cpuid.AVX2)

// whole is how many of n elements the vector kernels take: all but less than 8.
func whole(n int) int {
	if !vector {
		return 0
	}
	return n &^ 7
}

func takeOff(in, m []float32, bad []uint32) {
	m, bad = m[:len(in)], bad[:len(in)]
	n := whole(len(in))
	if n > 0 {
		takeOff8(&in[0], &m[0], &bad[0], n)
	}
	takeOffPlain(in[n:], m[n:], bad[n:])
}

func giveBack(t, p, acc, m []float32) {
	p, acc, m = p[:len(t)], acc[:len(t)], m[:len(t)]
	n := whole(len(t))
	if n > 0 {
		giveBack8(&t[0], &p[0], &acc[0], &m[0], n)
	}
	giveBackPlain(t[n:], p[n:], acc[n:], m[n:])
}

func multiply(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		multiply8(&dst[0], &a[0], &b[0], n)
	}
	multiplyPlain(dst[n:], a[n:], b[n:])
}

func addTo(dst, a []float32) {
	a = a[:len(dst)]
	n := whole(len(dst))
	if n > 0 {
		addTo8(&dst[0], &a[0], n)
	}
	addToPlain(dst[n:], a[n:])
}
