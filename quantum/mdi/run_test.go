package mdi

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Every tally against the closed gains, and the errors of the key.
func TestEventsFollowTheCountLevel(t *testing.T) {
	for name, c := range map[string]struct{ loss, dark, mis float64 }{
		"city": {5, 1e-7, 0.02}, "dark": {12, 3e-4, 0.05}, "near": {0.5, 2e-3, 0.09},
	} {
		d := preset(t, "mdi-live")
		d.PDc, d.EMis, d.Block, d.PSignal, d.P0, d.P1 = c.dark, c.mis, 40_000, 0.4, 0.3, 0.4
		s, errs := distilltest.Sift(t.Context(), distilltest.Ends(t, d, c.loss, 1), distilltest.At(0))
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(name, errs)
		}
		list := func(c Counts) []float64 {
			return []float64{c.Vacuum, c.A1, c.A2, c.B1, c.B2, c.Weak - c.WeakErrors, c.WeakErrors, c.Strong, c.Key, c.Sample - c.SampleErrors, c.SampleErrors}
		}
		got := s[1].Private.(Counts)
		if got != s[0].Private.(Counts) || s[0].QBER != s[1].QBER || !s[0].Until.Equal(s[1].Until) || s[0].Bits.N != s[1].Bits.N {
			t.Errorf("%s: the ends count otherwise", name)
		}
		e := d.Arm(quantum.Channel{Loss: c.loss})
		want := d.expect(e, got.Pulses)
		if p := distilltest.Fit(t, list(got), list(want), 20); p < 1e-4 {
			t.Errorf("%s: p = %.1e\n%.0f\n%.0f", name, p, list(got), list(want))
		}
		q, eq := gainZ(e*d.Mu, e*d.Mu, d.PDc, d.EMis)
		mean := eq / q * got.Key
		if wrong := float64(distilltest.Differ(s[0].Bits, s[1].Bits)); math.Abs(wrong-mean) > 5*math.Sqrt(mean) {
			t.Errorf("%s: %.0f errors of the key, predicted %.0f", name, wrong, mean)
		}
	}
}

// All 16 pairs of sources against the closed gain of each.
func TestStationFollowsTheGains(t *testing.T) {
	d := preset(t, "mdi-live")
	d.PDc, d.PSignal, d.P0, d.P1 = 5e-3, 0.4, 0.3, 0.4
	e := d.Arm(quantum.Channel{Loss: 4})
	w := quantum.World{Seed: [32]byte{9}}
	s := newStation(d, e, newParty(d, w, "alice"), newParty(d, w, "bob"), events.Stream(w, "test"), quantum.Attack{})
	const pulses = 3_000_000
	var got [sources * sources]float64
	for from := uint64(0); ; {
		c, ok := s.next(from, pulses)
		if !ok {
			break
		}
		got[c.alice.source*sources+c.bob.source]++
		from = c.pulse + 1
	}
	want, sum, share, mean := make([]float64, len(got)), 0.0, d.shares(), d.means(e)
	for i := range sources {
		for j := range sources {
			want[i*sources+j] = pulses * share[i] * share[j] * gain(i, j, mean[i], mean[j], d.PDc)
			sum += want[i*sources+j]
		}
	}
	if p := distilltest.Fit(t, got[:], want, 20); p < 1e-4 {
		t.Errorf("p = %.1e\n%.0f\n%.0f", p, got, want)
	}
	if !distilltest.Near(sum, pulses*d.announced(e), 1e-9) {
		t.Errorf("%g announcements expected, by the mean %g", sum, pulses*d.announced(e))
	}
}

// What was counted never lets the bound claim more than the truth, over many runs,
// and the length follows from the counts.
func TestEstimatesHoldOverManyRuns(t *testing.T) {
	d := preset(t, "mdi-live")
	e := d.Arm(quantum.Channel{Loss: 5})
	y11, e11 := pairs(e, d.PDc, d.EMis)
	mean := d.expect(e, 1.5e9)
	r := rand.New(rand.NewPCG(3, 4))
	draw := func(m float64) float64 { return distuv.Poisson{Lambda: m, Src: r}.Rand() }
	for range 200 {
		wrong := draw(mean.WeakErrors)
		x := d.estimate(Counts{
			Pulses: mean.Pulses, Vacuum: draw(mean.Vacuum), A1: draw(mean.A1), A2: draw(mean.A2), B1: draw(mean.B1), B2: draw(mean.B2),
			Weak: wrong + draw(mean.Weak-mean.WeakErrors), WeakErrors: wrong, Strong: draw(mean.Strong), Key: mean.Key,
		})
		if x.Yield > y11 || x.Phase < e11 || x.Phi < e11 || x.Singles > mean.Key || x.Singles == 0 {
			t.Fatalf("yield ≥ %g of %g, error ≤ %g of %g", x.Yield, y11, x.Phase, e11)
		}
	}
}

