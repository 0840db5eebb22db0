package mdi

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

var (
	_ distill.Runnable   = Device{}
	_ distill.Protocol   = (*Protocol)(nil)
	_ quantum.Attackable = (*Protocol)(nil)
)

func preset(t testing.TB, name string) Device {
	t.Helper()
	return distilltest.Preset[Device](t, Presets(), name)
}

// integrate averages over the random phase, for both bits of each end, the
// probabilities of clicks of all four detectors: coincidences and those in which
// the bits do not fit. It shares nothing with the closed forms.
func integrate(zA, zB bool, a, b, p float64) (gain, errors float64) {
	const steps = 256
	for bits := range 4 {
		bitA, bitB := bits&1, bits>>1
		for i := range steps {
			phase := 2 * math.Pi * (float64(i) + 0.5) / steps
			var click [2][2]float64
			for bin := range 2 {
				x, y, turn := a/2, b/2, 0.0
				if zA {
					x = a * float64(1-(bin^bitA))
				}
				if zB {
					y = b * float64(1-(bin^bitB))
				}
				if bin == 1 && !zA && bitA == 1 {
					turn += math.Pi
				}
				if bin == 1 && !zB && bitB == 1 {
					turn -= math.Pi
				}
				swing := math.Sqrt(x*y) * math.Cos(phase+turn)
				click[bin][0] = p - (1-p)*math.Expm1(-(x+y)/2-swing)
				click[bin][1] = p - (1-p)*math.Expm1(-(x+y)/2+swing)
			}
			one := func(bin, det int) float64 { return click[bin][det] * (1 - click[bin][1-det]) }
			same := one(0, 0)*one(1, 0) + one(0, 1)*one(1, 1)
			other := one(0, 0)*one(1, 1) + one(0, 1)*one(1, 0)
			gain += (same + other) / (4 * steps)
			switch {
			case zA && zB && bitA == bitB:
				errors += (same + other) / (4 * steps)
			case !zA && !zB && bitA == bitB:
				errors += other / (4 * steps)
			case !zA && !zB:
				errors += same / (4 * steps)
			}
		}
	}
	return gain, errors
}

// Exact: the closed gains and errors against the integral over the phase.
func TestGainsAgainstThePhaseIntegral(t *testing.T) {
	const mis = 0.03
	for _, a := range []float64{0, 1e-3, 0.2, 2} {
		for _, b := range []float64{0, 1e-3, 0.5} {
			for _, p := range []float64{1e-7, 1e-3, 0.05} {
				for _, inZ := range []bool{true, false} {
					want, wrong := integrate(inZ, inZ, a, b, p)
					wrong = wrong*(1-mis) + (want-wrong)*mis
					got, errors := gainX(a, b, p, mis)
					if inZ {
						got, errors = gainZ(a, b, p, mis)
					}
					if !distilltest.Near(got, want, 1e-9) || !distilltest.Near(errors, wrong, 1e-9) {
						t.Errorf("Z %t a %g b %g p %g: %.12g with %.12g errors, by integration %.12g with %.12g", inZ, a, b, p, got, errors, want, wrong)
					}
				}
				if want, _ := integrate(true, false, a, b, p); !distilltest.Near(gain(signal, weak, a, b, p), want, 1e-9) {
					t.Errorf("a %g in Z, b %g in X: %.12g, by integration %.12g", a, b, gain(signal, weak, a, b, p), want)
				}
			}
		}
	}
}

// Exact: the reference's arrangement where it loses no digits.
func TestGainsAgainstThePublishedArrangement(t *testing.T) {
	e, mu, p, ed := 0.3, 0.9, 0.01, 0.02
	i0 := func(x float64) (sum float64) {
		for i := range 400 {
			sum += math.Exp(x*math.Cos(math.Pi*(float64(i)+0.5)/400)) / 400
		}
		return sum
	}
	m, x := 2*e*mu, e*mu/2
	qc := 2 * (1 - p) * (1 - p) * math.Exp(-m/2) * math.Pow(1-(1-p)*math.Exp(-e*mu/2), 2)
	qe := 2 * p * (1 - p) * (1 - p) * math.Exp(-m/2) * (i0(2*x) - (1-p)*math.Exp(-m/2))
	q, eq := gainZ(e*mu, e*mu, p, ed)
	if !distilltest.Near(q, qc+qe, 1e-12) || !distilltest.Near(eq, ed*qc+(1-ed)*qe, 1e-12) {
		t.Errorf("Q %g, not %g; EQ %g, not %g", q, qc+qe, eq, ed*qc+(1-ed)*qe)
	}
}

