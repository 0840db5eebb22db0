package repeater

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/bbm92"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

func preset(t testing.TB, name string) Device {
	t.Helper()
	return distilltest.Preset[Device](t, Presets(), name)
}

// The worked target "10 km, at least 10 transfers a second" of the reference:
// rounded to whole transfers, as printed there.
func TestPublishedTableOfTransfers(t *testing.T) {
	d := preset(t, "ion-10km")
	for _, row := range []struct {
		modes    int
		two, one float64
	}{{1, 21, 53}, {10, 208, 518}, {100, 1906, 4193}} {
		d.Modes = row.modes
		for scheme, want := range map[string]float64{TwoClick: row.two, OneClick: row.one} {
			d.Scheme, d.Alpha = scheme, 0.05
			got, err := d.Transfer(quantum.Channel{})
			if err != nil || math.Round(got.Pairs) != want || got.Attempts != 20_000 {
				t.Errorf("%d modes, %s: %g transfers/s of %g attempts/s, want %g and 20000 (%v)", row.modes, scheme, got.Pairs, got.Attempts, want, err)
			}
		}
	}
}

func TestPresetsPredict(t *testing.T) {
	names := map[string]bool{}
	for _, p := range Presets() {
		got, err := p.Device.Predict(quantum.Channel{})
		if err != nil || got.Rate <= 0 || got.QBER <= 0 || got.QBER > 0.11 || names[p.Name] || p.About == "" {
			t.Errorf("%s: %+v, %v", p.Name, got, err)
		}
		names[p.Name] = true
	}
	d := preset(t, "rb-20km")
	if got, _ := d.Transfer(quantum.Channel{}); math.Abs(got.Fidelity-0.90) > 0.01 { // published: F 0.90
		t.Errorf("20.5 km: fidelity %g", got.Fidelity)
	}
}

// No chain makes more than the bounds allow to ideal devices, and a long chain
// makes more than any link without repeaters.
func TestBounds(t *testing.T) {
	distilltest.Within(t, "PLOB at 3 dB", PLOB(0.5), 1, 1e-12)
	distilltest.Within(t, "PLOB far out", PLOB(1e-9), 1e-9/math.Ln2, 1e-8)
	distilltest.Within(t, "chain", ChainBound(1e-8, 3), PLOB(1e-2), 1e-12)
	if !math.IsInf(PLOB(1), 1) || PLOB(0) != 0 {
		t.Error("PLOB at the ends")
	}
	d := preset(t, "chain-500km")
	d.Bound = bbm92.KoashiPreskill
	for km := 10.0; km <= 2000; km += 10 {
		p, err := d.Predict(quantum.Channel{Distance: km})
		eta := math.Pow(10, -0.02*km)
		if err != nil || p.PerUse/float64(d.Modes) > ChainBound(eta, 2*d.Links-1) {
			t.Fatalf("%g km: %g bits for each mode and attempt, the bound is %g (%v)", km, p.PerUse/float64(d.Modes), ChainBound(eta, 2*d.Links-1), err)
		}
		if beats := p.PerUse/float64(d.Modes) > PLOB(eta); km == 500 && !beats {
			t.Errorf("%g km: %g bits, the bound without repeaters is %g", km, p.PerUse/float64(d.Modes), PLOB(eta))
		}
	}
}

func TestWorseDevicesDoWorse(t *testing.T) {
	base := preset(t, "ion-10km")
	rate := func(change func(*Device)) float64 {
		d := base
		change(&d)
		tr, err := d.Transfer(quantum.Channel{})
		if err != nil {
			t.Fatal(err)
		}
		return tr.Pairs * (1 - tr.QBER)
	}
	whole := rate(func(*Device) {})
	for name, change := range map[string]func(*Device){
		"memory": func(d *Device) { d.T2 = 1e-4 }, "arm": func(d *Device) { d.EtaArm = 0.05 },
		"modes": func(d *Device) { d.Modes = 50 }, "swap": func(d *Device) { d.BSM = 0.25 },
		"reset": func(d *Device) { d.Reset = 1e-4 }, "distance": func(d *Device) { d.LinkKM = 20 },
		"swap fidelity": func(d *Device) { d.BSMFidelity = 0.9 },
	} {
		if worse := rate(change); worse >= whole {
			t.Errorf("a worse %s: %g, before %g", name, worse, whole)
		}
	}
	d := base
	d.Purify, d.Fidelity = 1, 0.9
	once, _ := d.Transfer(quantum.Channel{})
	d.Purify = 0
	never, _ := d.Transfer(quantum.Channel{})
	if once.QBER >= never.QBER || once.Pairs >= never.Pairs {
		t.Errorf("purified %+v, unpurified %+v", once, never)
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	d := Device{Scheme: "three-click", Links: 99, Bound: "hope", FEC: math.NaN()}
	_, err := d.Predict(quantum.Channel{Loss: 1})
	if !qsc.IsKind(err, qsc.Invalid) {
		t.Fatal(err)
	}
	for _, word := range []string{"scheme", "links", "modes", "eta_arm", "fidelity", "p_bsm", "p_z", "f_ec", "block", "patience", "bound", "eps_sec", "eps_cor"} {
		if !strings.Contains(err.Error(), word+" ") {
			t.Errorf("%s is not named in %q", word, err)
		}
	}
	good := preset(t, "ion-10km")
	good.Scheme = OneClick
	if _, err := good.Predict(quantum.Channel{}); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("one-click without alpha: %v", err)
	}
	good.Scheme = TwoClick
	if p, err := good.Predict(quantum.Channel{Distance: 5000}); err != nil || p.Rate != 0 {
		t.Errorf("beyond reach: %+v, %v", p, err)
	}
	for _, ch := range []quantum.Channel{{Loss: -1}, {Distance: math.NaN()}, {Loss: math.Inf(1)}} {
		if _, err := good.Predict(ch); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%+v: %v", ch, err)
		}
	}
	if _, err := good.Protocol(distill.Setup{Channel: quantum.Channel{Distance: 9000}}); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("a protocol over which nothing comes: %v", err)
	}
}

