//go:build !purego

package gf

import "github.com/klauspost/cpuid/v2"

//go:generate go run -modfile=../../tools/go.mod asm.go asm_gfni.go asm_avx2.go -out bulk_amd64.s -stubs bulk_amd64.go -pkg gf

// native returns the assembly kernels that processor and operating system
// support, fastest first.
func native() []kernel {
	var have []kernel
	if cpuid.CPU.Supports(cpuid.GFNI, cpuid.AVX512F, cpuid.AVX512BW, cpuid.BMI2) {
		have = append(have, gfni)
	}
	if cpuid.CPU.Supports(cpuid.AVX2) {
		have = append(have, avx2)
	}
	return have
}

// nibbles holds, for each public factor c, the products of c with the sixteen
// low and the sixteen high nibbles. The AVX2 kernel loads one row per factor
// into registers, so that data bytes never become addresses.
var nibbles = nibbleTables()

func nibbleTables() (t [256][32]byte) {
	var elements, zero [32]byte
	for i := range 16 {
		elements[i], elements[16+i] = byte(i), byte(i)<<4
	}
	for c := range t {
		mulAdd(t[c][:], elements[:], zero[:], byte(c))
	}
	return t
}

// split runs kernel kn over the byte positions from off up to end.
func split(kn kernel, dst [][]byte, points []byte, secret, coeff []byte, k, off, end int) {
	switch {
	case kn == gfni && k == 2 && len(points) == 3:
		splitGFNI2of3(&dst[0][off], &dst[1][off], &dst[2][off], &secret[off], &coeff[off], &points[0], end-off)
	case kn == gfni:
		splitGFNI(dst, points, secret, coeff, k, off, end)
	case kn == avx2 && end-off >= 32:
		whole := off + (end-off)&^31
		splitAVX2(dst, points, secret, coeff, k, off, whole)
		splitPlain(dst, points, secret, coeff, k, whole, end)
	default:
		splitPlain(dst, points, secret, coeff, k, off, end)
	}
}

// combine runs kernel kn over the byte positions from off up to end.
func combine(kn kernel, dst, weights []byte, src [][]byte, off, end int) {
	switch {
	case kn == gfni:
		combineGFNI(dst, weights, src, off, end)
	case kn == avx2 && end-off >= 32:
		whole := off + (end-off)&^31
		combineAVX2(dst, weights, src, off, whole)
		combinePlain(dst, weights, src, whole, end)
	default:
		combinePlain(dst, weights, src, off, end)
	}
}

// splitGFNI computes up to eight shares in one pass over the input.
func splitGFNI(dst [][]byte, points []byte, secret, coeff []byte, k, off, end int) {
	s, a, stride := &secret[0], &coeff[0], len(secret)
	for len(points) > 0 {
		n := min(len(points), 8)
		d, x := &dst[0], &points[0]
		switch n {
		case 1:
			splitGFNI1(d, x, s, a, stride, k, off, end)
		case 2:
			splitGFNI2(d, x, s, a, stride, k, off, end)
		case 3:
			splitGFNI3(d, x, s, a, stride, k, off, end)
		case 4:
			splitGFNI4(d, x, s, a, stride, k, off, end)
		case 5:
			splitGFNI5(d, x, s, a, stride, k, off, end)
		case 6:
			splitGFNI6(d, x, s, a, stride, k, off, end)
		case 7:
			splitGFNI7(d, x, s, a, stride, k, off, end)
		case 8:
			splitGFNI8(d, x, s, a, stride, k, off, end)
		}
		dst, points = dst[n:], points[n:]
	}
}

// splitAVX2 computes up to four shares in one pass over the input; end-off is
// a multiple of 32.
func splitAVX2(dst [][]byte, points []byte, secret, coeff []byte, k, off, end int) {
	s, a, stride := &secret[0], &coeff[0], len(secret)
	for len(points) > 0 {
		n := min(len(points), 4)
		d, x := &dst[0], &points[0]
		switch n {
		case 1:
			splitAVX2x1(&nibbles, d, x, s, a, stride, k, off, end)
		case 2:
			splitAVX2x2(&nibbles, d, x, s, a, stride, k, off, end)
		case 3:
			splitAVX2x3(&nibbles, d, x, s, a, stride, k, off, end)
		case 4:
			splitAVX2x4(&nibbles, d, x, s, a, stride, k, off, end)
		}
		dst, points = dst[n:], points[n:]
	}
}

func combineGFNI(dst, weights []byte, src [][]byte, off, end int) {
	d, w := &dst[off], &weights[0]
	switch len(src) {
	case 2:
		combineGFNI2(d, w, &src[0][off], &src[1][off], end-off)
	case 3:
		combineGFNI3(d, w, &src[0][off], &src[1][off], &src[2][off], end-off)
	default:
		combineGFNIAny(&dst[0], w, &src[0], len(src), off, end)
	}
}

func combineAVX2(dst, weights []byte, src [][]byte, off, end int) {
	d, w := &dst[off], &weights[0]
	switch len(src) {
	case 2:
		combineAVX2x2(&nibbles, d, w, &src[0][off], &src[1][off], end-off)
	case 3:
		combineAVX2x3(&nibbles, d, w, &src[0][off], &src[1][off], &src[2][off], end-off)
	default:
		combineAVX2Any(&nibbles, &dst[0], w, &src[0], len(src), off, end)
	}
}
