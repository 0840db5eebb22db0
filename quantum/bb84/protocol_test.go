package bb84

import (
	"bytes"
	"context"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

func world(seed byte) quantum.World {
	return quantum.World{Seed: [32]byte{seed, 7}, Epoch: 1, Start: distilltest.At(0).At}
}

// quick is a device whose block fills in milliseconds of work.
func quick() Device {
	return Device{
		Clock: 1e9, Mu1: 0.44, Mu2: 0.18, Mu3: 2e-4, P1: 0.2, P2: 0.6, PX: 0.8, EtaDet: 0.2, PDark: 1e-5, PAfter: 0.02,
		EMis: 0.01, FEC: 1.1, Block: 500_000, EpsSec: 1e-10, EpsCor: 1e-15,
	}
}

// tenDB is the channel that quick works over.
var tenDB = quantum.Channel{Loss: 10, Distance: 30}

// ends opens both ends of a link.
func ends(t testing.TB, seed byte, l Link, ch quantum.Channel) (p [2]distill.Protocol) {
	t.Helper()
	for role := range p {
		var err error
		if p[role], err = NewProtocol(distill.Setup{Role: distill.Role(role), World: world(seed), Channel: ch}, l); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// sift runs a round that must succeed.
func sift(t testing.TB, p [2]distill.Protocol, start distill.Start) [2]*distill.Sifted {
	t.Helper()
	s, errs := distilltest.Sift(context.Background(), p, start)
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	return s
}

// perfect is the outcome of a reconciliation at the device's f_ec without a
// dropped frame.
func perfect(d Device, s [2]*distill.Sifted) distill.Outcome {
	n, e := int64(s[0].Bits.N), int64(distilltest.Differ(s[0].Bits, s[1].Bits))
	return distill.Outcome{Sifted: n, Kept: n, Errors: e, Leak: int64(d.FEC * tails.Entropy(float64(e)/float64(n)) * float64(n)), Frames: 1, EpsCor: 1e-12}
}

// lengths applies both ends' Length, which must agree.
func lengths(t testing.TB, p [2]distill.Protocol, s [2]*distill.Sifted, o distill.Outcome) distill.Length {
	t.Helper()
	a, err := p[0].Length(s[0], o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p[1].Length(s[1], o)
	if err != nil || a.Bits != b.Bits || a.Phi != b.Phi || a.Bound != b.Bound {
		t.Fatalf("Alice's length is %d under %s, Bob's %d under %s (%v)", a.Bits, a.Bound, b.Bits, b.Bound, err)
	}
	return a
}

// Rounds of the live presets and of others: the ends' bits differ by the QBER, the
// length from what was counted is what Predict says up to statistics, and below
// what the truth allows.
func TestRoundsAgreeWithPrediction(t *testing.T) {
	for _, name := range []string{"quick", "tokyo-45km", "metro-snspd", "metro-apd", "metro-one-decoy", "gys"} {
		d, ch := quick().full(), tenDB
		if name != "quick" {
			d, ch = preset(t, name), quantum.Channel{Loss: channels[name]}
		}
		spread := 0.12
		if os.Getenv("QSC_LONG") == "" {
			d.Block, spread = min(d.Block, 800_000), 0.25
			if d.Bound != Asymptotic {
				d, _ = d.Optimise(ch)
			}
		}
		p, err := d.Predict(ch)
		if err != nil {
			t.Fatal(err)
		}
		e := ends(t, 11, Link{Device: d}, ch)
		s := sift(t, e, distilltest.At(0))
		n := float64(s[0].Bits.N)
		if s[0].Bits.N != s[1].Bits.N || s[0].QBER != s[1].QBER || !s[0].Until.Equal(s[1].Until) {
			t.Fatalf("%s: the ends disagree: %d and %d bits", name, s[0].Bits.N, s[1].Bits.N)
		}
		if n < float64(d.Block) || n > 1.05*float64(d.Block) {
			t.Errorf("%s: a block of %v bits, %d wanted", name, n, d.Block)
		}
		o := perfect(d, s)
		if q := float64(o.Errors) / n; math.Abs(q-p.QBER) > 5*math.Sqrt(p.QBER/n) {
			t.Errorf("%s: an error rate of %.5f, %.5f expected", name, q, p.QBER)
		}
		took := s[0].Until.Sub(distilltest.At(0).At).Seconds()
		if rate := n / took; math.Abs(rate/float64(p.Sifted)-1) > 0.05 {
			t.Errorf("%s: %.4g sifted bits in a second, %v expected", name, rate, p.Sifted)
		}
		l := lengths(t, e, s, o)
		if want := p.PerUse * p.Clock * n / float64(p.Sifted); math.Abs(float64(l.Bits)/want-1) > spread {
			t.Errorf("%s: %d secret bits, %.0f expected", name, l.Bits, want)
		}
		honest(t, name, d, ch, s, l)
	}
}

// honest checks a length against what the simulator knows: how many of the very
// clicks came of vacuum and of single photons, and how often those erred.
func honest(t *testing.T, name string, d Device, ch quantum.Channel, s [2]*distill.Sifted, l distill.Length) {
	t.Helper()
	b := s[0].Private.(*block)
	eta, g := d.receiverEta()*math.Pow(10, -ch.Loss/10), d.Gains(ch.Loss, 0)
	var vacuum, single float64
	for k, mu := range d.mu() {
		if d.p()[k] > 0 {
			vacuum += float64(b.counts[1][k]) * math.Exp(-mu) * yield(d, eta, 0) / g.Click[k]
			single += float64(b.counts[1][k]) * mu * math.Exp(-mu) * yield(d, eta, 1) / g.Click[k]
		}
	}
	e1 := errs(d, eta, 1) / yield(d, eta, 1)
	slack := 1.0
	if d.Bound == Asymptotic {
		slack = 1.05 // makes no allowance for fluctuation
	}
	got := func(key string) float64 { return l.Params[key].(float64) }
	if got("s0") > slack*vacuum || got("s1") > slack*single || slack*l.Phi < e1 {
		t.Errorf("%s: %v vacuum and %v single photons claimed at a phase error of %.4f; there are %.0f, %.0f, %.4f", name, got("s0"), got("s1"), l.Phi, vacuum, single, e1)
	}
	if top := vacuum + single*(1-tails.Entropy(e1)); float64(l.Bits) > top*slack {
		t.Errorf("%s: %d bits where there are %.0f", name, l.Bits, top)
	}
}

// Rounds follow each other: other bits, and the error rate is remembered.
func TestRoundsFollow(t *testing.T) {
	d := quick().full()
	e := ends(t, 12, Link{Device: d}, tenDB)
	s := sift(t, e, distilltest.At(0))
	o := perfect(d, s)
	lengths(t, e, s, o)
	first := s[0].Bits
	s = sift(t, e, distill.Start{Round: 1, At: s[0].Until})
	if n := distilltest.Differ(first, s[0].Bits); n < first.N*45/100 {
		t.Errorf("two rounds share bits: only %d of %d differ", n, first.N)
	}
	if want := float64(o.Errors) / float64(o.Kept); math.Abs(s[0].QBER-want) > 1e-8 {
		t.Errorf("reconciliation is to begin with %.6f; %.6f was counted", s[0].QBER, want)
	}
	again := sift(t, e, distilltest.At(0)) // no pulse serves twice
	if a, b := again[0].Private.(*block).first, s[0].Private.(*block).next; a < b {
		t.Errorf("a round begins at pulse %d, which is used up to %d", a, b)
	}
}

// Reconciliation's outcome is charged: leak bit by bit, dropped frames whole.
func TestLengthIsCharged(t *testing.T) {
	d := quick().full()
	e := ends(t, 13, Link{Device: d}, tenDB)
	s := sift(t, e, distilltest.At(0))
	o := perfect(d, s)
	l := lengths(t, e, s, o)
	if l.Bound != Wiesemann || l.EpsSec != d.EpsSec || l.EpsCor != o.EpsCor || l.Params["clock_hz"] != d.Clock {
		t.Errorf("the record says %+v", l)
	}
	more := o
	more.Leak, more.Verify = o.Leak+1000, 64
	if got := lengths(t, e, s, more); got.Bits != l.Bits-1064 {
		t.Errorf("1064 bits disclosed cost %d", l.Bits-got.Bits)
	}
	less := o
	less.Kept, less.Dropped = o.Kept-5000, 1
	if got := lengths(t, e, s, less); got.Bits != l.Bits-5000 {
		t.Errorf("5000 dropped bits cost %d", l.Bits-got.Bits)
	}
	less.Kept = o.Sifted + 1
	if _, err := e[0].Length(s[0], less); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("more kept than sifted: %v", err)
	}
	if _, err := e[0].Length(&distill.Sifted{}, o); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("another protocol's block: %v", err)
	}
}

func TestNewProtocolRefuses(t *testing.T) {
	d := quick()
	d.Block = maxBlock + 1
	for _, open := range []func() error{
		func() error { _, err := d.Protocol(distill.Setup{}); return err },
		func() error { _, err := Device{}.Protocol(distill.Setup{}); return err },
		func() error {
			_, err := quick().Protocol(distill.Setup{Channel: quantum.Channel{Loss: -1}})
			return err
		},
	} {
		if err := open(); !qsc.IsKind(err, qsc.Invalid) {
			t.Error(err)
		}
	}
}

// No light: both ends say so.
func TestScarce(t *testing.T) {
	l := Link{Device: quick(), Loss: func(time.Duration) (float64, float64, time.Duration) { return 300, 0, time.Hour }}
	e := ends(t, 14, l, tenDB)
	_, errs := distilltest.Sift(context.Background(), e, distilltest.At(0))
	for i, err := range errs {
		if !qsc.IsKind(err, qsc.Scarce) || e[i].Progress().Alarm == "" {
			t.Errorf("end %d: %v, alarm %q", i, err, e[i].Progress().Alarm)
		}
	}
}

// Windows bound blocks, loss and background change in time, and when no window
// comes both ends say so.
func TestWindows(t *testing.T) {
	d := quick()
	ms := time.Millisecond
	l := Link{
		Device: d,
		Loss: func(at time.Duration) (float64, float64, time.Duration) {
			if at%(40*ms) < 20*ms {
				return 12, 0, 20*ms - at%(40*ms)
			}
			return 8, 1e-5, 40*ms - at%(40*ms)
		},
		Window: func(after time.Duration) (time.Duration, time.Duration, bool) {
			for _, from := range []time.Duration{10 * ms, 90 * ms} {
				if after < from+40*ms {
					return max(after, from), from + 40*ms, true
				}
			}
			return 0, 0, false
		},
	}
	e := ends(t, 15, l, quantum.Channel{})
	at := distilltest.At(0)
	for _, end := range []time.Duration{50 * ms, 130 * ms} {
		s := sift(t, e, at)
		if s[0].Until.Before(distilltest.At(end).At) || s[0].Until.After(distilltest.At(end+ms).At) {
			t.Errorf("a window until %v gives a block until %v", end, s[0].Until)
		}
		c := d.Expect(12, 0, 20e6).Add(d.Expect(8, 1e-5, 20e6))
		if n, want := float64(s[0].Bits.N), sum(c.Key); math.Abs(n-want) > 5*math.Sqrt(want) {
			t.Errorf("%v bits in a window, %.0f expected", n, want)
		}
		if p := e[1].Progress(); p.Sifted == 0 {
			t.Errorf("progress %+v", p)
		}
		at = distill.Start{At: s[0].Until}
	}
	if _, errs := distilltest.Sift(context.Background(), e, at); !distilltest.Fail(errs, qsc.Scarce) {
		t.Errorf("after the last window: %v", errs)
	}
}

// With Pace a block takes the device's time, and an end that is told to stop does.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := quick()
		d.Clock = 10e6
		p, _ := d.Predict(tenDB)
		var e [2]distill.Protocol
		for role := range e {
			e[role], _ = d.Protocol(distill.Setup{Role: distill.Role(role), World: quantum.World{Start: time.Now()}, Channel: tenDB, Pace: true})
		}
		begin := time.Now()
		s := sift(t, e, distill.Start{At: begin})
		if took := time.Since(begin); took < p.Fill*95/100 || took > p.Fill*110/100 || time.Now().Add(time.Millisecond).Before(s[0].Until) {
			t.Errorf("a block took %v, its device %v", took, p.Fill)
		}
		ctx, cancel := context.WithTimeout(context.Background(), p.Fill/2)
		defer cancel()
		if _, errs := distilltest.Sift(ctx, e, distill.Start{At: s[0].Until}); errs[0] == nil || !qsc.IsKind(errs[1], qsc.Timeout) {
			t.Errorf("stopped in the middle: %v", errs)
		}
		if time.Since(begin) > 2*p.Fill {
			t.Errorf("stopping took until %v", time.Since(begin))
		}
	})
}