// Exact: a photon from each end in Z, by listing paths and dark counts.
func TestPairOfPhotonsByCases(t *testing.T) {
	e, p, mis := 0.2, 0.03, 0.04
	// single is the probability of exactly one click in a bin that gets n photons:
	// two photons of equal bins leave by one port (Hong, Ou and Mandel).
	single := func(n int) float64 {
		switch n {
		case 0:
			return 2 * p * (1 - p)
		case 1:
			return e*(1-p) + (1-e)*2*p*(1-p)
		}
		arrive := 1 - (1-e)*(1-e)
		return arrive*(1-p) + (1-e)*(1-e)*2*p*(1-p)
	}
	right, wrong := single(1)*single(1)/2, single(2)*single(0)/2
	y11, _ := pairs(e, p, mis)
	if !distilltest.Near(y11, right+wrong, 1e-12) {
		t.Errorf("yield %g, by cases %g", y11, right+wrong)
	}
	// In X, over the phase integral at vanishing light: the term of a photon each.
	_, e11 := pairs(e, p, mis)
	const tiny = 1e-3
	term := func(f func(a, b float64) float64) float64 { // the mixed second difference
		return (f(tiny, tiny) - f(tiny, 0) - f(0, tiny) + f(0, 0)) / (tiny * tiny)
	}
	// As functions of sent light: e^(a+b) Q(ea, eb) = Σ aⁱbʲ/(i!j!) Yij.
	yield := term(func(a, b float64) float64 { q, _ := gainX(e*a, e*b, p, mis); return math.Exp(a+b) * q })
	errors := term(func(a, b float64) float64 { _, q := gainX(e*a, e*b, p, mis); return math.Exp(a+b) * q })
	if !distilltest.Near(yield, y11, 0.005) || !distilltest.Near(errors/yield, e11, 0.005) {
		t.Errorf("yield %g and error %g, from the gains %g and %g", y11, e11, yield, errors/yield)
	}
}

// Published, in a band: detectors, error and block are not told and were chosen to
// fit.
func TestPublishedPoint(t *testing.T) {
	ch := quantum.Channel{Loss: 36}
	d := preset(t, "mdi-chip")
	p, err := d.Predict(ch)
	if err != nil || p.Rate < 31/1.5 || p.Rate > 31*1.5 || p.Bound != Zhou2016 {
		t.Errorf("36 dB: %v (%v), published 31 bit/s", p.Rate, err)
	}
	d.Bound = MaRazavi
	if asymptotic, err := d.Predict(ch); err != nil || asymptotic.Rate < 10*p.Rate {
		t.Errorf("asymptotic %v (%v), finite %v", asymptotic.Rate, err, p.Rate)
	}
	if live, err := preset(t, "mdi-live").Predict(quantum.Channel{Loss: 5}); err != nil || live.Rate < 1e4 || live.Fill.Seconds() > 40 {
		t.Errorf("live: %v after %v (%v)", live.Rate, live.Fill, err)
	}
}

// The decoy bounds are sound, by exact expectations without fluctuation.
func TestDecoyBoundsHoldInExpectation(t *testing.T) {
	for _, loss := range []float64{5, 20, 36} {
		d := preset(t, "mdi-live")
		d.EpsSec = 1 - 1e-9
		e := d.Arm(quantum.Channel{Loss: loss})
		x := d.estimate(d.expect(e, 1e30))
		y11, e11 := pairs(e, d.PDc, d.EMis)
		if x.Yield > y11 || x.Yield < 0.85*y11 || x.Phase < e11 || x.Phase > e11+0.1 {
			t.Errorf("%g dB: yield ≥ %g of %g, error ≤ %g of %g", loss, x.Yield, y11, x.Phase, e11)
		}
	}
}

func TestRatesRiseWithTheBlockAndFallWithLoss(t *testing.T) {
	d, last := preset(t, "mdi-live"), 0.0
	for _, block := range []int{2e6, 5e6, 2e7, 1e8} {
		d.Block = block
		p, err := d.Predict(quantum.Channel{Loss: 6})
		if err != nil || p.PerUse <= last {
			t.Errorf("blocks of %d: %g a pulse, shorter ones %g (%v)", block, p.PerUse, last, err)
		}
		last = p.PerUse
	}
	for loss := 8.0; loss < 100; loss += 8 {
		p, err := d.Predict(quantum.Channel{Loss: loss})
		if err != nil || p.PerUse > last {
			t.Errorf("%g dB: %g a pulse, nearer %g (%v)", loss, p.PerUse, last, err)
		}
		last = p.PerUse
	}
	d = preset(t, "mdi-live")
	before, _ := d.Predict(quantum.Channel{Loss: 3})
	best, err := d.Optimise(quantum.Channel{Loss: 3})
	if after, _ := best.Predict(quantum.Channel{Loss: 3}); err != nil || after.PerUse <= before.PerUse {
		t.Errorf("%g before, optimised %g (%v)", before.PerUse, after.PerUse, err)
	}
}

func TestPredictNamesEveryFault(t *testing.T) {
	d := preset(t, "mdi-live")
	d.Mu, d.P0, d.Mu1 = 0, math.NaN(), 2
	_, err := d.Predict(quantum.Channel{Loss: math.NaN()})
	for _, name := range []string{"mu,", "p_0", "mu1 < mu2", "channel"} {
		if !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	d = preset(t, "mdi-live")
	if err := json.Unmarshal([]byte(`{"p_signal":0.3,"mu1":0.05,"bound":"mdi-asymptotic"}`), &d); err != nil || d.PSignal != 0.3 || d.Mu1 != 0.05 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := d.Protocol(distill.Setup{}); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("a run under the asymptotic bound: %v", err)
	}
}
