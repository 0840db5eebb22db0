package bbm92

import (
	"context"
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
)

// ends opens both ends of a device.
func ends(t testing.TB, d Device, loss float64, seed byte) [2]distill.Protocol {
	t.Helper()
	var e [2]distill.Protocol
	for role := range e {
		p, err := d.Protocol(distill.Setup{
			Role: distill.Role(role), Channel: quantum.Channel{Loss: loss},
			World: quantum.World{Seed: [32]byte{seed}, Start: distilltest.At(0).At},
		})
		if err != nil {
			t.Fatal(err)
		}
		e[role] = p
	}
	return e
}

func differ(a, b distill.Bits) (n int) {
	for i := range a.N {
		if a.Bit(i) != b.Bit(i) {
			n++
		}
	}
	return n
}

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
		s, errs := distilltest.Sift(t.Context(), ends(t, d, c.loss, 1), distilltest.At(time.Second))
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(name, errs)
		}
		q, eq := d.Gains(quantum.Channel{Loss: c.loss})
		q *= d.alive(quantum.Channel{Loss: c.loss})
		e := eq / q * d.alive(quantum.Channel{Loss: c.loss})
		got := s[0].Private.(Counts)
		pulses := s[0].Until.Sub(distilltest.At(time.Second).At).Seconds() * d.ClockHz
		inZ, inX := pulses*q*c.pz*c.pz, pulses*q*(1-c.pz)*(1-c.pz)
		wrong := float64(differ(s[0].Bits, s[1].Bits))
		chi := 0.0
		for _, x := range [][2]float64{
			{float64(s[0].Bits.N) - wrong, inZ * (1 - e)}, {wrong, inZ * e},
			{float64(got.Tests - got.Errors), inX * (1 - e)}, {float64(got.Errors), inX * e},
			{float64(got.Coincidences-got.Tests) - float64(s[0].Bits.N), pulses*q - inZ - inX},
		} {
			chi += (x[0] - x[1]) * (x[0] - x[1]) / x[1]
		}
		if p := (distuv.ChiSquared{K: 5}).Survival(chi); p < 1e-4 {
			t.Errorf("%s: χ² %.1f of 5, p = %.1e", name, chi, p)
		}
	}
}

func TestBothEndsSift(t *testing.T) {
	d := preset(t, "bbm92-live")
	d.Block = 50_000
	d.PZ = 0.7
	e := ends(t, d, 8, 2)
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
		q := float64(differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N)
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
		if l[0].Bits != l[1].Bits || !near(float64(l[0].Bits), predicted, 0.1) || l[0].Bound != Tomamichel2012 {
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
			qber = float64(differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N)
		}
		return qber, errs
	}
	e := ends(t, d, 8, 3)
	if _, errs := attack(e, quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}); !qsc.IsKind(errs[0], qsc.Noisy) || !qsc.IsKind(errs[1], qsc.Noisy) {
		t.Errorf("intercept-resend at full strength: %v", errs)
	}
	// A hundredth of stray clicks meets Alice's clicks without a partner at Bob.
	calm, errs := attack(e, quantum.Attack{})
	noisy, errs2 := attack(e, quantum.Attack{Kind: quantum.Noise, Strength: 1})
	if errs != [2]error{} || errs2 != [2]error{} || calm > 0.022 || noisy < calm+0.01 {
		t.Errorf("error rate %.4f, with noise %.4f (%v, %v)", calm, noisy, errs, errs2)
	}
	p := ends(t, d, 8, 3)[1].(quantum.Attackable)
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
	_, errs := distilltest.Sift(t.Context(), ends(t, d, 60, 4), distilltest.At(0))
	if !qsc.IsKind(errs[0], qsc.Scarce) || !qsc.IsKind(errs[1], qsc.Scarce) {
		t.Error(errs)
	}
	p := ends(t, d, 8, 4)[0]
	if _, err := p.Length(&distill.Sifted{Private: Counts{}}, distill.Outcome{}); !qsc.IsKind(err, qsc.Scarce) {
		t.Error(err)
	}
}

func TestPacedRoundEndsWithItsContext(t *testing.T) {
	d := preset(t, "bbm92-live")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	now := time.Now()
	alice, bob := distilltest.Both(ctx, func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
		p, err := d.Protocol(distill.Setup{Role: role, Pace: true, Channel: quantum.Channel{Loss: 8}, World: quantum.World{Start: now}})
		if err == nil {
			_, err = p.Sift(ctx, w, distill.Start{At: now})
		}
		return err
	})
	if !qsc.IsKind(alice, qsc.Timeout) && !qsc.IsKind(bob, qsc.Timeout) { // the first to end cuts the wire
		t.Error(alice, bob)
	}
}

// What the other end sends may be anything: an error, never a panic.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{0xff, 0, 0, 0}, []byte{1})
	f.Add(make([]byte, 24), []byte{})
	d := preset(f, "bbm92-live")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		e := ends(t, d, 8, 5)
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
	e := ends(b, d, 8, 6)
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
