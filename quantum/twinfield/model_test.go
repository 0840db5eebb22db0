package twinfield

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

// Exact: the reference's arrangement of S00, S1, S11 where it loses no digits.
func TestGainsAgainstThePublishedArrangement(t *testing.T) {
	e, mu, p := 0.3, 0.8, 0.01
	i0 := 0.0
	for i := range 400 { // I0 by its integral
		i0 += math.Exp(e*mu*math.Cos(math.Pi*(float64(i)+0.5)/400)) / 400
	}
	for _, c := range []struct{ got, want float64 }{
		{gain(0, 0, p), 2 * p * (1 - p)},
		{gain(e*mu, 0, p), 2 * ((1-p)*math.Exp(-e*mu/2) - (1-p)*(1-p)*math.Exp(-e*mu))},
		{gain(e*mu, e*mu, p), 2 * ((1-p)*math.Exp(-e*mu)*i0 - (1-p)*(1-p)*math.Exp(-2*e*mu))},
	} {
		if !distilltest.Near(c.got, c.want, 1e-12) {
			t.Errorf("%g, not %g", c.got, c.want)
		}
	}
}

// Exact: a single photon's yield and error by listing what may happen.
func TestSinglePhotonByCases(t *testing.T) {
	e, p, mis := 0.2, 0.03, 0.05
	var y, wrong float64
	for _, arrives := range []bool{true, false} {
		for _, swapped := range []bool{true, false} {
			for dark := range 4 {
				w := e
				if !arrives {
					w = 1 - e
				}
				if swapped {
					w *= mis
				} else {
					w *= 1 - mis
				}
				right, other := dark&1 == 1, dark&2 == 2
				for _, d := range []bool{right, other} {
					if d {
						w *= p
					} else {
						w *= 1 - p
					}
				}
				right, other = right || (arrives && !swapped), other || (arrives && swapped)
				if right != other {
					y += w
				}
				if other && !right {
					wrong += w
				}
			}
		}
	}
	if y1, e1 := single(e, p, mis); !distilltest.Near(y1, y, 1e-12) || !distilltest.Near(e1, wrong/y, 1e-12) {
		t.Errorf("yield %g, by cases %g; error %g, by cases %g", y1, y, e1, wrong/y)
	}
}

// Computed in the reference, and published.
func TestPublishedPoints(t *testing.T) {
	metro, far := quantum.Channel{Loss: 31.7, Distance: 202}, quantum.Channel{Loss: 156.5, Distance: 1002}
	p, err := preset(t, "sns-202").Predict(metro)
	if err != nil || !distilltest.Near(p.PerUse, 1.79e-4, 0.005) || !distilltest.Near(float64(p.Rate), 111.74e3, 0.05) {
		t.Errorf("202 km: %.4g a window, %v (%v); computed 1.79e-4, published 111.74 kbit/s", p.PerUse, p.Rate, err)
	}
	p, err = preset(t, "sns-1002").Predict(far)
	if err != nil || !distilltest.Near(p.PerUse, 6.0e-11, 0.1) || p.PerUse < 9.53e-12 {
		t.Errorf("1,002 km: %.4g a window (%v); computed 6.0e-11, published 9.53e-12 asymptotic with real decoys", p.PerUse, err)
	}
	if live, err := preset(t, "sns-live").Predict(metro); err != nil || live.Rate < 4e3 || live.Fill.Seconds() < 5 || live.Fill.Seconds() > 20 {
		t.Errorf("live: %v after %v (%v)", live.Rate, live.Fill, err)
	}
}

// Computed: at high loss the rate lies above what any link without a station can
// reach, -log2(1-η) of the bare channel; at low loss below.
func TestRateCrossesTheRepeaterlessBound(t *testing.T) {
	d := preset(t, "sns-1002")
	for loss, above := range map[float64]bool{10: false, 30: false, 60: true, 80: true, 120: true} {
		best, err := d.Optimise(quantum.Channel{Loss: loss})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := best.Predict(quantum.Channel{Loss: loss})
		if plob := -math.Log1p(-math.Pow(10, -loss/10)) / math.Ln2; (p.PerUse > plob) != above {
			t.Errorf("%g dB: %.3g a window, without a station at most %.3g", loss, p.PerUse, plob)
		}
	}
}

