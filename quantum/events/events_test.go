package events

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

var world = quantum.World{Seed: [32]byte{7}, Epoch: 3, Start: distilltest.At(0).At}

func TestStreamsAreApart(t *testing.T) {
	long := "a purpose of more than thirty-two bytes, so that it is taken in parts"
	seen := map[uint64]string{}
	for _, purpose := range []string{"", "a", "b", "ab", long, long + "x"} {
		x := Stream(world, purpose).Uint64()
		if x != Stream(world, purpose).Uint64() {
			t.Errorf("%q: not the same twice", purpose)
		}
		if other, ok := seen[x]; ok {
			t.Errorf("%q draws what %q draws", purpose, other)
		}
		seen[x] = purpose
	}
}

// The draws of a round are its own.
func TestRoundsDrawApart(t *testing.T) {
	seen := map[uint64]bool{}
	for _, start := range []distill.Start{distilltest.At(0), {Round: 1, At: distilltest.At(0).At}, distilltest.At(1)} {
		r := Run{Setup: distill.Setup{World: world}, Start: start}
		seen[r.Stream("a").Uint64()], seen[r.Stream("b").Uint64()] = true, true
		if r.Stream("a").Uint64() != r.Stream("a").Uint64() {
			t.Error("not the same twice")
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d different streams of 6", len(seen))
	}
}

// Every byte of the words, and every bit against the same bit of the next pulse,
// as evenly as chance has it.
func TestSettingsAreEven(t *testing.T) {
	s, n := NewSettings(world, "alice"), 100_000
	var bytes [8][256]float64
	var joint [64]float64
	for i := range n {
		w, next := s.Word(uint64(i)), s.Word(uint64(i)+1)
		for j := range bytes {
			bytes[j][w>>(8*j)&255]++
		}
		for j := range joint {
			joint[j] += float64((w ^ next) >> j & 1)
		}
	}
	want := float64(n) / 256
	for j := range bytes {
		chi := 0.0
		for _, x := range bytes[j] {
			chi += (x - want) * (x - want) / want
		}
		if p := (distuv.ChiSquared{K: 255}).Survival(chi); p < 1e-4 {
			t.Errorf("byte %d: p = %.1e", j, p)
		}
	}
	for j, x := range joint {
		if z := (x - float64(n)/2) / math.Sqrt(float64(n)/4); math.Abs(z) > 5 {
			t.Errorf("bit %d of neighbours: %.1f standard deviations", j, z)
		}
	}
}

func TestGapsFollowTheProbability(t *testing.T) {
	for _, p := range []float64{0.7, 0.1, 1e-4} {
		g, n, end := NewGaps(Stream(world, "gaps"), p), 0, uint64(20_000/p)
		var first float64 // events in the very next pulse
		last := uint64(0)
		for i := g.Next(0, end); i < end; i = g.Next(i+1, end) {
			if i == last+1 {
				first++
			}
			n, last = n+1, i
		}
		mean := p * float64(end)
		if z := (float64(n) - mean) / math.Sqrt(mean*(1-p)); math.Abs(z) > 4.5 {
			t.Errorf("p %g: %d events, not %.0f", p, n, mean)
		}
		if z := (first - mean*p) / math.Sqrt(mean*p); math.Abs(z) > 4.5 {
			t.Errorf("p %g: %.0f neighbours, not %.0f", p, first, mean*p)
		}
	}
	if g := NewGaps(Stream(world, "none"), 0); g.Next(5, 1<<60) != 1<<60 {
		t.Error("an event of probability 0")
	}
}

func TestPulsesAndTimes(t *testing.T) {
	for _, clock := range []uint64{1, 3, 999_999_937, 1_000_000_000, 10_000_000_000} {
		for _, since := range []time.Duration{-1, 0, 1, time.Second, 12345678901, 30 * 365 * 24 * time.Hour} {
			n := PulseAt(clock, since)
			if back := TimeOf(clock, n); since > 0 && (back < since-1 || back > since+time.Second/time.Duration(clock)+1) {
				t.Errorf("clock %d: pulse %d at %v begins at %v", clock, n, since, back)
			}
		}
	}
}

func TestBatchesComeBack(t *testing.T) {
	in := told{Batch: Batch{From: 10, To: 1 << 40, Slots: []uint64{10, 11, 500, 1<<40 - 1}, Detail: []byte{9}}, report: []byte("counts")}
	out, err := parse(in.marshal())
	if err != nil || out.From != 10 || out.To != 1<<40 || !slices.Equal(out.Slots, in.Slots) || !bytes.Equal(out.Detail, in.Detail) || string(out.report) != "counts" {
		t.Errorf("%+v, %v", out, err)
	}
	bits := []bool{true, false, false, true, true, true, false, true, true}
	packed := Pack(nil, len(bits), func(i int) bool { return bits[i] })
	for i, b := range bits {
		if Packed(packed, i) != b {
			t.Errorf("bit %d comes back as %t", i, !b)
		}
	}
}

func FuzzBatch(f *testing.F) {
	f.Add((&told{Batch: Batch{From: 1, To: 99, Slots: []uint64{4, 7}, Detail: []byte{1}}}).marshal())
	f.Add((&told{verdict: full}).marshal())
	f.Fuzz(func(t *testing.T, msg []byte) {
		b, err := parse(msg)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Error(err)
			}
			return
		}
		last := b.From
		for i, s := range b.Slots {
			if s < last || s >= b.To {
				t.Fatalf("detection %d lies outside", i)
			}
			last = s + 1
		}
		again, err := parse(b.marshal())
		if err != nil || !slices.Equal(again.Slots, b.Slots) {
			t.Error("a batch does not come back", err)
		}
	})
}

