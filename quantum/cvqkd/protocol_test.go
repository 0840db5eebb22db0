package cvqkd

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// short is a device that makes key of few symbols: generous epsilons, little
// loss, an efficiency that the codes of the tests reach.
func short() Device {
	return Device{
		Clock: 1e6, VA: 1.5, Xi: 0.005, Eta: 0.8, Vel: 0.02, Beta: 0.6, Trusted: true,
		Block: 1 << 17, Estimate: 0.75, Frame: 1 << 12, EpsPE: 1e-4, EpsBar: 1e-4, EpsPA: 1e-4,
	}
}

var oneDB = quantum.Channel{Loss: 1, Distance: 5}

// ends opens both ends over a world of one seed.
func ends(t *testing.T, d Device, seed byte) (p [2]distill.Protocol) {
	t.Helper()
	for role := range p {
		w := quantum.World{Epoch: 1, Start: distilltest.At(0).At}
		w.Seed[0] = seed
		var err error
		if p[role], err = d.Protocol(distill.Setup{Role: distill.Role(role), World: w, Channel: oneDB}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func sift(t *testing.T, p [2]distill.Protocol) [2]*distill.Sifted {
	t.Helper()
	s, errs := distilltest.Sift(t.Context(), p, distilltest.At(time.Second))
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// outcome is what an engine makes of a block: the frames that failed dropped.
func outcome(s *distill.Sifted) distill.Outcome {
	o := distill.Outcome{Sifted: int64(s.Bits.N), Leak: s.Leak, Frames: s.Bits.N / s.Frame, Dropped: len(s.Failed), EpsCor: 1e-10}
	o.Kept = int64(o.Frames-o.Dropped) * int64(s.Frame)
	o.Verify = 64 * int64(o.Frames)
	return o
}

func lengths(t *testing.T, p [2]distill.Protocol, s [2]*distill.Sifted) distill.Length {
	t.Helper()
	var l [2]distill.Length
	for i := range l {
		var err error
		if l[i], err = p[i].Length(s[i], outcome(s[i])); err != nil {
			t.Fatal(err)
		}
	}
	if l[0].Bits != l[1].Bits {
		t.Errorf("lengths %d and %d at the two ends", l[0].Bits, l[1].Bits)
	}
	return l[0]
}

// Both ends have the same bits in all frames but those listed, which are the same
// at both; few fail; the estimate lies within five standard deviations of the
// truth; and the key is what the count level predicts for the frames kept.
func TestBothEndsAgree(t *testing.T) {
	for _, heterodyne := range []bool{false, true} {
		d := short()
		if d.Heterodyne = heterodyne; heterodyne {
			d.VA, d.Block = 3, 1<<16
		}
		p := ends(t, d, 7)
		s := sift(t, p)
		agree(t, s)
		truth(t, d, s[0].Private.(counts).sums)
		l := lengths(t, p, s)
		if l.Bound != FiniteSize || l.EpsSec != d.epsSec() {
			t.Errorf("bound %s at %g", l.Bound, l.EpsSec)
		}
		if kept := outcome(s[0]).Kept; l.Bits > kept/2 {
			t.Errorf("%d secret bits of %d", l.Bits, kept)
		}
		if want := distilltest.At(time.Second).At.Add(p[0].(*Protocol).after(d.Block)); !s[0].Until.Equal(want) || !s[1].Until.Equal(want) {
			t.Errorf("data until %v and %v, want %v", s[0].Until, s[1].Until, want)
		}
	}
}

func agree(t *testing.T, s [2]*distill.Sifted) {
	t.Helper()
	a, b := s[0], s[1]
	if a.Bits.N != b.Bits.N || a.Frame != b.Frame || a.Leak != b.Leak || a.Errors != b.Errors || !slices.Equal(a.Failed, b.Failed) {
		t.Fatalf("accounts differ: bits %d %d, leak %d %d, errors %d %d, failed %v %v", a.Bits.N, b.Bits.N, a.Leak, b.Leak, a.Errors, b.Errors, a.Failed, b.Failed)
	}
	frames, words := a.Bits.N/a.Frame, a.Frame/64
	if len(a.Failed)*4 > frames {
		t.Errorf("%d of %d frames failed", len(a.Failed), frames)
	}
	for f := range frames {
		same := slices.Equal(a.Bits.W[f*words:(f+1)*words], b.Bits.W[f*words:(f+1)*words])
		if same == slices.Contains(a.Failed, f) {
			t.Errorf("frame %d of %d: same at both ends: %t, listed as failed: %t", f, frames, same, same)
		}
	}
	if a.Errors == 0 {
		t.Error("nothing was corrected: where did the noise go?")
	}
}

// A code that is chosen too sharp asks for help, which is charged, and learns to
// keep a margin.
func TestHelp(t *testing.T) {
	d := short()
	d.Beta = 0.84 // near what any code could do at this length
	p := ends(t, d, 8)
	s := sift(t, p)
	agree(t, s)
	r := &round{Protocol: p[1].(*Protocol)}
	sum := s[0].Private.(counts).sums
	l, _ := sum.fit()
	frames := int64(s[0].Bits.N / s[0].Frame)
	unaided := frames * int64(d.checks(d.shifted(l, 1), 0)+parityBits)
	if helped := s[0].Leak - unaided; helped < int64(d.Frame/helpShare) {
		t.Errorf("%d bits disclosed above the syndromes of %d frames: no help was needed", helped, frames)
	}
	if r.margin == 0 {
		t.Error("nothing learnt")
	}
	r.learn(1000, 0)
	if r.margin != 0 {
		t.Errorf("margin %g after 1000 good frames", r.margin)
	}
}

// truth: T and xi as estimated against what was drawn, with the statistical
// error of the maximum-likelihood estimate.
func truth(t *testing.T, d Device, s sums) {
	t.Helper()
	want := d.linear(d.transmittance(oneDB), d.Xi, float64(s.m))
	got, ok := s.fit()
	if !ok {
		t.Fatal("nothing to fit")
	}
	if sd := math.Sqrt(want.sigma2 / (want.m * d.VA)); math.Abs(got.gain-want.gain) > 5*sd {
		t.Errorf("gain %.5f, drawn with %.5f ± %.5f", got.gain, want.gain, sd)
	}
	if sd := want.sigma2 * math.Sqrt(2/want.m); math.Abs(got.sigma2-want.sigma2) > 5*sd {
		t.Errorf("noise %.5f, drawn with %.5f ± %.5f", got.sigma2, want.sigma2, sd)
	}
	if mean := s.xx / float64(s.m); math.Abs(mean-d.VA) > 5*d.VA*math.Sqrt(2/want.m) {
		t.Errorf("modulation variance %.4f, drawn with %.4f", mean, d.VA)
	}
}

// The key that the drawn test values allow is the count level's, within four
// standard deviations of the estimate, for a reconciliation that reaches beta.
func TestEventsMeetThePrediction(t *testing.T) {
	d := short()
	d.Block, d.Beta, d.Estimate = 1<<20, 0.78, 0.5
	p := ends(t, d, 3)[0].(*Protocol)
	c := counts{symbols: d.Block}
	r := &round{Protocol: p, start: distilltest.At(0)}
	for i := range int(d.Block / batchSymbols) {
		b, _ := r.measure(i, batchSymbols)
		r.compare(b)
	}
	c.sums = r.sum
	kept := int64(float64(d.Block) * (1 - d.Estimate))
	l, _ := c.sums.fit()
	leak := kept - int64(float64(kept)*d.Beta*math.Log1p(d.snr(l))/(2*math.Ln2))
	got, err := p.Length(&distill.Sifted{Private: c}, distill.Outcome{Kept: kept, Leak: leak})
	if err != nil {
		t.Fatal(err)
	}
	want, err := d.Predict(oneDB)
	if err != nil {
		t.Fatal(err)
	}
	// What one standard deviation of the estimate is worth.
	chi := func(l linear) float64 {
		low, high, _ := d.worst(l)
		return d.at(low, high).holevo()
	}
	expected := d.linear(p.t, d.Xi, float64(c.sums.m))
	sd := (1-d.Estimate)*(chi(d.shifted(expected, 1))-chi(expected)) + 0.001
	rate := float64(got.Bits) / float64(d.Block)
	if math.Abs(rate-want.PerUse) > 4*sd || rate <= 0 || sd > want.PerUse/10 {
		t.Errorf("%.5f bits a symbol from events, %.5f predicted, standard deviation %.5f", rate, want.PerUse, sd)
	}
}

// An eavesdropper who measures and resends everything, or who shines noise in,
// leaves no key: both ends stop with Noisy, and go on when she is gone.
func TestEavesdropperLeavesNoKey(t *testing.T) {
	for _, kind := range []quantum.AttackKind{quantum.InterceptResend, quantum.Noise} {
		d := short()
		p := ends(t, d, 5)
		for _, e := range p {
			if err := e.(quantum.Attackable).Attack(quantum.Attack{Kind: kind, Strength: 1}); err != nil {
				t.Fatal(err)
			}
		}
		_, errs := distilltest.Sift(t.Context(), p, distilltest.At(0))
		if !distilltest.Fail(errs, qsc.Noisy) || p[0].Progress().Alarm == "" || p[1].Progress().Alarm == "" {
			t.Errorf("%s: %v, alarms %q and %q", kind, errs, p[0].Progress().Alarm, p[1].Progress().Alarm)
		}
		if err := p[0].(quantum.Attackable).Attack(quantum.Attack{}); err != nil {
			t.Fatal(err)
		}
		agree(t, sift(t, p))
	}
}

// Intercept-resend adds 2 units of excess noise at strength 1 and half at a half.
func TestInterceptResendAddsTwoUnits(t *testing.T) {
	d := short()
	for _, strength := range []float64{0.5, 1} {
		p := ends(t, d, 9)[0].(*Protocol)
		if err := p.Attack(quantum.Attack{Kind: quantum.InterceptResend, Strength: strength}); err != nil {
			t.Fatal(err)
		}
		r := &round{Protocol: p, start: distilltest.At(0)}
		b, _ := r.measure(0, batchSymbols)
		r.compare(b)
		l, _ := r.sum.fit()
		_, xi := d.channel(l)
		if want := d.Xi + 2*strength; math.Abs(xi-want) > 5*2*math.Sqrt(3/l.m)/(l.gain*l.gain) {
			t.Errorf("strength %g: xi %.3f, want %.3f", strength, xi, want)
		}
	}
}

// A weaker attack passes the early look and is paid for in the length.
func TestPartialInterceptionCostsKey(t *testing.T) {
	d := short()

	var got [2]int64
	for i, strength := range []float64{0, 0.04} {
		p := ends(t, d, 6)
		if err := p[0].(quantum.Attackable).Attack(quantum.Attack{Kind: quantum.InterceptResend, Strength: strength}); err != nil {
			t.Fatal(err)
		}
		got[i] = lengths(t, p, sift(t, p)).Bits
	}
	if lost := got[0] - got[1]; lost < 1000 {
		t.Errorf("%d bits without, %d with 4 %% intercepted", got[0], got[1])
	}
}

func TestAttackRefuses(t *testing.T) {
	p := ends(t, short(), 1)[0].(*Protocol)
	for _, c := range []struct {
		a    quantum.Attack
		kind qsc.Kind
	}{
		{quantum.Attack{Kind: quantum.NumberSplitting, Strength: 1}, qsc.Unsupported},
		{quantum.Attack{Kind: quantum.Blinding, Strength: 1}, qsc.Unsupported},
		{quantum.Attack{Kind: quantum.Noise, Strength: 1.5}, qsc.Invalid},
		{quantum.Attack{Kind: quantum.Noise, Strength: math.NaN()}, qsc.Invalid},
	} {
		if err := p.Attack(c.a); !qsc.IsKind(err, c.kind) {
			t.Errorf("%+v: %v", c.a, err)
		}
	}
}

// No light at all: both ends say that there is too little.
func TestNoSignalIsScarce(t *testing.T) {
	p := ends(t, short(), 2)
	for _, e := range p {
		e.(*Protocol).t = 0
	}
	if _, errs := distilltest.Sift(t.Context(), p, distilltest.At(0)); !distilltest.Fail(errs, qsc.Scarce) {
		t.Error(errs)
	}
}

// Close and a cancelled context stop a paced round at once.
func TestStops(t *testing.T) {
	d := short()
	d.Clock = 1 // a block takes days
	for _, how := range []string{"close", "cancel"} {
		ctx, cancel := context.WithCancel(t.Context())
		p, err := d.Protocol(distill.Setup{Channel: oneDB, Pace: true})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := distilltest.Pair()
		done := make(chan error, 1)
		started := make(chan struct{})
		p.(*Protocol).setup.Now = func() time.Time {
			select {
			case <-started:
			default:
				close(started)
			}
			return time.Now()
		}
		var stop = func() { _ = p.Close() }
		want := qsc.Unreachable
		if how == "cancel" {
			stop, want = cancel, qsc.Timeout
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, err := p.Sift(ctx, a, distill.Start{At: time.Now()}); done <- err })
		<-started
		stop()
		if err := <-done; !qsc.IsKind(err, want) {
			t.Errorf("%s: %v", how, err)
		}
		cancel()
	}
}

// A length that rests on nothing is refused, by kind.
func TestLengthRefuses(t *testing.T) {
	p := ends(t, short(), 1)[0]
	o := distill.Outcome{Kept: 4096, Leak: 1000, Frames: 1}
	good := sums{m: 1000, xx: 1500, xy: 1000, yy: 1500}
	for _, c := range []struct {
		name    string
		private any
		kept    int64
		kind    qsc.Kind
	}{
		{"of another protocol", 7, o.Kept, qsc.Invalid},
		{"no tests", counts{}, o.Kept, qsc.Scarce},
		{"no signal", counts{1, sums{m: 1000, xx: 1500, xy: 1, yy: 1000}}, o.Kept, qsc.Scarce},
		{"nothing kept", counts{1, good}, 0, qsc.Noisy},
	} {
		o.Kept = c.kept
		if _, err := p.Length(&distill.Sifted{Private: c.private}, o); !qsc.IsKind(err, c.kind) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The engine asks for what it can use, by name of the fault.
func TestOpenRefuses(t *testing.T) {
	for name, change := range map[string]func(*Device){
		"asymptotic":     func(d *Device) { d.Block = 0 },
		"short block":    func(d *Device) { d.Block = 1 << 13 },
		"strong signal":  func(d *Device) { d.VA, d.Beta = 20, 0.95 },
		"no beta":        func(d *Device) { d.Beta = 0 },
		"odd frame":      func(d *Device) { d.Frame = 1000 },
		"noisy unit eta": func(d *Device) { d.Eta = 1 },
	} {
		d := short()
		change(&d)
		if _, err := d.Protocol(distill.Setup{Channel: oneDB}); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A lie in any message costs at most the round: an error of kind Corrupt at the
// end that reads it.
func TestChangedMessages(t *testing.T) {
	d := short()
	for _, typ := range []byte{typeBatch, typeCode, typeFrame, typeMore, typeResult} {
		p := ends(t, d, 4)
		_, errs := corruptOnce(t.Context(), p, typ)
		if !qsc.IsKind(errs[0], qsc.Corrupt) && !qsc.IsKind(errs[1], qsc.Corrupt) {
			t.Errorf("message %#x cut short: %v, %v", typ, errs[0], errs[1])
		}
	}
}

func corruptOnce(ctx context.Context, p [2]distill.Protocol, typ byte) (s [2]*distill.Sifted, errs [2]error) {
	errs[0], errs[1] = distilltest.Both(ctx, func(ctx context.Context, role distill.Role, w *distilltest.Wire) (err error) {
		w.Change = func(got byte, msg []byte) []byte {
			if got == typ {
				return msg[:len(msg)-1]
			}
			return msg
		}
		s[role], err = p[role].Sift(ctx, w, distilltest.At(0))
		return err
	})
	return s, errs
}