// What an eavesdropper does is seen, key stops, and comes again once she has left.
func TestAttacks(t *testing.T) {
	for _, c := range []struct {
		kind     quantum.AttackKind
		strength float64
		kinds    string // noisy: refused while sifting; keyless: no length; less: less key
	}{
		{quantum.InterceptResend, 1, "noisy"},
		{quantum.InterceptResend, 0.05, "less"},
		{quantum.NumberSplitting, 1, "keyless"},
		{quantum.NumberSplitting, 0.1, "less"},
		{quantum.Noise, 1, "noisy"},
		{quantum.Blinding, 1, "noisy"},
	} {
		d := quick().full()
		d.Block = 250_000
		e := ends(t, 16, Link{Device: d}, tenDB)
		s := sift(t, e, distilltest.At(0))
		before := lengths(t, e, s, perfect(d, s))
		if err := e[1].(quantum.Attackable).Attack(quantum.Attack{Kind: c.kind, Strength: c.strength}); err != nil {
			t.Fatal(err)
		}
		s, errs := distilltest.Sift(context.Background(), e, distill.Start{At: s[0].Until})
		switch {
		case c.kinds == "noisy":
			if !distilltest.Fail(errs, qsc.Noisy) || e[0].Progress().Alarm == "" {
				t.Errorf("%s at %v: %v", c.kind, c.strength, errs)
			}
		case errs[0] != nil || errs[1] != nil:
			t.Errorf("%s at %v: %v", c.kind, c.strength, errs)
		default:
			l := lengths(t, e, s, perfect(d, s))
			if c.kinds == "keyless" && l.Bits > 0 || float64(l.Bits) > 0.85*float64(before.Bits) {
				t.Errorf("%s at %v: %d bits, %d before", c.kind, c.strength, l.Bits, before.Bits)
			}
		}
		if err := e[1].(quantum.Attackable).Attack(quantum.Attack{}); err != nil {
			t.Fatal(err)
		}
		s = sift(t, e, distilltest.At(0))
		if l := lengths(t, e, s, perfect(d, s)); float64(l.Bits) < 0.8*float64(before.Bits) || e[0].Progress().Alarm != "" || e[1].Progress().Alarm != "" {
			t.Errorf("after %s: %d bits, %d before, alarm %q", c.kind, l.Bits, before.Bits, e[0].Progress().Alarm)
		}
	}
}