func TestOptimiseFindsTheBestOnAGrid(t *testing.T) {
	d := preset(t, "sns-202")
	ch := quantum.Channel{Loss: 40}
	best, err := d.Optimise(ch)
	top, _ := best.Predict(ch)
	if err != nil {
		t.Fatal(err)
	}
	for s := 0.05; s < 0.6; s += 0.03 {
		for mu := 0.05; mu < 1.2; mu += 0.05 {
			d.PSend, d.Mu = s, mu
			if p, _ := d.Predict(ch); p.PerUse > top.PerUse*(1+1e-6) {
				t.Fatalf("s %g, mu %g gives %g, the best found %g", s, mu, p.PerUse, top.PerUse)
			}
		}
	}
	live := preset(t, "sns-live")
	before, _ := live.Predict(ch)
	best, err = live.Optimise(ch)
	if after, _ := best.Predict(ch); err != nil || after.PerUse < before.PerUse {
		t.Errorf("%g before, %g after (%v)", before.PerUse, after.PerUse, err)
	}
	if again, _ := live.Optimise(ch); again != best {
		t.Error("not the same twice")
	}
}

// The decoy bounds are sound, by exact expectations without fluctuation, and the
// finite length approaches theirs from below.
func TestDecoyBoundsHoldInExpectation(t *testing.T) {
	for _, loss := range []float64{5, 30, 60} {
		d := preset(t, "sns-live")
		d.EpsSec = 1 - 1e-9
		e := d.Arm(quantum.Channel{Loss: loss})
		x := d.estimate(d.expect(e, 1e30))
		y1, e1 := single(e, d.PDc, d.EMis)
		if x.Single > y1 || x.Single < 0.95*y1 || x.Phase < e1 || x.Phase > e1+0.06 {
			t.Errorf("%g dB: yield ≥ %g of %g, error ≤ %g of %g", loss, x.Single, y1, x.Phase, e1)
		}
	}
	d, last := preset(t, "sns-live"), 0.0
	for _, block := range []int{3e5, 1e6, 1e7, 6e7} {
		d.Block = block
		p, err := d.Predict(quantum.Channel{Loss: 31.7})
		if err != nil || p.PerUse <= last {
			t.Errorf("blocks of %d: %g a window, shorter ones %g (%v)", block, p.PerUse, last, err)
		}
		last = p.PerUse
	}
	d.Bound = AOPP
	if p, _ := d.Predict(quantum.Channel{Loss: 31.7}); p.PerUse < last {
		t.Errorf("finite %g above asymptotic %g", last, p.PerUse)
	}
	aopp, _ := d.Predict(quantum.Channel{Loss: 60})
	d.Bound = SNS
	d, _ = d.Optimise(quantum.Channel{Loss: 60})
	if p, _ := d.Predict(quantum.Channel{Loss: 60}); p.PerUse <= 0 || p.PerUse > aopp.PerUse {
		t.Errorf("without pairing %g, with %g", p.PerUse, aopp.PerUse)
	}
}

func TestPredictNamesEveryFault(t *testing.T) {
	d := preset(t, "sns-live")
	d.Mu, d.PSend, d.Mu1 = 0, math.NaN(), 2
	_, err := d.Predict(quantum.Channel{Loss: math.Inf(1)})
	for _, name := range []string{"mu,", "p_send", "mu1 < mu2", "channel"} {
		if !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	if _, err := preset(t, "sns-202").Protocol(distill.Setup{}); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("a run under an asymptotic bound: %v", err)
	}
	d = preset(t, "sns-live")
	if err := json.Unmarshal([]byte(`{"p_send":0.3,"mu1":0.05}`), &d); err != nil || d.PSend != 0.3 || d.Mu1 != 0.05 || d.Mu2 != 0.465 {
		t.Errorf("%+v, %v", d, err)
	}
	if p, err := d.Predict(quantum.Channel{Loss: 200}); err != nil || p.Rate != 0 {
		t.Errorf("beyond reach: %v, %v", p.Rate, err)
	}
}
