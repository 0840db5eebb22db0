package cvqkd

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// A paced block takes the device's time, and says how far it is.
func TestPace(t *testing.T) {
	d := short()
	synctest.Test(t, func(t *testing.T) {
		start := distill.Start{Round: 1, At: time.Now().Add(time.Second)}
		var p [2]distill.Protocol
		for role := range p {
			var err error
			s := distill.Setup{Role: distill.Role(role), World: quantum.World{Start: start.At}, Channel: oneDB, Pace: true}
			if p[role], err = d.Protocol(s); err != nil {
				t.Fatal(err)
			}
			defer p[role].Close()
		}
		s, errs := distilltest.Sift(t.Context(), p, start)
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(errs)
		}
		if now := time.Now(); now.Before(s[0].Until) || now.After(s[0].Until.Add(time.Millisecond)) {
			t.Errorf("done at %v, the data end at %v", now, s[0].Until)
		}
		if g := p[0].Progress(); g.Fraction != 1 || g.Left != 0 || g.Sifted <= 0 || g.Alarm != "" {
			t.Errorf("progress %+v", g)
		}
	})
}

// QSC_LONG: whole blocks of the live presets yield what is predicted, within the
// scatter of the estimate and the price of choosing codes by it.
func TestLivePresets(t *testing.T) {
	if os.Getenv("QSC_LONG") == "" {
		t.Skip("set QSC_LONG=1 for whole blocks of the live presets")
	}
	for _, name := range []string{"cv-metro-live", "cv-metro-live-heterodyne"} {
		for _, loss := range []float64{1, 1.5} {
			d, ch := preset(t, name), quantum.Channel{Loss: loss}
			var p [2]distill.Protocol
			for role := range p {
				var err error
				if p[role], err = d.Protocol(distill.Setup{Role: distill.Role(role), Channel: ch}); err != nil {
					t.Fatal(err)
				}
			}
			begun := time.Now()
			s := sift(t, p)
			spent := time.Since(begun)
			agree(t, s)
			l := lengths(t, p, s)
			want, err := d.Predict(ch)
			if err != nil {
				t.Fatal(err)
			}
			expected := want.PerUse * float64(d.Block)
			if float64(l.Bits) < 0.6*expected || float64(l.Bits) > 1.3*expected {
				t.Errorf("%s at %g dB: %d bits, %.0f predicted", name, loss, l.Bits, expected)
			}
			t.Logf("%s at %g dB: %d bits, %.0f predicted, beta %.3f, %d of %d frames lost, %v of work for %v of device time",
				name, loss, l.Bits, expected, l.Params["beta"], len(s[0].Failed), s[0].Bits.N/s[0].Frame, spent.Round(time.Millisecond), want.Fill)
		}
	}
}
