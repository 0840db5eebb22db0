package photons

import (
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
)

// Presets that fill a block so soon are run at the pace of their clocks.
const soon = 15 * time.Second

// channels are where the live presets are at home, in dB; others are tried at 6 dB.
var channels = map[string]float64{"tokyo-45km": 14.5, "metro-snspd": 6, "metro-apd": 6.5, "metro-one-decoy": 2.5, "sns-live": 31.7, "cv-metro-live": 1}

// Every preset that can be run and fills a block within seconds opens, and makes a
// key block that is the same at both ends of a connection on this machine.
func TestPresets(t *testing.T) {
	long(t)
	ran := 0
	for _, p := range preset.All() {
		d, ok := p.Device.(distill.Runnable)
		if !ok || d.Kind() == "satellite" { // whose passes TestBuiltin waits for
			continue
		}
		loss, known := channels[p.Name]
		if !known {
			loss = 6
		}
		ch := quantum.Channel{Loss: loss}
		expected, err := d.Predict(ch)
		if err != nil {
			t.Error(p.Name, err)
			continue
		}
		if expected.Rate <= 0 || expected.Fill <= 0 || expected.Fill > soon || expected.Sifted > 20e6 {
			t.Logf("%s: not run: %v in %v", p.Name, expected.Rate, expected.Fill)
			continue
		}
		ran++
		t.Run(p.Name, func(t *testing.T) { once(t, d, ch) })
	}
	if ran < 6 {
		t.Errorf("only %d presets were run", ran)
	}
}

// once makes a block of key.
func once(t *testing.T, d distill.Runnable, ch quantum.Channel) {
	reconciler := func() distill.Reconciler { return cascade.New(cascade.Config{}) }
	if d.Kind() == "cv" {
		reconciler = nil
	}
	ends := distilltest.Links(t, d, distill.Setup{World: quantum.World{Seed: [32]byte{3}, Start: time.Now()}, Channel: ch, Pace: true}, reconciler)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b, r := distilltest.First(ctx, t, ends)
	t.Logf("%s: %.2f %% error, f %.3f, %d bits in a round", b.Bound, 100*b.QBER, b.Efficiency, r.Length)
}
