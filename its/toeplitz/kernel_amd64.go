//go:build !purego

package toeplitz

import (
	"sync"

	"github.com/klauspost/cpuid/v2"
)

//go:generate go run -modfile=../../tools/go.mod asm.go asm_pass.go asm_map.go asm_words.go asm_basis.go -out kernel_amd64.s -stubs stubs_amd64.go -pkg toeplitz

func available() []kernel {
	if cpuid.CPU.Supports(cpuid.GFNI, cpuid.VPCLMULQDQ, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VBMI, cpuid.AVX2, cpuid.BMI2) {
		return []kernel{gfni, plain}
	}
	return []kernel{plain}
}

// matrix is a map of 16 bytes as bit matrices: number [p][h][i] leads from byte p
// to byte 8h+i, its rows from the highest bit of the result to the lowest.
type matrix [16][2]row

var matrices = sync.OnceValues(func() (toPoly, toTower *matrix) {
	t := theTower()
	return makeMatrix(&t.toPoly), makeMatrix(&t.toTower)
})

func makeMatrix(columns *[128]elem) *matrix {
	m := new(matrix)
	for in, c := range columns {
		for out := range 128 {
			m[in/8][out/64][out/8%8] |= c.bit(out) << (8*(7-out%8) + in%8)
		}
	}
	return m
}

// pass4 does two layers of butterflies on blocks of four parts, the first at row
// at; parts are stride rows apart and q rows long, and block i's factors are
// twA[i] and twB[2i].
func (k kernel) pass4(rows []row, at, stride, q, blocks, kind int, twA, twB []pattern, c *constants, up bool) {
	if k == plain {
		pass4Plain(rows, at, stride, q, blocks, kind, twA, twB, c, up)
		return
	}
	a, b := &twA[:blocks][0][0], &twB[:2*blocks-1][0][0]
	p, bytes, w := &rows[at][0], stride*64, &c.laneA[0][0]
	_ = rows[min(at, at+3*stride)+4*q*blocks-1]
	switch {
	case up && kind == 1:
		up4x1(p, bytes, q, blocks, a, b, w)
	case up && kind == 2:
		up4x2(p, bytes, q, blocks, a, b, w)
	case up:
		up4x4(p, bytes, q, blocks, a, b, w)
	case kind == 1:
		down4x1(p, bytes, q, blocks, a, b, w)
	case kind == 2:
		down4x2(p, bytes, q, blocks, a, b, w)
	default:
		down4x4(p, bytes, q, blocks, a, b, w)
	}
}

// pass2 does one layer on one block of two parts, whose factor is the lanes'.
func (k kernel) pass2(rows []row, at, stride, q int, c *constants, up bool) {
	switch {
	case k == plain:
		pass2Plain(rows, at, stride, q, c, up)
	case up:
		up2(&rows[at][0], stride*64, q, &c.laneA[0][0])
	default:
		down2(&rows[at][0], stride*64, q, &c.laneA[0][0])
	}
}

// encode writes chunks, four for each row, as elements of the tower, and does the
// two layers within rows.
func (k kernel) encode(rows []row, chunks []uint64, c *laneConstants) {
	if k == plain {
		encodePlain(rows, chunks, c)
		return
	}
	_, toTower := matrices()
	encodeGFNI(&rows[0][0], len(rows)/2, &chunks[:4*len(rows)][0], 8*len(rows), &toTower[0][0][0], &c.index[0][0])
}

// toPoly turns elements of the tower into coefficients.
func (k kernel) toPoly(rows []row) {
	if k == plain {
		toPolyPlain(rows)
		return
	}
	toPoly, _ := matrices()
	toPolyGFNI(&rows[0][0], len(rows)/2, &toPoly[0][0][0])
}

// multiply multiplies elements of the tower by elements given by coefficients.
func (k kernel) multiply(rows, by []row) {
	if k == plain {
		multiplyPlain(rows, by)
		return
	}
	toPoly, toTower := matrices()
	multiplyGFNI(&rows[0][0], &by[:len(rows)][0][0], len(rows)/2, &toPoly[0][0][0], &toTower[0][0][0])
}

// decode does the two layers within rows, which it spoils, and writes the
// coefficients of their elements.
func (k kernel) decode(lo, hi []uint64, rows []row, c *laneConstants) {
	if k == plain {
		decodePlain(lo, hi, rows, c)
		return
	}
	toPoly, _ := matrices()
	n := 4 * len(rows)
	decodeGFNI(&lo[:n][0], &hi[:n][0], 8*len(rows), &rows[0][0], len(rows)/2, &toPoly[0][0][0], &c.index[0][0])
}

// xor adds src to dst, which are equally long.
func (k kernel) xor(dst, src []uint64) {
	if k == plain || len(dst) < 8 {
		xorPlain(dst, src)
		return
	}
	xorGFNI(&dst[0], &src[:len(dst)][0], len(dst))
}

// dot returns the sum of the products of words, over the length of a.
func (k kernel) dot(a, b []uint64) (sum elem) {
	if k == plain || len(a) == 0 {
		return dotPlain(a, b)
	}
	dotGFNI(&sum.lo, &a[0], &b[:len(a)][0], len(a))
	return sum
}

// convert16 converts polynomials of 16 coefficients of width words; false where
// the kernel has no way of its own.
func (k kernel) convert16(f []uint64, width int, up, swap bool) bool {
	if k == plain || width%8 != 0 {
		return false
	}
	do := [2][2]func(f *uint64, stride, step, n int){{convert16, convert16Swap}, {unconvert16, unconvert16Swap}}
	i, j := 0, 0
	if up {
		i = 1
	}
	if swap {
		j = 1
	}
	do[i][j](&f[:16*width][0], 8*width, 64, width/8)
	return true
}

// turn brings eight polynomials of 256 coefficients, one after another, into an
// order in which the same coefficients of all of them lie together, or back.
func (k kernel) turn(dst, src []uint64, back bool) {
	d, s := &dst[:turned][0], &src[:turned][0]
	if back {
		turnGFNI(d, turned, 64, s, 64, 512, turned/64)
		return
	}
	turnGFNI(d, 64, 512, s, turned, 64, turned/64)
}
