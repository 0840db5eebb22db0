package twinfield

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Every class of event against the closed gains: the tallies of Bob, his raw bits,
// and the wrong detectors.
func TestEventsFollowTheCountLevel(t *testing.T) {
	for name, c := range map[string]struct{ loss, dark, mis float64 }{
		"metro": {20, 1e-7, 0.02}, "dark": {40, 3e-4, 0.05}, "near": {3, 1e-3, 0.1},
	} {
		d := preset(t, "sns-live")
		d.PDc, d.EMis, d.Block, d.PSignal, d.P0 = c.dark, c.mis, 60_000, 0.6, 0.2
		d.P1 = 0.5
		s, errs := distilltest.Sift(t.Context(), distilltest.Ends(t, d, c.loss, 1), distilltest.At(0))
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(name, errs)
		}
		list := func(c Counts) []float64 {
			return []float64{c.Vacuum, c.A1, c.A2, c.B1, c.B2, c.Slice - c.SliceErrors, c.SliceErrors, c.Zeros, c.Ones}
		}
		got := s[1].Private.(Counts)
		if got != s[0].Private.(Counts) {
			t.Errorf("%s: the ends count otherwise", name)
		}
		want := d.expect(d.Arm(quantum.Channel{Loss: c.loss}), got.Windows)
		if p := distilltest.Fit(t, list(got), list(want), 20); p < 1e-4 {
			t.Errorf("%s: p = %.1e\n%.0f\n%.0f", name, p, list(got), list(want))
		}
	}
}

// All 25 pairs of sources against the closed gain of each.
func TestStationFollowsTheGains(t *testing.T) {
	d := preset(t, "sns-live")
	d.PDc, d.PSignal, d.P0, d.P1 = 2e-3, 0.5, 0.3, 0.4
	e := d.Arm(quantum.Channel{Loss: 12})
	w := quantum.World{Seed: [32]byte{9}}
	s := newStation(d, e, newParty(d, w, "alice"), newParty(d, w, "bob"), events.Stream(w, "test"), quantum.Attack{})
	const windows = 3_000_000
	var got [sources * sources]float64
	for from := uint64(0); ; {
		c, ok := s.next(from, windows)
		if !ok {
			break
		}
		got[c.alice*sources+c.bob]++
		from = c.window + 1
	}
	share := [sources]float64{0.5 * 0.3, 0.5 * 0.4, 0.5 * 0.3, 0.5 * (1 - d.PSend), 0.5 * d.PSend}
	mean := [sources]float64{0, e * d.Mu1, e * d.Mu2, 0, e * d.Mu}
	want, sum := make([]float64, len(got)), 0.0
	for i := range share {
		for j := range share {
			want[i*int(sources)+j] = windows * share[i] * share[j] * gain(mean[i], mean[j], d.PDc)
			sum += want[i*int(sources)+j]
		}
	}
	if p := distilltest.Fit(t, got[:], want, 20); p < 1e-4 {
		t.Errorf("p = %.1e\n%.0f\n%.0f", p, got, want)
	}
	if !distilltest.Near(sum, windows*d.announced(e), 1e-9) {
		t.Errorf("%g announcements expected, by the mean %g", sum, windows*d.announced(e))
	}
}

func TestBothEndsSiftAndPair(t *testing.T) {
	d, ch := preset(t, "sns-live"), quantum.Channel{Loss: 20}
	d.Block = 200_000
	e := distilltest.Ends(t, d, ch.Loss, 2)
	s, errs := distilltest.Sift(t.Context(), e, distilltest.At(time.Second))
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	if s[0].Bits.N != s[1].Bits.N || s[0].QBER != s[1].QBER || !s[0].Until.Equal(s[1].Until) {
		t.Fatalf("the ends sift %d and %d bits", s[0].Bits.N, s[1].Bits.N)
	}
	c := s[0].Private.(Counts)
	kept, wrong, _ := d.raw(d.Arm(ch)).paired()
	kept *= c.Windows * d.odds().signal
	if got := float64(s[0].Bits.N); !distilltest.Near(got, kept, 0.02) {
		t.Errorf("%g bits after pairing, predicted %g", got, kept)
	}
	if errors, mean := float64(distilltest.Differ(s[0].Bits, s[1].Bits)), wrong*kept; math.Abs(errors-mean) > 5*math.Sqrt(mean)+5 {
		t.Errorf("%g errors after pairing, predicted %g", errors, mean)
	}
	var l [2]distill.Length
	for i := range l {
		n := int64(s[i].Bits.N)
		var err error
		l[i], err = e[i].Length(s[i], distill.Outcome{Sifted: n, Kept: n, Leak: 2000, Verify: 640, EpsCor: 1e-10})
		if err != nil {
			t.Fatal(err)
		}
	}
	want, _ := d.bits(d.estimate(d.expect(d.Arm(ch), c.Windows)), 0, 2640, 1e-10)
	if l[0].Bits != l[1].Bits || l[0].Bits <= 0 || !distilltest.Near(float64(l[0].Bits), want, 0.35) || l[0].Phi <= 0 || l[0].Bound != Jiang2021 {
		t.Errorf("lengths %d and %d, from expected counts %.0f", l[0].Bits, l[1].Bits, want)
	}
	few, err := e[0].Length(s[0], distill.Outcome{Sifted: int64(s[0].Bits.N), Kept: int64(s[0].Bits.N) * 9 / 10, Leak: 2000, EpsCor: 1e-10})
	if err != nil || few.Bits >= l[0].Bits {
		t.Errorf("with a tenth dropped %d bits, with none %d (%v)", few.Bits, l[0].Bits, err)
	}
}

