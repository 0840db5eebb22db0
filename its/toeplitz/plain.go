package toeplitz

import "github.com/quantum-secure-cloud/qsc/its/gf128"

// The plain kernel: no table and no branch depends on data, so its time does
// not either, where the 64-bit integer multiply takes constant time.

const lowBits = 0x0101010101010101

// mulPlain multiplies in GF(2^128).
func mulPlain(a, b elem) (c elem) {
	c.hi, c.lo = gf128.Mul(a.hi, a.lo, b.hi, b.lo)
	return c
}

// applyPlain returns the sum of the columns at x's bits.
func applyPlain(columns *[128]elem, x elem) (y elem) {
	for i := range 64 {
		m, w := -(x.lo >> i & 1), -(x.hi >> i & 1)
		c, d := &columns[i], &columns[64+i]
		y.lo ^= c.lo&m ^ d.lo&w
		y.hi ^= c.hi&m ^ d.hi&w
	}
	return y
}

// factor is a row's factor made ready: for each lane and each bit of a byte, that
// bit's multiples by the words of the pattern, eight bytes at a time. The words
// are flipped, so that products are flipped and not the data.
type factor [4][8][4]uint64

func (f *factor) set(kind int, p pattern, c *[4]row) {
	for r := range kind {
		for lane := range 4 {
			w := flip((uint64(p[r])<<32|uint64(p[r]))^c[r][2*lane], r)
			for b := range 8 {
				f[lane][b][r] = w
				w = w<<1&^lowBits ^ (w>>7&lowBits)*0x1b
			}
		}
	}
}

// addTo adds x times the factor to y.
func (f *factor) addTo(kind int, y, x *row) {
	for i, w := range x {
		g := &f[i/2]
		switch kind {
		case 1:
			y[i] ^= times1(g, w)
		case 2:
			y[i] ^= times2(g, w)
		default:
			y[i] ^= times4(g, w)
		}
	}
}

func times1(f *[8][4]uint64, w uint64) (a uint64) {
	for b := range f {
		a ^= (w & lowBits) * 0xff & f[b][0]
		w >>= 1
	}
	return a
}

func times2(f *[8][4]uint64, w uint64) uint64 {
	var a0, a1 uint64
	for b := range f {
		m := (w & lowBits) * 0xff
		w >>= 1
		a0 ^= m & f[b][0]
		a1 ^= m & f[b][1]
	}
	return a0 ^ flip(a1, 1)
}

func times4(f *[8][4]uint64, w uint64) uint64 {
	var a [4]uint64
	for b := range f {
		m := (w & lowBits) * 0xff
		w >>= 1
		a[0] ^= m & f[b][0]
		a[1] ^= m & f[b][1]
		a[2] ^= m & f[b][2]
		a[3] ^= m & f[b][3]
	}
	return a[0] ^ flip(a[1], 1) ^ flip(a[2]^flip(a[3], 1), 2)
}

// flip changes the numbers of the bytes in each word of four by r.
func flip(w uint64, r int) uint64 {
	if r&1 != 0 {
		w = w>>8&0x00ff00ff00ff00ff | w<<8&0xff00ff00ff00ff00
	}
	if r&2 != 0 {
		w = w>>16&0x0000ffff0000ffff | w<<16&0xffff0000ffff0000
	}
	return w
}

func (y *row) add(x *row) {
	for i := range y {
		y[i] ^= x[i]
	}
}

// pass4Plain does two layers of butterflies; see kernel.pass4.
func pass4Plain(rows []row, at, stride, q, blocks, kind int, twA, twB []pattern, c *constants, up bool) {
	var a, b, b1 factor
	one := c.laneB
	for i := range one[0] {
		one[0][i] ^= c.v1[i]
	}
	step := 4 * max(stride, -stride)
	for n := range blocks {
		a.set(kind, twA[n], &c.laneA)
		b.set(kind, twB[2*n], &c.laneB)
		b1.set(kind, twB[2*n], &one)
		for i := at + n*step; i < at+n*step+q; i++ {
			x0, x1, x2, x3 := &rows[i], &rows[i+stride], &rows[i+2*stride], &rows[i+3*stride]
			if up {
				x0.add(x1)
				b.addTo(kind, x1, x0)
				x2.add(x3)
				b1.addTo(kind, x3, x2)
				x0.add(x2)
				a.addTo(kind, x2, x0)
				x1.add(x3)
				a.addTo(kind, x3, x1)
				continue
			}
			a.addTo(kind, x0, x2)
			x2.add(x0)
			a.addTo(kind, x1, x3)
			x3.add(x1)
			b.addTo(kind, x0, x1)
			x1.add(x0)
			b1.addTo(kind, x2, x3)
			x3.add(x2)
		}
	}
}

// pass2Plain does one layer of butterflies on one block.
func pass2Plain(rows []row, at, stride, q int, c *constants, up bool) {
	var a factor
	a.set(1, pattern{}, &c.laneA)
	for i := at; i < at+q; i++ {
		x, y := &rows[i], &rows[i+stride]
		if up {
			x.add(y)
			a.addTo(1, y, x)
			continue
		}
		a.addTo(1, x, y)
		y.add(x)
	}
}

// lanesPlain does the two layers within rows.
func lanesPlain(rows []row, c *laneConstants) {
	var f [4]factor
	for i := range f {
		f[i].set(1, pattern{}, &[4]row{c.factor[i]})
	}
	for i := range rows {
		x := &rows[i]
		for s := range 4 {
			var y row
			for j := range y {
				y[j] = x[c.index[s/2][j]&7]
			}
			f[s].addTo(1, x, &y)
		}
	}
}

func encodePlain(rows []row, chunks []uint64, c *laneConstants) {
	t := theTower()
	for r := range rows {
		for lane := range 4 {
			e := applyPlain(&t.toTower, elem{lo: chunks[lane*len(rows)+r]})
			rows[r][2*lane], rows[r][2*lane+1] = e.lo, e.hi
		}
	}
	lanesPlain(rows, c)
}

func toPolyPlain(rows []row) {
	t := theTower()
	for r := range rows {
		for i := 0; i < 8; i += 2 {
			e := applyPlain(&t.toPoly, elem{rows[r][i], rows[r][i+1]})
			rows[r][i], rows[r][i+1] = e.lo, e.hi
		}
	}
}

func multiplyPlain(rows, by []row) {
	t := theTower()
	for r := range rows {
		for i := 0; i < 8; i += 2 {
			e := mulPlain(applyPlain(&t.toPoly, elem{rows[r][i], rows[r][i+1]}), elem{by[r][i], by[r][i+1]})
			e = applyPlain(&t.toTower, e)
			rows[r][i], rows[r][i+1] = e.lo, e.hi
		}
	}
}

func decodePlain(lo, hi []uint64, rows []row, c *laneConstants) {
	lanesPlain(rows, c)
	t := theTower()
	for r := range rows {
		for lane := range 4 {
			e := applyPlain(&t.toPoly, elem{rows[r][2*lane], rows[r][2*lane+1]})
			lo[lane*len(rows)+r], hi[lane*len(rows)+r] = e.lo, e.hi
		}
	}
}

func xorPlain(dst, src []uint64) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] ^= src[i]
	}
}

// dotPlain returns the sum of the products of a's and b's words.
func dotPlain(a, b []uint64) (sum elem) {
	for i := range a {
		hi, lo := gf128.Mul64(a[i], b[i])
		sum = sum.xor(elem{lo, hi})
	}
	return sum
}
