package preset

import (
	"math"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Beyond all reach, and without dark counts, predictions are still numbers that can be,
// with no key; what is no channel is refused.
func TestNothingArrives(t *testing.T) {
	for _, p := range All() {
		for _, quiet := range []map[string]any{nil, {"p_dc": 0.0}, {"y0_a": 0.0, "y0_b": 0.0}, {"v_el": 0.0, "xi": 0.0}} {
			d, err := Change(p, "quiet", quiet)
			if err != nil {
				continue // has no such parameter
			}
			for _, ch := range []quantum.Channel{{Loss: 200}, {Loss: 1000}, {Distance: 9e4}, {Distance: 1e300}} {
				x, err := d.Device.Predict(ch)
				if err != nil && !qsc.IsKind(err, qsc.Invalid) || err == nil && !(x.Rate >= 0 && x.PerUse >= 0 && x.Sifted >= 0 && x.QBER >= 0 && x.QBER <= 0.5+1e-9 && x.Fill >= 0) {
					t.Errorf("%s with %v over %+v: %+v, %v", p.Name, quiet, ch, x, err)
				}
			}
			for _, ch := range []quantum.Channel{{Loss: -1}, {Loss: math.Inf(1)}, {Loss: math.NaN()}, {Distance: -1}, {Distance: math.NaN()}, {Distance: math.Inf(1)}} {
				if _, err := d.Device.Predict(ch); !qsc.IsKind(err, qsc.Invalid) && p.Device.Kind() != "satellite" && p.Device.Kind() != "cv" {
					t.Errorf("%s over %+v: %v", p.Name, ch, err)
				}
			}
		}
	}
}

// Over any channel from 0 to 100 dB every preset predicts finite numbers that can be,
// and more loss never gives more key, but where dead time is the limit (bb84, bbm92),
// where the channel does not count (satellite), or where none means the device's own
// (repeater at 0 dB).
func TestPredictionsCanBe(t *testing.T) {
	for _, p := range All() {
		last := math.Inf(1)
		for loss := 0.0; loss <= 100; loss += 0.5 {
			x, err := p.Device.Predict(quantum.Channel{Loss: loss})
			if err != nil {
				t.Errorf("%s at %v dB: %v", p.Name, loss, err)
				break
			}
			for name, v := range map[string]float64{"clock": x.Clock, "sifted": float64(x.Sifted), "rate": float64(x.Rate), "per use": x.PerUse, "fill": float64(x.Fill)} {
				if !(v >= 0) || math.IsInf(v, 0) {
					t.Errorf("%s at %v dB: %s is %v", p.Name, loss, name, v)
				}
			}
			if !(x.QBER >= 0 && x.QBER <= 0.5+1e-9) || x.Rate > x.Sifted+1e-9 && p.Device.Kind() != "cv" { // of waves a symbol may carry more than a bit
				t.Errorf("%s at %v dB: error rate %v, %v of %v, %v", p.Name, loss, x.QBER, x.Rate, x.Sifted, x.Fill)
			}
			if grows := float64(x.Rate) > last*(1+1e-6); grows && p.Device.Kind() != "satellite" && !(loss < 20 && (p.Device.Kind() == "bb84" || p.Device.Kind() == "bbm92")) {
				t.Errorf("%s: %v at %v dB, %.6g before", p.Name, x.Rate, loss, last)
			}
			if last = float64(x.Rate); loss == 0 && p.Device.Kind() == "repeater" {
				last = math.Inf(1)
			}
		}
	}
}
