package splitter

import (
	"math"
	"testing"
)

// Exact: against a numerical average over the random phase of the probability that
// one detector clicks and the other does not. The rule of equal steps converges
// beyond all powers for a periodic function.
func TestOneAgainstThePhaseIntegral(t *testing.T) {
	for _, a := range []float64{0, 1e-7, 3e-3, 0.4, 5} {
		for _, b := range []float64{0, 1e-7, 1e-2, 0.7} {
			for _, p := range []float64{0, 1e-11, 1e-6, 0.03} {
				const steps = 512
				sum := 0.0
				for i := range steps {
					swing := math.Sqrt(a*b) * math.Cos(2*math.Pi*(float64(i)+0.5)/steps)
					x, y := (a+b)/2+swing, (a+b)/2-swing
					clickX, clickY := p-(1-p)*math.Expm1(-x), p-(1-p)*math.Expm1(-y)
					sum += (clickX*(1-clickY) + clickY*(1-clickX)) / steps
					if got := Only(x, y, p); math.Abs(got-clickX*(1-clickY)) > 1e-12*got {
						t.Fatalf("only %g of %g: %g", x, y, got)
					}
				}
				if got := One(a, b, p); math.Abs(got-sum) > 1e-9*sum {
					t.Errorf("a %g b %g p %g: %.12g, by integration %.12g", a, b, p, got, sum)
				}
			}
		}
	}
}

// Exact: against the integral of the function's definition.
func TestBesselAgainstItsIntegral(t *testing.T) {
	for _, x := range []float64{0, 0.01, 1, 7} {
		sum := 0.0
		for i := range 1000 {
			sum += math.Expm1(x*math.Cos(math.Pi*(float64(i)+0.5)/1000)) / 1000
		}
		if got := BesselLess1(x); math.Abs(got-sum) > 1e-11*(1+sum) {
			t.Errorf("I0(%g)-1 = %.12g, by integration %.12g", x, got, sum)
		}
	}
}
