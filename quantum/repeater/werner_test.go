package repeater

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// bell are the weights of the four Bell states, told by two bits (phase, parity);
// 0 is the wanted one.
func bell(f float64) [4]float64 { return [4]float64{f, (1 - f) / 3, (1 - f) / 3, (1 - f) / 3} }

// A swap adds the bits of the two states: counted out, it multiplies the Werner
// parameters.
func TestSwapMultipliesWernerParameters(t *testing.T) {
	for _, f := range []float64{1, 0.97, 0.8, 0.5, 0.25} {
		for _, g := range []float64{0.99, 0.7, 0.3} {
			sum := 0.0
			for i, a := range bell(f) {
				for j, b := range bell(g) {
					if i == j {
						sum += a * b
					}
				}
			}
			distilltest.Within(t, "fidelity", fidelityOf(wernerOf(f)*wernerOf(g)), sum, 1e-12)
		}
	}
}

// The two CNOTs of a purification add the second pair's phase bit to the first and
// the first pair's parity bit to the second, whose measured parity must be even:
// counted out over the sixteen cases.
func TestPurificationCountedOut(t *testing.T) {
	for _, f := range []float64{1, 0.95, 0.8, 0.6, 0.25} {
		var kept, good float64
		for i, a := range bell(f) {
			for j, b := range bell(f) {
				if i&1 != j&1 {
					continue
				}
				kept += a * b
				if (i^j)>>1 == 0 && i&1 == 0 {
					good += a * b
				}
			}
		}
		fidelity, p := purified(f)
		distilltest.Within(t, "kept", p, kept, 1e-12)
		distilltest.Within(t, "fidelity", fidelity, good/kept, 1e-12)
	}
	f1, p1 := purified(0.8)
	f2, p2 := purified(f1)
	f, p := nested(0.8, 2)
	distilltest.Within(t, "fidelity of two rounds", f, f2, 1e-12)
	distilltest.Within(t, "probability of two rounds", p, p1*p1*p2, 1e-12)
}

// Of groups of two the probability has a closed form by the binomial's generating
// function at ±sqrt(1-kept).
func TestAnyGroupEqualsGeneratingFunction(t *testing.T) {
	for _, modes := range []int{1, 2, 3, 10, 101, 3000} {
		for _, p := range []float64{1e-3, 0.05, 0.5, 0.97} {
			const kept = 0.7
			u := math.Sqrt(1 - kept)
			up, down := math.Pow(1-p+p*u, float64(modes)), math.Pow(1-p-p*u, float64(modes))
			if p*(1+u) > 1 && modes%2 == 1 {
				down = -math.Pow(p+p*u-1, float64(modes))
			}
			none := (up+down)/2 + (up-down)/(2*u)
			if got := anyGroup(modes, p, 2, kept); math.Abs(got-(1-none)) > 1e-11 {
				t.Errorf("modes %d, p %g: %.12g, not %.12g", modes, p, got, 1-none)
			}
		}
	}
	if got := anyGroup(8, 1, 4, 0.5); math.Abs(got-0.75) > 1e-12 {
		t.Errorf("certain modes: %g", got)
	}
}

// Modes, groups and purification played out one by one.
func TestAnyGroupPlayedOut(t *testing.T) {
	const modes, p, rounds, f, plays = 24, 0.3, 2, 0.9, 40_000
	_, kept := nested(f, rounds)
	want := anyGroup(modes, p, 1<<rounds, kept)
	r := rand.New(rand.NewChaCha8([32]byte{3}))
	yields := 0
	for range plays {
		heralds := 0
		for range modes {
			if r.Float64() < p {
				heralds++
			}
		}
		any := false
		for range heralds >> rounds {
			any = any || played(r, f)
		}
		if any {
			yields++
		}
	}
	got, sigma := float64(yields)/plays, math.Sqrt(want*(1-want)/plays)
	if math.Abs(got-want) > 4.5*sigma {
		t.Errorf("%g of plays yield, expected %g ± %g", got, want, sigma)
	}
}

// played plays the two rounds of one group of four.
func played(r *rand.Rand, f float64) bool {
	g, first := purified(f)
	_, second := purified(g)
	a, b, c := r.Float64() < first, r.Float64() < first, r.Float64() < second
	return a && b && c
}
