//go:build amd64 && !purego

package ldpc

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// floats reads values that the decoder can meet out of fuzzed bytes.
func floats(b []byte, limit float64) (v []float32) {
	for ; len(b) >= 2; b = b[2:] {
		x := float64(int16(binary.BigEndian.Uint16(b))) / (1 << 15)
		v = append(v, float32(x*x*x*limit)) // dense about 0
	}
	return v
}

func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// FuzzKernels holds the vector kernels to the plain ones, bit for bit.
func FuzzKernels(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x7f, 0xff, 0x80, 0, 0, 0, 1, 2, 0xff, 0xff}, 9))
	f.Add([]byte("sixteen bytes of seed, and then some more to have a whole run of them"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !vector {
			t.Skip("no AVX2: the plain kernels are the only ones here, and have nothing to be held to")
		}
		half := len(raw) / 4 * 2
		x, m := floats(raw[:half], 2*certain), floats(raw[half:], 17)
		m = m[:len(x)]
		in, plain := slices.Clone(x), slices.Clone(x)
		bad, badPlain := make([]uint32, len(x)), make([]uint32, len(x))
		takeOff(in, m, bad)
		takeOffPlain(plain, m, badPlain)
		if !same(in, plain) || !slices.Equal(bad, badPlain) {
			t.Fatal("takeOff differs")
		}
		p, acc, old := floats(raw[half:], 1)[:len(x)], slices.Clone(in), slices.Clone(m)
		for i := range acc {
			acc[i] = 1 - acc[i]*acc[i]/2
		}
		accPlain, oldPlain := slices.Clone(acc), slices.Clone(old)
		giveBack(in, p, acc, old)
		giveBackPlain(plain, p, accPlain, oldPlain)
		if !same(in, plain) || !same(acc, accPlain) || !same(old, oldPlain) {
			t.Fatal("giveBack differs")
		}
		dst, dstPlain := make([]float32, len(x)), make([]float32, len(x))
		multiply(dst, in, old)
		multiplyPlain(dstPlain, in, old)
		addTo(dst, x)
		addToPlain(dstPlain, x)
		if !same(dst, dstPlain) {
			t.Fatal("multiply or addTo differs")
		}
	})
}
