package satellite

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

func world() quantum.World {
	return quantum.World{Seed: [32]byte{5}, Epoch: 1, Start: distilltest.At(0).At}
}

func open(t *testing.T, d Device, role distill.Role) *protocol {
	t.Helper()
	p, err := d.Protocol(distill.Setup{Role: role, World: world(), Now: func() time.Time { return world().Start }})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*protocol)
}

func ends(t *testing.T, d Device) [2]distill.Protocol {
	t.Helper()
	return [2]distill.Protocol{open(t, d, distill.Alice), open(t, d, distill.Bob)}
}

// small is leo-live with a source slow enough for a test and a pass that still
// yields key.
func small(t *testing.T) Device {
	d := preset(t, "leo-live")
	d.Lowest, d.BB84.Clock = 40, 2e6
	return d
}

// One pass, drawn click by click, has the counts that the calendar gives it, and a
// key of about the length.
func TestEventLevelAgreesWithCalendar(t *testing.T) {
	d := small(t)
	two := ends(t, d)
	s, errs := distilltest.Sift(context.Background(), two, distilltest.At(0))
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	m := s[0].Private.(made)
	n := float64(s[0].Bits.N)
	if s[1].Bits.N != s[0].Bits.N || s[0].QBER != s[1].QBER || !m.pass.Rise.Equal(s[1].Private.(made).pass.Rise) {
		t.Fatal("the ends do not agree")
	}
	// The steps of one second in the loss add to the spread of counts.
	distilltest.Within(t, "sifted", n, float64(m.pass.Sifted), 5/math.Sqrt(n)+0.005)
	wrong := distilltest.Differ(s[0].Bits, s[1].Bits)
	if q := float64(wrong) / n; math.Abs(q-m.pass.QBER) > 5*math.Sqrt(m.pass.QBER/n)+0.001 {
		t.Errorf("error rate %g, expected %g", q, m.pass.QBER)
	}
	o := distill.Outcome{Sifted: int64(n), Kept: int64(n), Errors: int64(wrong), Frames: 1, Leak: int64(d.BB84.FEC * n * tails.Entropy(float64(wrong)/n))}
	l, err := two[1].Length(s[1], o)
	if err != nil || l.Params["timescale"] != d.Timescale || l.Params["n_key"] == nil {
		t.Fatalf("%+v, %v", l, err)
	}
	distilltest.Within(t, "length", float64(l.Bits), float64(m.pass.Bits), 0.15)
	took := s[0].Until.Sub(world().Start).Seconds()
	if want := d.FirstPass + m.pass.Set.Sub(m.pass.Rise).Seconds()/d.Timescale; math.Abs(took-want) > 0.01 {
		t.Errorf("the pass is over after %g s, want %g", took, want)
	}
}

// The first pass begins when the preset says; the next ones follow about once in a
// minute or two, each under a clear sky and worth it.
func TestPassesOfTheLivePreset(t *testing.T) {
	d := preset(t, "leo-live")
	p := open(t, d, distill.Bob)
	next := p.window(clockOf(p.base, d.Timescale, 0))
	from, to, ok := next(0)
	if !ok || math.Abs(from.Seconds()-d.FirstPass) > 0.01 || to-from > 2*time.Second {
		t.Fatalf("the first pass is from %v to %v, %t", from, to, ok)
	}
	passes, longest := 0, time.Duration(0)
	for last := to; to < time.Hour; passes++ {
		if from, to, ok = next(to); !ok || from < last {
			t.Fatalf("pass %d from %v to %v, %t", passes, from, to, ok)
		}
		longest, last = max(longest, from-last), to
	}
	if passes < 20 || longest > 15*time.Minute {
		t.Errorf("%d passes in an hour, once none for %v", passes, longest)
	}
	if from, _, _ := next(from + (to-from)/2); from < to {
		t.Error("half of a pass was taken for a whole one")
	}
}

// Without a shift the calendar is that of World.Start, and time is real.
func TestRealTime(t *testing.T) {
	d := preset(t, "leo-micius")
	p := open(t, d, distill.Bob)
	from, to, ok := p.window(clockOf(p.base, 1, 0))(0)
	c := d.Calendar(d.Station(), world().Start, world().Start.AddDate(0, 1, 0), nil)
	for _, x := range c {
		if rise := world().Start.Add(from); ok && x.Rise.Sub(rise).Abs() < time.Second {
			if x.Bits <= 0 || to-from != x.Set.Sub(x.Rise) {
				t.Errorf("%+v from %v to %v", x, from, to)
			}
			return
		}
	}
	t.Errorf("the window from %v to %v is no pass of the calendar", from, to)
}