// The length, from counts that are as expected.
func TestLengthFollowsTheCounts(t *testing.T) {
	d, ch := preset(t, "mdi-live"), quantum.Channel{Loss: 5}
	p := distilltest.Ends(t, d, ch.Loss, 2)[0]
	want, _ := d.Predict(ch)
	pulses := want.Fill.Seconds() * d.ClockHz
	c := d.expect(d.Arm(ch), pulses)
	leak := d.FEC * c.Key * tails.Entropy(want.QBER)
	s := &distill.Sifted{Private: c}
	l, err := p.Length(s, distill.Outcome{Sifted: int64(c.Key), Kept: int64(c.Key), Leak: int64(leak), EpsCor: d.EpsCor})
	if err != nil || !distilltest.Near(float64(l.Bits), want.PerUse*pulses, 1e-3) || l.Bound != Zhou2016 || l.Phi <= 0 {
		t.Errorf("%d bits, predicted %.0f (%v)", l.Bits, want.PerUse*pulses, err)
	}
	few, err := p.Length(s, distill.Outcome{Sifted: int64(c.Key), Kept: int64(c.Key * 0.9), Leak: int64(leak), EpsCor: d.EpsCor})
	if err != nil || few.Bits >= l.Bits {
		t.Errorf("with a tenth dropped %d bits, with none %d (%v)", few.Bits, l.Bits, err)
	}
}

func TestAttacks(t *testing.T) {
	d := preset(t, "mdi-live")
	d.Block = 40_000
	e := distilltest.Ends(t, d, 5, 3)
	run := func(a quantum.Attack) (qber, phase float64, errs [2]error) {
		if err := e[1].(quantum.Attackable).Attack(a); err != nil {
			t.Fatal(err)
		}
		s, errs := distilltest.Sift(t.Context(), e, distilltest.At(0))
		if errs[0] != nil || errs[1] != nil {
			return 0, 0, errs
		}
		c := s[0].Private.(Counts)
		return c.SampleErrors / c.Sample, c.WeakErrors / c.Weak, errs
	}
	calm, quiet, errs := run(quantum.Attack{})
	if errs != [2]error{} || calm > 0.03 || quiet > 0.32 {
		t.Fatalf("without an attack %.3f and %.3f (%v)", calm, quiet, errs)
	}
	if _, _, errs := run(quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}); !distilltest.Fail(errs, qsc.Noisy) {
		t.Errorf("intercept-resend at full strength: %v", errs)
	}
	if qber, _, errs := run(quantum.Attack{Kind: quantum.InterceptResend, Strength: 0.3}); errs != [2]error{} || qber < calm+0.03 {
		t.Errorf("a third intercepted: %.3f (%v)", qber, errs)
	}
	if qber, _, errs := run(quantum.Attack{Kind: quantum.Noise, Strength: 1}); errs[0] == nil && qber < calm+0.02 {
		t.Errorf("noise: %.3f (%v)", qber, errs)
	}
	p := e[1].(quantum.Attackable)
	if err := p.Attack(quantum.Attack{Kind: quantum.Blinding, Strength: 1}); !qsc.IsKind(err, qsc.Unsupported) {
		t.Error(err)
	}
	if err := p.Attack(quantum.Attack{Kind: quantum.Noise, Strength: math.NaN()}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error(err)
	}
}

func TestFaultsHaveTheirKinds(t *testing.T) {
	d := preset(t, "mdi-live")
	d.MaxBlockS = 1
	_, errs := distilltest.Sift(t.Context(), distilltest.Ends(t, d, 120, 4), distilltest.At(0))
	if !distilltest.Fail(errs, qsc.Scarce) {
		t.Error(errs)
	}
	p := distilltest.Ends(t, d, 20, 4)[0]
	if _, err := p.Length(&distill.Sifted{Private: Counts{}}, distill.Outcome{}); !qsc.IsKind(err, qsc.Scarce) {
		t.Error(err)
	}
	distilltest.Stops(t, d, quantum.Channel{Loss: 20})
}

// What the other end sends may be anything: an error, never a panic.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{0, 2, 4, 6, 7}, []byte{1, 3, 3, 3, 0, 9, 1, 2})
	f.Add(make([]byte, 8*tallies), make([]byte, 16))
	d := preset(f, "mdi-live")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		e := distilltest.Ends(t, d, 20, 5)
		check := func(err error) {
			if err != nil && !qsc.IsKind(err, qsc.Corrupt) {
				t.Error(err)
			}
		}
		alice := aliceHalf{&half{p: e[0].(*Protocol)}}
		bob := &bobHalf{half: &half{p: e[1].(*Protocol)}, r: rand.New(rand.NewPCG(1, 2))}
		batch := events.Batch{To: 2000}
		bob.Observe(&batch)
		check(bob.Answered(&batch, b))
		batch = events.Batch{To: 1 << 40, Slots: make([]uint64, len(a)), Detail: a}
		_, err := alice.Answer(&batch)
		check(err)
		check(alice.Report(a))
	})
}

// Both ends, in announcements.
func BenchmarkSift(b *testing.B) {
	d := preset(b, "mdi-live")
	d.Block = 50_000
	e := distilltest.Ends(b, d, 5, 6)
	start, n := distilltest.At(0), 0.0
	announced := d.announced(d.Arm(quantum.Channel{Loss: 5}))
	for b.Loop() {
		s, errs := distilltest.Sift(b.Context(), e, start)
		if errs[0] != nil {
			b.Fatal(errs)
		}
		n += s[0].Private.(Counts).Pulses * announced
		start.At = s[0].Until
	}
	b.ReportMetric(n/b.Elapsed().Seconds(), "announcements/s")
	b.ReportMetric(n/b.Elapsed().Seconds()/(announced*d.ClockHz), "x_real_time")
}
