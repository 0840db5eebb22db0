package gf128

import (
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

func TestGoIsOblivious(t *testing.T) { testkit.ObliviousGo(t, testkit.GoForm{}) }

// TestMul64 puts the fullest operands through the multiplier, where a carry would
// first leave its hole.
func TestMul64(t *testing.T) {
	vals := []uint64{0, 1, ^uint64(0), class0, class1, class2, class3, 1 << 63, 0xf << 60, ^uint64(0) >> 4}
	for _, x := range vals {
		for _, y := range vals {
			var hi, lo uint64
			for i := range uint(64) {
				if x>>i&1 == 1 {
					lo ^= y << i
					hi ^= y >> (64 - i)
				}
			}
			if h, l := Mul64(x, y); h != hi || l != lo {
				t.Errorf("%x * %x = %x %x, want %x %x", x, y, h, l, hi, lo)
			}
		}
	}
}

// Against multiplication by shift and add, bit by bit.
func TestMul(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		aHi, aLo, bHi, bLo := r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()
		var hi, lo uint64
		xHi, xLo := aHi, aLo
		for i := range 128 {
			word := bLo
			if i >= 64 {
				word = bHi
			}
			if word>>(i%64)&1 == 1 {
				hi, lo = hi^xHi, lo^xLo
			}
			over := xHi >> 63
			xHi, xLo = xHi<<1|xLo>>63, xLo<<1^over*0x87
		}
		if h, l := Mul(aHi, aLo, bHi, bLo); h != hi || l != lo {
			t.Fatalf("%x %x * %x %x = %x %x, want %x %x", aHi, aLo, bHi, bLo, h, l, hi, lo)
		}
	}
}