// What was counted never lets the bound claim more than the truth, over many runs.
func TestEstimatesHoldOverManyRuns(t *testing.T) {
	d := preset(t, "sns-live")
	e := d.Arm(quantum.Channel{Loss: 25})
	y1, e1 := single(e, d.PDc, d.EMis)
	mean := d.expect(e, 1e8)
	r := rand.New(rand.NewPCG(3, 4))
	draw := func(m float64) float64 { return distuv.Poisson{Lambda: m, Src: r}.Rand() }
	for range 200 {
		wrong := draw(mean.SliceErrors)
		x := d.estimate(Counts{
			Windows: mean.Windows, Vacuum: draw(mean.Vacuum), A1: draw(mean.A1), A2: draw(mean.A2), B1: draw(mean.B1), B2: draw(mean.B2),
			Slice: wrong + draw(mean.Slice-mean.SliceErrors), SliceErrors: wrong, Zeros: mean.Zeros, Ones: mean.Ones,
		})
		if x.Single > y1 || x.Phase < e1 || x.Phi < 2*e1*(1-e1) || x.Bits > x.Singles*(1-tails.Entropy(2*e1*(1-e1))) {
			t.Fatalf("yield ≥ %g of %g, error ≤ %g of %g", x.Single, y1, x.Phase, e1)
		}
	}
}

func TestAttacks(t *testing.T) {
	d := preset(t, "sns-live")
	d.Block, d.PSignal, d.Slice = 60_000, 0.5, 0.4
	e := distilltest.Ends(t, d, 15, 3)
	run := func(a quantum.Attack) (bits int64, qber float64, errs [2]error) {
		if err := e[1].(quantum.Attackable).Attack(a); err != nil {
			t.Fatal(err)
		}
		s, errs := distilltest.Sift(t.Context(), e, distilltest.At(0))
		if errs[0] != nil || errs[1] != nil {
			return 0, 0, errs
		}
		n := int64(s[0].Bits.N)
		l, err := e[0].Length(s[0], distill.Outcome{Sifted: n, Kept: n, EpsCor: 1e-10})
		c := s[0].Private.(Counts)
		return l.Bits, c.SliceErrors / c.Slice, [2]error{err, err}
	}
	calm, quiet, errs := run(quantum.Attack{})
	if errs != [2]error{} || calm <= 0 || quiet > 0.08 {
		t.Fatalf("without an attack %d bits at %.3f (%v)", calm, quiet, errs)
	}
	if _, _, errs := run(quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}); !distilltest.Fail(errs, qsc.Noisy) {
		t.Errorf("intercept-resend at full strength: %v", errs)
	}
	if bits, qber, errs := run(quantum.Attack{Kind: quantum.InterceptResend, Strength: 0.3}); errs != [2]error{} || bits >= calm || qber < quiet+0.1 {
		t.Errorf("a third intercepted: %d bits at %.3f (%v)", bits, qber, errs)
	}
	if bits, _, errs := run(quantum.Attack{Kind: quantum.Noise, Strength: 1}); bits > 0 {
		t.Errorf("noise: %d bits (%v)", bits, errs)
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
	d := preset(t, "sns-live")
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
	d := preset(f, "sns-live")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		e := distilltest.Ends(t, d, 20, 5)
		check := func(err error) {
			if err != nil && !qsc.IsKind(err, qsc.Corrupt) {
				t.Error(err)
			}
		}
		alice := aliceHalf{newHalf(e[0].(*Protocol))}
		bob := &bobHalf{half: newHalf(e[1].(*Protocol)), r: rand.New(rand.NewPCG(1, 2))}
		batch := events.Batch{To: 2000}
		bob.Observe(&batch)
		check(bob.Answered(&batch, b))
		batch = events.Batch{To: 1 << 40, Slots: make([]uint64, len(a)), Detail: a}
		_, err := alice.Answer(&batch)
		check(err)
		check(alice.Report(a))
		var key events.Collector
		_, err = parities(distill.NewBits(100), distill.NewBits(100), b, &key)
		check(err)
	})
}

// Both ends' windows, in announcements.
func BenchmarkSift(b *testing.B) {
	d := preset(b, "sns-live")
	d.Block = 100_000
	e := distilltest.Ends(b, d, 31.7, 6)
	start, n := distilltest.At(0), 0.0
	for b.Loop() {
		s, errs := distilltest.Sift(b.Context(), e, start)
		if errs[0] != nil {
			b.Fatal(errs)
		}
		n += s[0].Private.(Counts).Windows * d.announced(d.Arm(quantum.Channel{Loss: 31.7}))
		start.At = s[0].Until
	}
	b.ReportMetric(n/b.Elapsed().Seconds(), "announcements/s")
	b.ReportMetric(n/b.Elapsed().Seconds()/(d.announced(d.Arm(quantum.Channel{Loss: 31.7}))*d.ClockHz*d.Duty), "x_real_time")
}
