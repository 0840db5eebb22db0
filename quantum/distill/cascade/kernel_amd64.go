//go:build !purego

package cascade

import "github.com/klauspost/cpuid/v2"

//go:generate go run -modfile=../../../tools/go.mod asm.go -out kernel_amd64.s -stubs stubs_amd64.go -pkg cascade

var vector = cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VBMI, cpuid.GFNI)

// transpose turns 64 words of 64 strands' bits into a word for each strand.
func transpose(m *[64]uint64) {
	if vector {
		transposeGFNI(m)
	} else {
		transposePlain(m)
	}
}