// ticker is both parts of a protocol in which every thousandth pulse is detected.
type ticker struct {
	n, want int
	bad     bool
}

func (k *ticker) Observe(b *Batch) {
	for i := b.From; i < b.To; i++ {
		if i%1000 == 0 {
			b.Slots = append(b.Slots, i)
		}
	}
	b.Detail = []byte{1}
}
func (k *ticker) Answered(b *Batch, _ []byte) error { k.n += len(b.Slots); return nil }
func (k *ticker) Answer(b *Batch) ([]byte, error)   { k.n += len(b.Slots); return nil, nil }
func (k *ticker) Report() []byte                    { return []byte{2} }
func (k *ticker) State() State                      { return State{Have: k.n, Want: k.want, Hopeless: k.bad} }

type listener struct{ *ticker }

func (l listener) Report(b []byte) error {
	if len(b) != 1 {
		return corrupt("no report")
	}
	return nil
}

// both runs a block of tickers at both ends. An end that gives it up has an alarm, and
// no other.
func both(t *testing.T, setup distill.Setup, k ticker, patience time.Duration) (until [2]time.Time, errs [2]error) {
	t.Helper()
	var meter [2]Meter
	errs[0], errs[1] = distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) (err error) {
		r := Run{Setup: setup, Start: distilltest.At(time.Second), Clock: 1e6, Rate: 1e-3, Patience: patience, MaxReply: 10, Meter: &meter[role]}
		mine := k
		if role == distill.Alice {
			until[0], err = r.Follow(ctx, w, listener{&mine})
		} else {
			until[1], err = r.Observe(ctx, w, &mine)
		}
		return err
	})
	for i, err := range errs {
		if alarm := meter[i].Progress().Alarm; (alarm != "") != (err != nil) {
			t.Errorf("end %d: %v, alarm %q", i, err, alarm)
		}
	}
	return until, errs
}

func TestRunsEndAlike(t *testing.T) {
	setup := distill.Setup{World: world}
	until, errs := both(t, setup, ticker{want: 1000}, time.Hour)
	if errs != [2]error{} || until[0] != until[1] || until[0].Before(distilltest.At(2*time.Second).At) {
		t.Errorf("until %v, %v", until, errs)
	}
	if _, errs := both(t, setup, ticker{want: 100_000}, 20*time.Second); errs != [2]error{} {
		t.Errorf("a third of a block when patience ends: %v", errs)
	}
	if _, errs := both(t, setup, ticker{want: 1e7}, time.Second); !distilltest.Fail(errs, qsc.Scarce) {
		t.Errorf("next to nothing: %v", errs)
	}
	if _, errs := both(t, setup, ticker{want: 1e7, bad: true}, time.Hour); !distilltest.Fail(errs, qsc.Noisy) {
		t.Errorf("hopeless: %v", errs)
	}
}

// A paced run takes as long as the device.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world
		w.Start = time.Now()
		start := time.Now()
		var meter Meter
		alice, bob := distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, wire *distilltest.Wire) (err error) {
			r := Run{Setup: distill.Setup{World: w, Pace: true}, Start: distill.Start{At: start}, Clock: 1e6, Rate: 1e-3, Patience: time.Hour, MaxReply: 10, Meter: &meter}
			k := ticker{want: 2000}
			if role == distill.Alice {
				_, err = r.Follow(ctx, wire, listener{&k})
			} else {
				_, err = r.Observe(ctx, wire, &k)
			}
			return err
		})
		if took := time.Since(start); alice != nil || bob != nil || took != 2*time.Second {
			t.Errorf("2,000 detections at 1,000 a second took %v (%v, %v)", took, alice, bob)
		}
		if p := meter.Progress(); p.Fraction != 1 || p.Sifted != 1000 {
			t.Errorf("%+v", p)
		}
	})
}

// Alice tells nothing of pulses that have not left her, and goes no further than a
// device could have come, whoever speaks in Bob's place.
func TestNothingIsToldAhead(t *testing.T) {
	for name, c := range map[string]struct {
		from, to uint64
		at       time.Duration // after the round's start
		kind     qsc.Kind
	}{
		"a long batch":         {0, 1e6, time.Hour, qsc.Corrupt},
		"a batch of next year": {3e13, 3e13 + 1000, 0, qsc.Corrupt},
		"the next second":      {1e6, 1e6 + 1000, 0, qsc.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world
				w.Start = time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
				defer cancel()
				k := ticker{want: 1000}
				alice, _ := distilltest.Both(ctx, func(ctx context.Context, role distill.Role, wire *distilltest.Wire) error {
					if role == distill.Bob {
						m := told{Batch: Batch{From: c.from, To: c.to, Slots: []uint64{c.from}}}
						return wire.Send(ctx, TypeBatch, m.marshal())
					}
					now := func() time.Time { return w.Start.Add(c.at) }
					start := w.Start.Add(TimeOf(1e6, c.from))
					r := Run{Setup: distill.Setup{World: w, Pace: true, Now: now}, Start: distill.Start{At: start}, Clock: 1e6, Rate: 1e-3, Patience: time.Hour, MaxReply: 10, Meter: new(Meter)}
					_, err := r.Follow(ctx, wire, listener{&k})
					return err
				})
				if !qsc.IsKind(alice, c.kind) || k.n != 0 {
					t.Errorf("%v, and %d detections answered", alice, k.n)
				}
			})
		})
	}
}
