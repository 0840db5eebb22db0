//go:build !amd64 || purego

package toeplitz

func available() []kernel { return []kernel{plain} }

// pass4 does two layers of butterflies on blocks of four parts, the first at row
// at; parts are stride rows apart and q rows long, and block i's factors are
// twA[i] and twB[2i].
func (kernel) pass4(rows []row, at, stride, q, blocks, kind int, twA, twB []pattern, c *constants, up bool) {
	pass4Plain(rows, at, stride, q, blocks, kind, twA, twB, c, up)
}

// pass2 does one layer on one block of two parts, whose factor is the lanes'.
func (kernel) pass2(rows []row, at, stride, q int, c *constants, up bool) {
	pass2Plain(rows, at, stride, q, c, up)
}

// encode writes chunks, four for each row, as elements of the tower, and does the
// two layers within rows.
func (kernel) encode(rows []row, chunks []uint64, c *laneConstants) { encodePlain(rows, chunks, c) }

// toPoly turns elements of the tower into coefficients.
func (kernel) toPoly(rows []row) { toPolyPlain(rows) }

// multiply multiplies elements of the tower by elements given by coefficients.
func (kernel) multiply(rows, by []row) { multiplyPlain(rows, by) }

// decode does the two layers within rows, which it spoils, and writes the
// coefficients of their elements.
func (kernel) decode(lo, hi []uint64, rows []row, c *laneConstants) { decodePlain(lo, hi, rows, c) }

// xor adds src to dst, which are equally long.
func (kernel) xor(dst, src []uint64) { xorPlain(dst, src) }

// dot returns the sum of the products of words, over the length of a.
func (kernel) dot(a, b []uint64) elem { return dotPlain(a, b) }

// convert16 has nothing to add to the conversion in small steps.
func (kernel) convert16([]uint64, int, bool, bool) bool { return false }

// turn is for kernels that work on eight words at once.
func (kernel) turn(dst, src []uint64, _ bool) { panic("toeplitz: the plain kernel turns nothing") }