// Eras go on where the last one ended, until the calendar begins anew.
func TestErasGoOn(t *testing.T) {
	start := world().Start
	for _, scale := range []float64{1, 600} {
		for n := range int64(6) {
			before, after := clockOf(start, scale, n), clockOf(start, scale, n+1)
			if got := before.at(era); !got.Equal(after.at(0)) {
				t.Fatalf("timescale %g: era %d ends at %v, the next begins at %v", scale, n, got, after.at(0))
			}
			if d := before.real(before.at(3 * time.Hour)); (d - 3*time.Hour).Abs() > time.Microsecond {
				t.Fatalf("3 h come back as %v", d)
			}
		}
	}
	if far := clockOf(start, 3600, 10_000).at(era); far.Sub(start) > 24*366*24*time.Hour {
		t.Errorf("the calendar has come to %v", far)
	}
}

// A round that starts in a later era is sifted there, by both ends.
func TestSiftInALaterEra(t *testing.T) {
	two := ends(t, small(t))
	s, errs := distilltest.Sift(context.Background(), two, distilltest.At(50*time.Hour))
	if errs[0] != nil || errs[1] != nil || s[0].Bits.N != s[1].Bits.N {
		t.Fatal(errs)
	}
	if after := s[0].Until.Sub(world().Start); after < 50*time.Hour || after > 51*time.Hour {
		t.Errorf("sifted until %v", after)
	}
}

func TestInterceptResendLeavesNoKey(t *testing.T) {
	two := ends(t, small(t))
	attack := quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}
	if err := two[0].(quantum.Attackable).Attack(attack); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("an attack in orbit: %v", err)
	}
	if err := two[1].(quantum.Attackable).Attack(attack); err != nil {
		t.Fatal(err)
	}
	if _, errs := distilltest.Sift(context.Background(), two, distilltest.At(25*time.Hour)); !distilltest.Fail(errs, qsc.Noisy) {
		t.Errorf("a pass that somebody intercepts, an era after the attack began: %v", errs)
	}
}

func TestProgressTellsOfThePass(t *testing.T) {
	d := small(t)
	p := open(t, d, distill.Alice)
	p.await(0, world().Start)
	if g := p.Progress(); g.Fraction != 0 || g.Left < 18*time.Second || g.Left > 20*time.Second {
		t.Errorf("before the pass: %+v", g)
	}
	p.setup.Now = func() time.Time { return p.from.Add(p.to.Sub(p.from) / 4) }
	if g := p.Progress(); math.Abs(g.Fraction-0.25) > 1e-6 || g.Left > time.Second {
		t.Errorf("in the pass: %+v", g)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNoPassAtAll(t *testing.T) {
	d := preset(t, "leo-live")
	d.Lat, d.Inclination = 80, 10
	if _, err := d.Protocol(distill.Setup{World: world()}); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("a station out of sight: %v", err)
	}
	d.FirstPass = 0
	two := ends(t, d)
	if _, errs := distilltest.Sift(context.Background(), two, distilltest.At(0)); !distilltest.Fail(errs, qsc.Scarce) {
		t.Errorf("no light: %v", errs)
	}
	if _, err := two[0].Length(&distill.Sifted{}, distill.Outcome{}); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("bits of another protocol: %v", err)
	}
}

// A pass that is waited for in real time can be given up.
func TestCancelEndsTheWait(t *testing.T) {
	d := small(t)
	two := ends(t, d)
	for _, e := range two {
		p := e.(*protocol)
		p.setup.Pace, p.inner = true, nil
		p.setup.Now = time.Now
		p.setup.World.Start = time.Now().Add(time.Hour)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	start := distill.Start{At: two[0].(*protocol).setup.World.Start}
	if _, errs := distilltest.Sift(ctx, two, start); errs[0] == nil || errs[1] == nil {
		t.Errorf("ended %v", errs)
	}
}

// BenchmarkPass is one pass of leo-live at both ends, from clicks to sifted bits.
func BenchmarkPass(b *testing.B) {
	d := preset(b, "leo-live")
	var two [2]distill.Protocol
	for i := range two {
		p, err := d.Protocol(distill.Setup{Role: distill.Role(i), World: world()})
		if err != nil {
			b.Fatal(err)
		}
		two[i] = p
	}
	at, n := time.Duration(0), 0
	for b.Loop() {
		s, errs := distilltest.Sift(context.Background(), two, distilltest.At(at))
		if errs[0] != nil || errs[1] != nil {
			b.Fatal(errs)
		}
		at = s[0].Until.Sub(world().Start)
		n += s[0].Bits.N
	}
	b.ReportMetric(float64(n)/float64(b.N), "bits/pass")
}