// Full intercept-resend leaves no key whatever preset and however it is judged.
func TestInterceptResendGivesNoKeyAtAll(t *testing.T) {
	for _, p := range Presets() {
		d, loss := p.Device.(Device).full(), channels[p.Name]
		_, c := clickSome(d, 17, loss, quantum.Attack{Kind: quantum.InterceptResend, Strength: 1})
		s := &sender{src: newSource(world(17), d)}
		l := &listener{}
		if _, err := exchange(s, l, c, nil, d.Decoys); err != nil {
			t.Fatal(err)
		}
		counts := l.observed(d)
		q := ratio(sum(counts.TestErr), sum(counts.Test))
		if q < 0.2 || q > 0.3 {
			t.Errorf("%s: an error rate of %.3f", p.Name, q)
		}
		counts.KeyErr, counts.Pooled, counts.Leak = [3]float64{q * sum(counts.Key)}, true, tails.Entropy(q)*sum(counts.Key)
		if e := d.secret(counts); e.Bits > 0 {
			t.Errorf("%s: %.0f bits", p.Name, e.Bits)
		}
	}
}

func TestAttackErrors(t *testing.T) {
	e := ends(t, 18, Link{Device: quick()}, tenDB)
	for _, c := range []struct {
		end    int
		attack quantum.Attack
		kind   qsc.Kind
	}{
		{0, quantum.Attack{Kind: quantum.Noise, Strength: 1}, qsc.Unsupported},
		{1, quantum.Attack{Kind: quantum.Tampering, Strength: 1}, qsc.Unsupported},
		{1, quantum.Attack{Kind: quantum.Noise, Strength: 1.5}, qsc.Invalid},
		{1, quantum.Attack{Kind: quantum.Noise, Strength: math.NaN()}, qsc.Invalid},
	} {
		if err := e[c.end].(quantum.Attackable).Attack(c.attack); !qsc.IsKind(err, c.kind) {
			t.Errorf("%+v at end %d: %v", c.attack, c.end, err)
		}
	}
}

