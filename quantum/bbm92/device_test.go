package bbm92

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

// Exact: the closed forms against the sum over pairs, polarisations and clicks.
func TestGainsAgainstTheSumOverPhotonNumbers(t *testing.T) {
	for _, lambda := range []float64{1e-3, 0.035, 0.3, 1.5} {
		for _, eta := range [][2]float64{{1, 1}, {0.8, 0.3}, {1e-2, 1e-2}, {1e-4, 3e-3}} {
			for _, y0 := range [][2]float64{{0, 0}, {1e-6, 3e-5}, {0.02, 0.01}} {
				var q, eq float64
				for p, x := range patterns(lambda, eta[0], eta[1], y0[0], y0[1]) {
					if e, ok := wrong(p); ok {
						q += x
						eq += x * (e*(1-0.02) + (1-e)*0.02)
					}
				}
				gain, errors := gains(lambda, eta[0], eta[1], y0[0], y0[1], 0.02)
				if !distilltest.Near(q, gain, 1e-9) || !distilltest.Near(eq, errors, 1e-9) {
					t.Errorf("λ %g η %v Y0 %v: Q %.12g, sum %.12g; EQ %.12g, sum %.12g", lambda, eta, y0, gain, q, errors, eq)
				}
			}
		}
	}
}

// Exact: the reference's own arrangement of the closed form, where there is no
// background and it loses no digits.
func TestGainsAgainstThePublishedArrangement(t *testing.T) {
	l, ea, eb, ed := 0.2, 0.7, 0.4, 0.03
	a, b := ea*l, eb*l
	c := a + b - ea*eb*l
	q := 1 - 1/((1+a)*(1+a)) - 1/((1+b)*(1+b)) + 1/((1+c)*(1+c))
	eq := q/2 - 2*(0.5-ed)*ea*eb*l*(1+l)/((1+a)*(1+b)*(1+c))
	gain, errors := gains(l, ea, eb, 0, 0, ed)
	if !distilltest.Near(q, gain, 1e-12) || !distilltest.Near(eq, errors, 1e-12) {
		t.Errorf("Q %g, not %g; EQ %g, not %g", gain, q, errors, eq)
	}
}

// Published, in bands: source and background are not told and were chosen to fit.
func TestPublishedPoints(t *testing.T) {
	p, err := preset(t, "bbm92-248").Predict(quantum.Channel{Loss: 79, Distance: 248})
	if err != nil || p.Rate < 1.4/1.5 || p.Rate > 1.4*1.5 {
		t.Errorf("248 km: %v (%v), published 1.4 bit/s", p.Rate, err)
	}
	// 0.12 bit/s is after finite statistics of 3,100 s; the asymptotic rate lies above.
	p, err = preset(t, "bbm92-micius").Predict(quantum.Channel{Loss: 59.5})
	if err != nil || p.Rate < 0.12 || p.Rate > 0.12*5 || math.Abs(p.QBER-0.045) > 0.005 {
		t.Errorf("1,120 km: %v at %.3f (%v), published 0.12 bit/s at 4.5 %% with finite key", p.Rate, p.QBER, err)
	}
}

func TestPredict(t *testing.T) {
	d := preset(t, "bbm92-live")
	last := math.Inf(1)
	for loss := 0.0; loss < 90; loss += 3 {
		p, err := d.Predict(quantum.Channel{Loss: loss})
		if err != nil || float64(p.Rate) > last || p.Bound != Tomamichel2012 || p.EpsSec != 1e-10 || p.Fill <= 0 {
			t.Fatalf("%g dB: %+v, %v", loss, p, err)
		}
		last = float64(p.Rate)
	}
	if p, err := d.Predict(quantum.Channel{Loss: 100}); err != nil || p.Rate != 0 {
		t.Errorf("beyond reach: %v, %v", p.Rate, err)
	}
	far, err := d.Predict(quantum.Channel{Distance: 40})
	if near, err2 := d.Predict(quantum.Channel{Loss: 10}); err != nil || err2 != nil || far != near {
		t.Errorf("40 km at 0.25 dB/km: %+v, not %+v", far, near)
	}
}

func TestPredictNamesEveryFault(t *testing.T) {
	d := preset(t, "bbm92-live")
	d.Lambda, d.EMis, d.Block = 0, math.NaN(), 0
	_, err := d.Predict(quantum.Channel{Loss: -1})
	for _, name := range []string{"lambda", "e_mis", "block", "channel"} {
		if !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	d = preset(t, "bbm92-live")
	d.Bound = "hope"
	if _, err := d.Protocol(distill.Setup{}); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("an unknown bound: %v", err)
	}
}

func TestParametersHaveJSONNames(t *testing.T) {
	d := preset(t, "bbm92-live")
	if err := json.Unmarshal([]byte(`{"eta_a":0.5,"p_z":0.8,"bound":"koashi-preskill"}`), &d); err != nil {
		t.Fatal(err)
	}
	if d.EtaA != 0.5 || d.PZ != 0.8 || d.Bound != KoashiPreskill || d.ClockHz != 1e8 {
		t.Errorf("%+v", d)
	}
}
