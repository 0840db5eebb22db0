package bbm92

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// outcome is what a perfect reconciliation at efficiency f would leave.
func outcome(s *distill.Sifted, f, q float64) distill.Outcome {
	n := int64(s.Bits.N)
	h := -q*math.Log2(q) - (1-q)*math.Log2(1-q)
	return distill.Outcome{Sifted: n, Kept: n, Leak: int64(f * h * float64(n)), Verify: 64, EpsCor: 1e-10}
}

// Event counts against the count level: coincidences, both bases, errors.
func TestEventsFollowTheCountLevel(t *testing.T) {
	for name, c := range map[string]struct {
		lambda, loss, y0, pz float64
	}{
		"live": {0.01, 6, 1e-6, 0.9}, "many pairs": {0.2, 10, 1e-3, 0.5}, "noisy": {0.02, 20, 2e-4, 0.7},
	} {
		d := preset(t, "bbm92-live")
		d.Lambda, d.Y0A, d.Y0B, d.PZ, d.Block = c.lambda, c.y0, c.y0, c.pz, 40_000
		s, errs := distilltest.Sift(t.Context(), distilltest.Ends(t, d, c.loss, 1), distilltest.At(time.Second))
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(name, errs)
		}
		q, eq := d.Gains(quantum.Channel{Loss: c.loss})
		q *= d.alive(quantum.Channel{Loss: c.loss})
		e := eq / q * d.alive(quantum.Channel{Loss: c.loss})
		got := s[0].Private.(Counts)
		pulses := s[0].Until.Sub(distilltest.At(time.Second).At).Seconds() * d.ClockHz
		inZ, inX := pulses*q*c.pz*c.pz, pulses*q*(1-c.pz)*(1-c.pz)
		wrong := float64(distilltest.Differ(s[0].Bits, s[1].Bits))
		seen := []float64{
			float64(s[0].Bits.N) - wrong, wrong, float64(got.Tests - got.Errors), float64(got.Errors),
			float64(got.Coincidences-got.Tests) - float64(s[0].Bits.N),
		}
		mean := []float64{inZ * (1 - e), inZ * e, inX * (1 - e), inX * e, pulses*q - inZ - inX}
		if p := distilltest.Fit(t, seen, mean, 0); p < 1e-4 {
			t.Errorf("%s: p = %.1e\n%.0f\n%.0f", name, p, seen, mean)
		}
	}
}

func TestBothEndsSift(t *testing.T) {
	d := preset(t, "bbm92-live")
	d.Block = 50_000
	d.PZ = 0.7
	e := distilltest.Ends(t, d, 8, 2)
	start := distilltest.At(0)
	for round := range 2 {
		start.Round = uint64(round)
		s, errs := distilltest.Sift(t.Context(), e, start)
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(errs)
		}
		if s[0].Bits.N != s[1].Bits.N || s[0].Bits.N < d.Block || s[0].QBER != s[1].QBER || !s[0].Until.Equal(s[1].Until) || !s[0].Until.After(start.At) {
			t.Fatalf("the ends sift %d and %d bits, until %v and %v", s[0].Bits.N, s[1].Bits.N, s[0].Until, s[1].Until)
		}
		want, _ := d.Predict(quantum.Channel{Loss: 8})
		q := float64(distilltest.Differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N)
		if math.Abs(q-want.QBER) > 5*math.Sqrt(want.QBER/float64(d.Block)) {
			t.Errorf("error rate %.4f, predicted %.4f", q, want.QBER)
		}
		var l [2]distill.Length
		for i := range l {
			var err error
			if l[i], err = e[i].Length(s[i], outcome(s[i], 1.16, want.QBER)); err != nil {
				t.Fatal(err)
			}
		}
		predicted := want.PerUse / float64(want.Sifted) * want.Clock * float64(s[0].Bits.N)
		if l[0].Bits != l[1].Bits || !distilltest.Near(float64(l[0].Bits), predicted, 0.1) || l[0].Bound != Tomamichel2012 {
			t.Errorf("lengths %d and %d, predicted %.0f", l[0].Bits, l[1].Bits, predicted)
		}
		if p := e[0].Progress(); p.Fraction != 1 || p.Sifted <= 0 {
			t.Errorf("progress %+v", p)
		}
		start.At = s[0].Until
	}
}

