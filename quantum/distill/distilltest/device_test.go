package distilltest

import (
	"math"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// The checks see what they are for.
func TestDiffer(t *testing.T) {
	a, b := distill.NewBits(130), distill.NewBits(130)
	for _, i := range []int{0, 63, 64, 129} {
		a.Set(i, 1)
	}
	if n := Differ(a, b); n != 4 {
		t.Errorf("%d bits differ, not 4", n)
	}
	if n, m := Differ(a, distill.NewBits(100)), Differ(distill.NewBits(100), a); n != 33 || m != 33 {
		t.Errorf("%d and %d bits differ from those of a shorter end, not 33", n, m)
	}
}

func TestFit(t *testing.T) {
	want := []float64{1000, 1000, 1000, 1000, 1000, 1}
	if p := Fit(t, []float64{1020, 990, 1010, 1000, 970, 9}, want, 20); p < 0.1 {
		t.Errorf("p = %g for counts that fit, the last being too few to judge", p)
	}
	if p := Fit(t, []float64{1200, 990, 1010, 1000, 970, 1}, want, 0); p > 1e-6 {
		t.Errorf("p = %g for one that does not", p)
	}
}

func TestNear(t *testing.T) {
	if !Near(1, 1.01, 0.01) || Near(1, 1.02, 0.01) || Near(math.NaN(), 1, 1) || Near(0, 1e-30, 0.1) || !Near(0, 0, 0) {
		t.Error("near is not near")
	}
}
