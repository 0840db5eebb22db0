//go:build !purego

package uhash

import "github.com/klauspost/cpuid/v2"

//go:generate go run -modfile=../../tools/go.mod asm.go -out kernel_amd64.s -stubs stubs_amd64.go -pkg uhash

// clmulPow is the number of powers the 128-bit kernel uses: more gain nothing.
const clmulPow = 8

func available() []kernel {
	var ks []kernel
	if cpuid.CPU.Supports(cpuid.VPCLMULQDQ, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX2, cpuid.BMI2) {
		ks = append(ks, vpclmul)
	}
	if cpuid.CPU.Supports(cpuid.CLMUL, cpuid.AVX) {
		ks = append(ks, clmul)
	}
	return append(ks, plain)
}

func mul(a, b elem) (c elem) {
	if choice.Active() == plain {
		return mulPlain(a, b)
	}
	mulEachCLMUL(&c.lo, &a.lo, &b.lo, 1)
	return c
}

// expand prepares k for messages of n bytes and returns the number of powers
// made. Each step doubles them: r^(m+1)..r^2m are r..r^m times r^m.
func expand(k *Key, n int) int {
	kern := choice.Active()
	want := wanted(kern, n)
	m := 1
	for ; m < want; m *= 2 {
		from := &k.pow[maxPow-m].lo
		if kern == vpclmul {
			mulEachVPCLMUL(&k.pow[maxPow-2*m].lo, from, from, m)
		} else {
			mulEachCLMUL(&k.pow[maxPow-2*m].lo, from, from, m)
		}
	}
	return m
}

// wanted returns how many powers pay for themselves in messages of n bytes.
func wanted(kern kernel, n int) int {
	switch {
	case kern == plain:
		return 1
	case n <= 4*Size:
		return 4
	case kern == clmul:
		return clmulPow
	case n <= 32*Size:
		return 8
	case n < 4*maxPow*Size:
		return 16
	default:
		return maxPow
	}
}

// blocks takes the blocks of p, a multiple of 16 bytes, into h. Every kernel
// works with any number of powers.
func blocks(k *Key, h *elem, p []byte) {
	if len(p) < Size {
		return
	}
	switch choice.Active() {
	case vpclmul:
		blocksVPCLMUL(&h.lo, &k.pow[0].lo, k.n, &p[0], len(p)/Size)
	case clmul:
		blocksCLMUL(&h.lo, &k.pow[0].lo, min(k.n, clmulPow), &p[0], len(p)/Size)
	default:
		blocksPlain(k, h, p)
	}
}
