package testkit

import "testing"

// What is not oblivious is seen, and what kernels need passes.
func TestLeaks(t *testing.T) {
	for line, leaky := range map[string]bool{
		"MOVQ dst+0(FP), AX": false, "MOVQ $0xff, R8": false, "LEAQ 8(CX)(DX*2), R9": false, "DECQ R10": false, "JNZ block": false,
		"VMOVDQU64 (AX)(CX*1), K1, Z0": false, "VPXORQ Z0, Z1, Z2": false, "VMOVDQU64 Z2, 64(AX)": false, "KMOVW R8, K1": false, "VMOVQ DI, X14": false,
		"MOVQ (AX), BX": true, "MOVBQZX 3(AX), BX": true, "MOVQ X0, BX": true, "VMOVQ X0, BX": true, "VPEXTRQ $0x01, X0, R8": true,
		"VPMOVMSKB Y0, CX": true, "VPCMPEQB Z0, Z1, K1": true, "VPTEST Y0, Y1": true, "KMOVW (AX), K1": true, "KORTESTW K1, K1": true,
		"CMPQ (AX), BX": true, "ADDQ 8(AX), BX": true, "VPGATHERQQ (AX)(Z1*8), K1, Z0": true, "POPCNTQ AX, BX": true,
		"JMP": true,
	} {
		if why := leaks(line); (why != "") != leaky {
			t.Errorf("%s: %q", line, why)
		}
	}
}