// Changed messages are found out where they make no sense, and nothing panics; what
// still makes sense is the tags' affair.
func TestNonsenseIsCorrupt(t *testing.T) {
	for _, change := range []struct {
		typ  byte
		what func([]byte) []byte
	}{
		{typeClicks, func(b []byte) []byte { return b[:len(b)-1] }},
		{typeClicks, func(b []byte) []byte { b[8]++; return b }},
		{typeClicks, func(b []byte) []byte { return append(b, 0) }},
		{typeKept, func(b []byte) []byte { return b[:len(b)-1] }},
		{typeKept, func(b []byte) []byte { b[4]++; return b }},
		{typeKept, func(b []byte) []byte { b[0] = 9; return b }},
		{typeTally, func(b []byte) []byte { b[0] = 1; return b }},
		{typeVerdict, func(b []byte) []byte { return append(b[:1], 0xff, 0, 0, 0) }},
	} {
		e := ends(t, 19, Link{Device: quick()}, tenDB)
		var errs [2]error
		errs[0], errs[1] = distilltest.Both(context.Background(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
			w.Change = func(typ byte, msg []byte) []byte {
				if typ == change.typ {
					return change.what(bytes.Clone(msg))
				}
				return msg
			}
			_, err := e[role].Sift(ctx, w, distilltest.At(0))
			return err
		})
		if !qsc.IsKind(errs[0], qsc.Corrupt) && !qsc.IsKind(errs[1], qsc.Corrupt) {
			t.Errorf("message %#x: %v", change.typ, errs)
		}
	}
}

