package cvqkd

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func preset(t testing.TB, name string) Device {
	t.Helper()
	return distilltest.Preset[Device](t, Presets(), name)
}

// Published: the presets against the points of the reference, each in the band
// that its unknown parameters allow.
func TestPublishedRates(t *testing.T) {
	for _, c := range []struct {
		name      string
		loss      float64
		low, high float64 // bit/s
	}{
		{"gg02-metro", 5.2, 12e3, 12.6e3},          // Lodewyck set: 0.0352 bit a symbol; 2 kbit/s were distilled
		{"cv-25km", 5, 2.5e6, 10e6},                // 5 Mbit/s within a factor of 2
		{"cv-100km", 15.4, 1e3, 1e6},               // positive at finite size
		{"cv-203km", 32.45, 6.214, 4.1e3},          // above the published finite key, below the repeaterless bound
		{"cv-metro-live", 1, 15e3, 35e3},           // ours
		{"cv-metro-live-heterodyne", 1, 8e3, 35e3}, // ours
	} {
		d := preset(t, c.name)
		p, err := d.Predict(quantum.Channel{Loss: c.loss})
		if err != nil {
			t.Fatal(err)
		}
		if !(float64(p.Rate) >= c.low && float64(p.Rate) <= c.high) {
			t.Errorf("%s at %g dB: %.4g bit/s, want %g to %g", c.name, c.loss, float64(p.Rate), c.low, c.high)
		}
		if plob := -math.Log2(1 - math.Pow(10, -c.loss/10)); p.PerUse >= plob {
			t.Errorf("%s: %g bits a symbol beat the repeaterless bound %g", c.name, p.PerUse, plob)
		}
	}
}

// The rate falls with loss and is 0 beyond the reach of a finite block; an
// untrusted detector yields less.
func TestPredictIsMonotone(t *testing.T) {
	for _, p := range Presets() {
		d := p.Device.(Device)
		last := math.Inf(1)
		for loss := 0.5; loss <= 100; loss += 0.5 {
			got, err := d.Predict(quantum.Channel{Loss: loss})
			if err != nil {
				t.Fatal(err)
			}
			if got.PerUse > last+1e-12 || got.PerUse < 0 {
				t.Errorf("%s: %g after %g at %g dB", p.Name, got.PerUse, last, loss)
			}
			last = got.PerUse
			d2 := d
			d2.Trusted = false
			if u, err := d2.Predict(quantum.Channel{Loss: loss}); err != nil || u.PerUse > got.PerUse+1e-12 {
				t.Errorf("%s at %g dB: untrusted %g, trusted %g (%v)", p.Name, loss, u.PerUse, got.PerUse, err)
			}
		}
		if last != 0 && d.Block > 0 { // the asymptotic bound of a quiet channel never ends
			t.Errorf("%s: %g bits a symbol at 100 dB", p.Name, last)
		}
	}
}

// Every parameter out of range is named, NaN included.
func TestCheckNamesParameters(t *testing.T) {
	d := preset(t, "cv-metro-live")
	d.VA, d.Eta, d.EpsPE = math.NaN(), 0, 1
	_, err := d.Predict(quantum.Channel{Loss: -1})
	if !qsc.IsKind(err, qsc.Invalid) {
		t.Fatal(err)
	}
	for _, name := range []string{"v_a", "eta ", "eps_pe", "loss"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}

// A network description changes parameters by name.
func TestDeviceAsJSON(t *testing.T) {
	d := preset(t, "cv-metro-live")
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Device
	if err := json.Unmarshal(text, &back); err != nil || back != d {
		t.Errorf("%+v came back as %+v: %v", d, back, err)
	}
	if err := json.Unmarshal([]byte(`{"v_a": 3, "heterodyne": true}`), &back); err != nil || back.VA != 3 || !back.Heterodyne || back.Eta != d.Eta {
		t.Errorf("changed to %+v: %v", back, err)
	}
}