func TestAttacks(t *testing.T) {
	d := preset(t, "bbm92-live")
	d.Block = 20_000
	attack := func(e [2]distill.Protocol, a quantum.Attack) (qber float64, errs [2]error) {
		if err := e[1].(quantum.Attackable).Attack(a); err != nil {
			t.Fatal(err)
		}
		s, errs := distilltest.Sift(t.Context(), e, distilltest.At(0))
		if errs[1] == nil {
			qber = float64(distilltest.Differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N)
		}
		return qber, errs
	}
	e := distilltest.Ends(t, d, 8, 3)
	if _, errs := attack(e, quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}); !distilltest.Fail(errs, qsc.Noisy) {
		t.Errorf("intercept-resend at full strength: %v", errs)
	}
	// A hundredth of stray clicks meets Alice's clicks without a partner at Bob.
	calm, errs := attack(e, quantum.Attack{})
	noisy, errs2 := attack(e, quantum.Attack{Kind: quantum.Noise, Strength: 1})
	if errs != [2]error{} || errs2 != [2]error{} || calm > 0.022 || noisy < calm+0.01 {
		t.Errorf("error rate %.4f, with noise %.4f (%v, %v)", calm, noisy, errs, errs2)
	}
	p := distilltest.Ends(t, d, 8, 3)[1].(quantum.Attackable)
	if err := p.Attack(quantum.Attack{Kind: quantum.NumberSplitting, Strength: 1}); !qsc.IsKind(err, qsc.Unsupported) {
		t.Error(err)
	}
	if err := p.Attack(quantum.Attack{Kind: quantum.Noise, Strength: 2}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error(err)
	}
}

func TestTooLittleIsScarce(t *testing.T) {
	d := preset(t, "bbm92-live")
	d.MaxBlockS = 1
	_, errs := distilltest.Sift(t.Context(), distilltest.Ends(t, d, 60, 4), distilltest.At(0))
	if !distilltest.Fail(errs, qsc.Scarce) {
		t.Error(errs)
	}
	p := distilltest.Ends(t, d, 8, 4)[0]
	if _, err := p.Length(&distill.Sifted{Private: Counts{}}, distill.Outcome{}); !qsc.IsKind(err, qsc.Scarce) {
		t.Error(err)
	}
}

func TestPacedRoundEndsWithItsContext(t *testing.T) {
	d := preset(t, "bbm92-live")
	distilltest.Stops(t, d, quantum.Channel{Loss: 8})
}

// What the other end sends may be anything: an error, never a panic.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0xff, 0, 0, 0}, []byte{1})
	f.Add(make([]byte, 24), []byte{})
	d := preset(f, "bbm92-live")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		e := distilltest.Ends(t, d, 8, 5)
		alice := aliceHalf{&half{p: e[0].(*Protocol), pz: 1 << 31}}
		bob := &bobHalf{half: &half{p: e[1].(*Protocol), pz: 1 << 31}, r: rand.New(rand.NewPCG(1, 2))}
		batch := events.Batch{To: 100_000}
		bob.Observe(&batch)
		if err := bob.Answered(&batch, a); err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Error(err)
		}
		batch.Detail = b
		if _, err := alice.Answer(&batch); err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Error(err)
		}
		if err := alice.Report(a); err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Error(err)
		}
	})
}

// Both ends' sifting, in coincidences.
func BenchmarkSift(b *testing.B) {
	d := preset(b, "bbm92-live")
	d.Block = 100_000
	e := distilltest.Ends(b, d, 8, 6)
	start, n := distilltest.At(0), int64(0)
	for b.Loop() {
		s, errs := distilltest.Sift(b.Context(), e, start)
		if errs[0] != nil {
			b.Fatal(errs)
		}
		start.At, n = s[0].Until, n+s[0].Private.(Counts).Coincidences
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "coincidences/s")
}
