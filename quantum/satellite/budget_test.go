package satellite

import (
	"math"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// The light that falls on the aperture, summed over rings of a Gaussian spot.
func TestGeometricEqualsSumOverRings(t *testing.T) {
	for _, o := range []Optics{{Divergence: 5, Waist: 0.1, Aperture: 1}, {Waist: 0.08, Wavelength: 850, Aperture: 2}, {Divergence: 1, Waist: 0.1, Aperture: 1.2}} {
		for _, km := range []float64{500, 1200, 2500} {
			w, r := o.spot(km), o.Aperture/2
			const rings = 40_000
			sum := 0.0
			for i := range rings {
				x := (float64(i) + 0.5) / rings * r
				sum += 4 * x / (w * w) * math.Exp(-2*x*x/(w*w)) * r / rings
			}
			distilltest.Within(t, "capture", o.Geometric(km), sum, 1e-9)
		}
	}
	distilltest.Within(t, "spot of 5 µrad", (Optics{Divergence: 5, Waist: 0.1}).spot(1200), 6, 1e-3)
	distilltest.Within(t, "diffraction", (Optics{Waist: 0.1, Wavelength: 850}).spot(1e6), 1e9*850e-9/(math.Pi*0.1), 1e-9)
}

// Pointing errors with a Rayleigh distribution, summed.
func TestJitterEqualsSumOverErrors(t *testing.T) {
	o := Optics{Divergence: 5, Waist: 0.1, Aperture: 0.01}
	still := o.Geometric(1000)
	o.Jitter = 1.7
	w, sigma := o.spot(1000), 1.7
	sum := 0.0
	const n, far = 50_000, 30.0
	for i := range n {
		rho := (float64(i) + 0.5) / n * far
		sum += rho / (sigma * sigma) * math.Exp(-rho*rho/(2*sigma*sigma)) * math.Exp(-2*rho*rho/(w*w)) * far / n
	}
	distilltest.Within(t, "mean", o.Geometric(1000)/still, sum, 1e-8)
}

// Kasten and Young's table: 1 at the zenith, 37.92 at the horizon; above 20° no
// more than 1 % from a flat atmosphere.
func TestPublishedAirmass(t *testing.T) {
	distilltest.Within(t, "zenith", Airmass(90), 1, 1e-3)
	distilltest.Within(t, "horizon", Airmass(0), 37.92, 1e-3)
	distilltest.Within(t, "5°", Airmass(5), 10.31, 2e-3)
	for e := 20.0; e < 90; e++ {
		distilltest.Within(t, "flat", Airmass(e), 1/math.Sin(rad(e)), 0.01)
	}
}

func TestSkyByHand(t *testing.T) {
	o := Optics{Wavelength: 850, Aperture: 1, Field: 100, Filter: 5, Gate: 2, Night: 1.5e-5, Day: 15}
	// 1.5e-5 W/(m² sr µm) · 7.854e-9 sr · 0.7854 m² · 0.005 µm · 2 ns = 9.253e-25 J; a
	// photon of 850 nm has 2.337e-19 J.
	distilltest.Within(t, "night", o.Sky(-40), 9.253e-25/2.337e-19, 1e-3)
	distilltest.Within(t, "day", o.Sky(20), o.Sky(-40)*1e6, 1e-9)
	distilltest.Within(t, "dusk", o.Sky(-9), o.Sky(-40)*1e3, 1e-9)
	o.Night = 0
	if o.Sky(-40) != 0 || o.Sky(40) != 0 {
		t.Error("a sky without radiance shines")
	}
}

func TestBudgetAddsUp(t *testing.T) {
	o := micius().Optics
	want := o.Loss - 10*math.Log10(o.Geometric(800)) - 10*math.Log10(o.Zenith)*Airmass(40)
	distilltest.Within(t, "budget", o.Budget(800, 40), want, 1e-9)
	last := 0.0
	for e := 90.0; e >= 5; e -= 5 {
		b := o.Budget(slantRange(500, e), e)
		if b <= last {
			t.Fatalf("at %g° the loss is %g dB, higher up %g dB", e, b, last)
		}
		last = b
	}
}
