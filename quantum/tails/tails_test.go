package tails

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// Against the exact tails of Poisson counts: the bound holds, and is not absurd.
func TestBoundsHoldForPoisson(t *testing.T) {
	for _, eps := range []float64{1e-3, 1e-10} {
		for _, m := range []float64{0.5, 3, 40, 1000, 2e5} {
			p := distuv.Poisson{Lambda: m}
			hi, lo := CountAbove(m, eps), CountBelow(m, eps)
			if got := p.Survival(math.Ceil(hi) - 1); got > eps {
				t.Errorf("mean %g: P(X ≥ %g) = %g > %g", m, hi, got, eps)
			}
			if got := p.CDF(math.Floor(lo) - 1); lo > 0 && got > eps {
				t.Errorf("mean %g: P(X < %g) = %g > %g", m, lo, got, eps)
			}
			if sigma := (hi - m) / math.Sqrt(m); m > 100 && sigma > 2*math.Sqrt(math.Log(1/eps)) {
				t.Errorf("mean %g: %g standard deviations above is loose", m, sigma)
			}
		}
	}
}

// The mean that a count bounds is the one whose count it bounds.
func TestBoundsAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(0, 1e8).Draw(t, "x")
		eps := math.Pow(10, -rapid.Float64Range(1, 20).Draw(t, "e"))
		up, down := MeanAbove(x, eps), MeanBelow(x, eps)
		if up < x || down > x || down < 0 {
			t.Fatalf("%g is not within %g and %g", x, down, up)
		}
		if back := CountBelow(up, eps); math.Abs(back-x) > 1e-5*(x+1) {
			t.Fatalf("%g comes back as %g", x, back)
		}
		if down > 1e-12 { // below, halving ends early, on the safe side
			if back := CountAbove(down, eps); math.Abs(back-x) > 1e-5*(x+1) {
				t.Fatalf("%g comes back as %g", x, back)
			}
		}
	})
}

func TestEntropy(t *testing.T) {
	for x, want := range map[float64]float64{-1: 0, 0: 0, 0.11: 0.4999159582, 0.5: 1, 0.9: 1, math.NaN(): 1} {
		if got := Entropy(x); math.Abs(got-want) > 1e-9 {
			t.Errorf("h(%g) = %.10f", x, got)
		}
	}
}
