package ldpc

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

var _ distill.Reconciler = (*Reconciler)(nil)

// pair draws n bits and a copy with errors at rate q.
func pair(seed uint64, n int, q float64) (a, b distill.Bits) {
	rng := rand.New(rand.NewPCG(seed, 1))
	a, b = distill.NewBits(n), distill.NewBits(n)
	for i := range n {
		v := rng.Uint64() & 1
		a.Set(i, v)
		if rng.Float64() < q {
			v ^= 1
		}
		b.Set(i, v)
	}
	return a, b
}

// changes are what is done to messages that each end receives.
type changes = [2]func(typ byte, msg []byte) []byte

// differ counts the bits of frames not in skip that differ.
func differ(a, b distill.Bits, frame int, skip []int) (n int) {
	for i := range a.N {
		if a.Bit(i) != b.Bit(i) && !slices.Contains(skip, i/frame) {
			n++
		}
	}
	return n
}

type run struct {
	got      [2]distill.Corrected
	errs     [2]error
	messages [2]int
}

// reconcile runs both ends; change sees what Bob receives.
func reconcile(ctx context.Context, cfg Config, a, b distill.Bits, q [2]float64, change changes) (r run) {
	r.errs[0], r.errs[1] = distilltest.Both(ctx, func(ctx context.Context, role distill.Role, w *distilltest.Wire) (err error) {
		w.Change = change[role]
		r.got[role], err = New(cfg).Reconcile(ctx, w, role, []distill.Bits{a, b}[role], q[role])
		r.messages[role], _ = w.Sent()
		return err
	})
	return r
}

func TestReconcileCorrectsAtBothRates(t *testing.T) {
	for _, q := range []float64{0.02, 0.05} {
		a, b := pair(7, 4<<14, q)
		keep := slices.Clone(a.W)
		r := reconcile(t.Context(), Config{Frame: 1 << 14}, a, b, [2]float64{q, q}, changes{})
		if r.errs[0] != nil || r.errs[1] != nil {
			t.Fatal(r.errs)
		}
		f := float64(r.got[0].Leak) / (float64(a.N) * h2(q))
		t.Logf("q %g: f %.3f, failed %v, messages %v", q, f, r.got[0].Failed, r.messages)
		if !slices.Equal(a.W, keep) {
			t.Error("Alice's bits changed")
		}
		if n := differ(a, b, r.got[1].Frame, r.got[1].Failed); n != 0 || len(r.got[0].Failed) > 0 {
			t.Errorf("%d bits differ, frames %v failed", n, r.got[0].Failed)
		}
		if r.got[0].Leak != r.got[1].Leak || f > 1.35 {
			t.Errorf("leak %d and %d, f %.3f", r.got[0].Leak, r.got[1].Leak, f)
		}
	}
}

func TestLeakIsWhatTheWireCarried(t *testing.T) {
	const n, frame = 3<<12 + 1000, 1 << 12
	a, b := pair(5, n, 0.036)
	l := layOut(n, frame, 0.03)
	var carried int64
	first := 0
	count := changes{
		distill.Alice: func(_ byte, msg []byte) []byte {
			var r report
			if _, err := r.parse(msg, l, rounds-1); err != nil {
				t.Error(err)
			}
			for _, f := range r.frames {
				carried += int64(len(f.positions)) // Bob waits for the answer before he sends more
			}
			return msg
		},
	}
	var syndromes int64
	count[distill.Bob] = func(typ byte, msg []byte) []byte {
		if typ == typeSyndrome {
			frames, err := l.parseSyndromes(msg, first)
			if err != nil {
				t.Error(err)
			}
			first += len(frames)
			for _, f := range frames {
				syndromes += int64(l.checksOf(f.index))
			}
		}
		return msg
	}
	r := reconcile(t.Context(), Config{Frame: frame}, a, b, [2]float64{0.03, 0.03}, count)
	if r.errs[0] != nil || r.errs[1] != nil {
		t.Fatal(r.errs)
	}
	if carried == 0 {
		t.Fatal("nothing was disclosed: the test shows nothing")
	}
	for i, g := range r.got {
		if g.Leak != carried+syndromes {
			t.Errorf("end %d counts %d bits, the wire carried %d", i, g.Leak, carried+syndromes)
		}
	}
	if r.messages[distill.Bob] > rounds+1 {
		t.Errorf("Bob sent %d messages", r.messages[distill.Bob])
	}
}

func TestReconcileRefusesHopelessRates(t *testing.T) {
	for _, q := range []float64{-0.1, 0.21, math.NaN()} {
		w, _ := distilltest.Pair()
		if _, err := New(Config{}).Reconcile(t.Context(), w, distill.Alice, distill.NewBits(5000), q); !qsc.IsKind(err, qsc.Noisy) {
			t.Errorf("rate %g: %v", q, err)
		}
	}
}

func TestReconcileOfNothingSendsNothing(t *testing.T) {
	w, _ := distilltest.Pair()
	if c, err := New(Config{}).Reconcile(t.Context(), w, distill.Bob, distill.Bits{}, 0.02); err != nil || c.Leak != 0 {
		t.Errorf("%v, leak %d", err, c.Leak)
	}
}
