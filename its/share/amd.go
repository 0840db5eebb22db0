package share

import (
	"crypto/subtle"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

const amdBlock = 16

// amdMark ends the message inside its padded blocks; zeros follow it.
const amdMark = 0x80

// EncodeAMD encodes msg so that, once the code is shared linearly, whoever
// alters up to k-1 shares is detected by DecodeAMD without any key (Cramer,
// Dodis, Fehr, Padró, Wichs, EUROCRYPT 2008). r is 16 fresh uniform bytes, used
// for this code alone and shared with it. The code is a new slice of
// AMDSize(len(msg)) bytes:
//
//	s_1 … s_d | r | r^(d+2) + Σ s_i·r^i     over GF(2^128)
//
// where s is msg, a byte 0x80, and zeros up to an odd number d of 16-byte
// blocks. Whatever is added to the code without knowledge of r passes with
// probability at most (d+1)/2^128. The code hides nothing by itself: it is
// meant to be split.
func EncodeAMD(msg []byte, r [16]byte) []byte {
	code := make([]byte, AMDSize(len(msg)))
	s := code[:len(code)-2*amdBlock]
	copy(s, msg)
	s[len(msg)] = amdMark
	copy(code[len(s):], r[:])
	tag := amdTag(s, r)
	copy(code[len(s)+amdBlock:], tag[:])
	return code
}

// AMDSize returns the size of the code of a message of n bytes: at least 33
// and at most 64 bytes more.
func AMDSize(n int) int {
	d := n/amdBlock + 1
	d += 1 - d%2
	return (d + 2) * amdBlock
}

// DecodeAMD returns the message inside code, a view into it. A code of
// impossible length, with a wrong check or with a wrong end mark is Kind
// Tampered.
func DecodeAMD(code []byte) ([]byte, error) {
	const op = "share.DecodeAMD"
	d := len(code)/amdBlock - 2
	if len(code)%amdBlock != 0 || d < 1 || d%2 == 0 {
		return nil, qsc.E(op, qsc.Tampered, "", "%d bytes cannot be an AMD code: try another set of shares", len(code))
	}
	s := code[:d*amdBlock]
	r, tag := [16]byte(code[len(s):]), code[len(s)+amdBlock:]
	want := amdTag(s, r)
	if subtle.ConstantTimeCompare(want[:], tag) != 1 {
		return nil, qsc.E(op, qsc.Tampered, "", "a share of this record was altered: try another set of shares")
	}
	end := amdEnd(s)
	if end < 0 {
		return nil, qsc.E(op, qsc.Tampered, "", "the record has no end mark: it was not made by this encoding")
	}
	return s[:end:end], nil
}

// amdEnd returns where the end mark lies, or -1 when it is not where
// EncodeAMD would have put it: the padding is of the least possible length.
func amdEnd(s []byte) int {
	end := len(s) - 1
	for end >= 0 && s[end] == 0 {
		end--
	}
	if end < 0 || s[end] != amdMark || AMDSize(end) != len(s)+2*amdBlock {
		return -1
	}
	return end
}

// amdTag is r^(d+2) + Σ s_i·r^i for i from 1 to d, by Horner's rule. That d+2
// is odd makes its difference under a change of r a polynomial of degree d+1.
func amdTag(s []byte, r [16]byte) [16]byte {
	acc := r
	for i := len(s) - amdBlock; i >= 0; i -= amdBlock {
		acc = uhash.Mul(acc, r)
		subtle.XORBytes(acc[:], acc[:], s[i:i+amdBlock])
	}
	return uhash.Mul(acc, r)
}
