package gf

import (
	"encoding/binary"
	"math/bits"
)

// Eight field elements in one word, in the order of memory on little-endian
// machines. All steps are shifts and masks, so no data byte becomes an address.

const (
	laneTop  = 0x8080808080808080
	laneRest = 0x1b1b1b1b1b1b1b1b
)

// double multiplies each of the eight elements of v by x.
func double(v uint64) uint64 {
	top := v & laneTop
	// top-top>>7 is 0x7f in each element that overflows.
	return (v^top)<<1 ^ (top-top>>7)&laneRest
}

// times multiplies each of the eight elements of v by the public element c.
func times(v uint64, c byte) uint64 {
	var p uint64
	for b := bits.Len8(c) - 1; b >= 0; b-- {
		p = double(p) ^ v&-uint64(c>>b&1)
	}
	return p
}

// splitPlain is the plain Go twin of Split: Horner's rule, one output and one
// coefficient run at a time, the output serving as the accumulator.
func splitPlain(dst [][]byte, points []byte, secret, coeff []byte, k, off, end int) {
	length := len(secret)
	for lo := off; lo < end; lo += tileMin {
		hi := min(lo+tileMin, end)
		for i, x := range points {
			d := dst[i][lo:hi]
			copy(d, coeff[(k-2)*length+lo:(k-2)*length+hi])
			for j := k - 3; j >= 0; j-- {
				hornerStep(d, coeff[j*length+lo:j*length+hi], x)
			}
			hornerStep(d, secret[lo:hi], x)
		}
	}
}

// hornerStep replaces each d by d·x + a.
func hornerStep(d, a []byte, x byte) {
	a = a[:len(d)]
	for len(d) >= 8 && len(a) >= 8 {
		v := times(binary.LittleEndian.Uint64(d), x) ^ binary.LittleEndian.Uint64(a)
		binary.LittleEndian.PutUint64(d, v)
		d, a = d[8:], a[8:]
	}
	for p := range d {
		d[p] = byte(times(uint64(d[p]), x)) ^ a[p]
	}
}

// combinePlain is the plain Go twin of Combine. It runs Horner's rule over the
// bits of the weights, so that doubling is done once for all inputs together.
func combinePlain(dst, weights []byte, src [][]byte, off, end int) {
	var all byte
	for _, w := range weights {
		all |= w
	}
	top := bits.Len8(all) - 1
	p := off
	for ; p+8 <= end; p += 8 {
		binary.LittleEndian.PutUint64(dst[p:], dotWord(weights, src, p, top))
	}
	for ; p < end; p++ {
		var v byte
		for i, w := range weights {
			v ^= byte(times(uint64(src[i][p]), w))
		}
		dst[p] = v
	}
}

// dotWord is the weighted sum of the words at p. The branches follow the
// weights, which are public.
func dotWord(weights []byte, src [][]byte, p, top int) uint64 {
	var v uint64
	for b := top; b >= 0; b-- {
		v = double(v)
		for i, w := range weights {
			if w>>b&1 != 0 {
				v ^= binary.LittleEndian.Uint64(src[i][p:])
			}
		}
	}
	return v
}