// A stranger who speaks in Bob's place learns no setting of pulses to come, and the
// next block of the two goes on as if he had not been.
func TestAStrangerSpoilsOneBlockOnly(t *testing.T) {
	e := ends(t, 23, Link{Device: quick()}, tenDB)
	alice, _ := distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
		if role == distill.Bob {
			c := clicks{from: 0, to: maxCount}
			return w.Send(ctx, typeClicks, c.append(nil))
		}
		_, err := e[0].Sift(ctx, w, distilltest.At(0))
		return err
	})
	if !qsc.IsKind(alice, qsc.Corrupt) {
		t.Errorf("clicks until the end of time: %v", alice)
	}
	sift(t, e, distilltest.At(0))
}

// Under a pace Alice answers nothing before the pulses have left her. Time is virtual:
// what ends her is the context, however busy the machine.
func TestNothingIsToldAhead(t *testing.T) {
	for after, kind := range map[time.Duration]qsc.Kind{2 * time.Second: qsc.Timeout, time.Hour: qsc.Corrupt} {
		synctest.Test(t, func(t *testing.T) {
			p, err := NewProtocol(distill.Setup{Role: distill.Alice, World: world(24), Channel: tenDB, Pace: true, Now: func() time.Time { return distilltest.At(0).At }}, Link{Device: quick()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			alice, _ := distilltest.Both(ctx, func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
				if role == distill.Alice {
					_, err := p.Sift(ctx, w, distilltest.At(after))
					return err
				}
				first := p.(*end).pulseAt(distilltest.At(after).At.Sub(world(24).Start))
				c := clicks{from: first, to: first + 1000, pulse: []uint64{first}}
				c.basis.put(1, 1)
				if err := w.Send(ctx, typeClicks, c.append(nil)); err != nil {
					return err
				}
				if _, err := w.Receive(ctx, typeKept, maxKeptMessage); err == nil {
					t.Error("an answer about a pulse to come")
				}
				return nil
			})
			if !qsc.IsKind(alice, kind) {
				t.Errorf("%v ahead: %v", after, alice)
			}
		})
	}
}

// The factor is that of the time that the work took, whatever else the machine does
// meanwhile: how large it is on a free core is BenchmarkRealtime's to say.
func TestRealtime(t *testing.T) {
	const device = 0.02
	begin := time.Now()
	f, err := Realtime(preset(t, "tokyo-45km"), quantum.Channel{Loss: 14.5}, device)
	if took := time.Since(begin).Seconds(); err != nil || f*took < device*(1-1e-9) || f > 1e3 {
		t.Errorf("%v times real time, %v s of work for %v s (%v)", f, took, device, err)
	}
	if _, err := Realtime(Device{}, tenDB, 1); !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), "clock_hz") {
		t.Error(err)
	}
}