// Only loss is told: the distance, and with it the pace, follows.
func TestLayout(t *testing.T) {
	d := preset(t, "ion-10km")
	if l := d.over(quantum.Channel{Loss: 8, Distance: 30}); l != (layout{15, 4}) {
		t.Errorf("both: %+v", l)
	}
	if l := d.over(quantum.Channel{Distance: 30}); l != (layout{15, 3}) {
		t.Errorf("distance: %+v", l)
	}
	d.LinkKM = 0
	if l := d.over(quantum.Channel{Loss: 4}); l != (layout{10, 2}) {
		t.Errorf("loss: %+v", l)
	}
}

// A block of events has the rate and the error rate that are predicted, and a key
// of about the length.
func TestEventLevelAgreesWithPrediction(t *testing.T) {
	d := preset(t, "ion-live")
	two := distilltest.Ends(t, d, 0, 7)
	s, errs := distilltest.Sift(context.Background(), two, distilltest.At(time.Second))
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	want, err := d.Predict(quantum.Channel{})
	if err != nil {
		t.Fatal(err)
	}
	n := float64(s[0].Bits.N)
	if s[0].Bits.N != s[1].Bits.N || n < float64(d.Block) || s[0].QBER != s[1].QBER {
		t.Fatalf("%d and %d bits, error rates %g and %g", s[0].Bits.N, s[1].Bits.N, s[0].QBER, s[1].QBER)
	}
	rate := n / s[0].Until.Sub(distilltest.At(time.Second).At).Seconds()
	distilltest.Within(t, "sifted rate", rate, float64(want.Sifted), 5/math.Sqrt(n)+0.02) // a batch is 1/50 of the block
	wrong := float64(distilltest.Differ(s[0].Bits, s[1].Bits))
	if sigma := math.Sqrt(want.QBER * n); math.Abs(wrong-want.QBER*n) > 4.5*sigma {
		t.Errorf("%g errors in %g bits, expected %g ± %g", wrong, n, want.QBER*n, sigma)
	}
	o := distill.Outcome{Sifted: int64(n), Kept: int64(n), Leak: int64(d.FEC * n * tails.Entropy(wrong/n)), EpsCor: d.EpsCor, Frames: 1}
	l, err := two[0].Length(s[0], o)
	if err != nil || l.Bound != bbm92.Tomamichel2012 || l.Params["links"] != d.Links {
		t.Fatalf("%+v, %v", l, err)
	}
	distilltest.Within(t, "length", float64(l.Bits)/n, float64(want.Rate/want.Sifted), 0.15)
}

// The prediction's formula and the one that blocks are cut by are written down
// apart; on the same counts they agree.
func TestPredictedLengthEqualsTheBound(t *testing.T) {
	d := preset(t, "ion-live")
	tests := float64(d.Block) * math.Pow((1-d.PZ)/d.PZ, 2)
	d.Block = d.Block * 10_000 / int(math.Round(tests)) // so that the counts are whole
	d.PZ = 1 / (1 + math.Sqrt(10_000/float64(d.Block)))
	const q = 0.02
	two := distilltest.Ends(t, d, 0, 7)
	leak := int64(math.Round(d.FEC * tails.Entropy(q) * float64(d.Block)))
	l, err := two[0].Length(&distill.Sifted{Private: bbm92.Counts{Coincidences: 1, Tests: 10_000, Errors: 10_000 * q}},
		distill.Outcome{Sifted: int64(d.Block), Kept: int64(d.Block), Leak: leak, EpsCor: d.EpsCor})
	share := d.secret(q)
	if err != nil || math.Abs(float64(l.Bits)-share*float64(d.Block)) > 2 {
		t.Errorf("%d bits by the bound, %g predicted (%v)", l.Bits, share*float64(d.Block), err)
	}
}

func TestInterceptResendLeavesNoKey(t *testing.T) {
	two := distilltest.Ends(t, preset(t, "ion-live"), 0, 7)
	attack := quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}
	if err := two[1].(quantum.Attackable).Attack(attack); err != nil {
		t.Fatal(err)
	}
	if _, errs := distilltest.Sift(context.Background(), two, distilltest.At(0)); !distilltest.Fail(errs, qsc.Noisy) {
		t.Errorf("a link that somebody intercepts: %v", errs)
	}
}

// Stray light heralds pairs that are none.
func TestNoiseRaisesRateAndErrors(t *testing.T) {
	d := preset(t, "ion-live")
	l := d.over(quantum.Channel{})
	quiet, loud := d.model(l, 0), d.model(l, 1e-3)
	if loud.p <= quiet.p || loud.qber() <= quiet.qber() {
		t.Errorf("quiet %+v, loud %+v", quiet, loud)
	}
}

func TestCancelEndsBothEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, errs := distilltest.Sift(ctx, distilltest.Ends(t, preset(t, "ion-live"), 0, 7), distilltest.At(0)); errs[0] == nil || errs[1] == nil {
		t.Errorf("ended %v", errs)
	}
}

func BenchmarkPredict(b *testing.B) {
	d := base()
	d.Links = 8
	for b.Loop() {
		if _, err := d.Predict(quantum.Channel{Distance: 500}); err != nil {
			b.Fatal(err)
		}
	}
}
