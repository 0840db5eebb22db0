package distill_test

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// leaves is a reconciler that leaves errors at these places, and tells of each call
// what it disclosed and what it corrected in the frames that it left right.
type leaves struct {
	distill.Reconciler
	wrong []int
	done  func(leak, corrected int64)
}

func (l leaves) Reconcile(ctx context.Context, w distill.Wire, role distill.Role, b distill.Bits, qber float64) (distill.Corrected, error) {
	before := slices.Clone(b.W)
	c, err := l.Reconciler.Reconcile(ctx, w, role, b, qber)
	if err != nil {
		return c, err
	}
	for _, i := range l.wrong {
		c.Bits.Set(i, c.Bits.Bit(i)^1)
	}
	var corrected int64
	for f := range c.Bits.N / c.Frame {
		if slices.ContainsFunc(l.wrong, func(i int) bool { return i/c.Frame == f }) {
			continue
		}
		for i := f * c.Frame / 64; i < (f+1)*c.Frame/64; i++ {
			corrected += int64(bits.OnesCount64(before[i] ^ c.Bits.W[i]))
		}
	}
	l.done(c.Leak, corrected)
	return c, nil
}

// drawn is a stream whose bits and errors come of the round's number instead of the time:
// the same in every run.
type drawn struct{ distill.Protocol }

func (d drawn) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	own := time.Unix(int64(at.Round), 0)
	x, err := d.Protocol.Sift(ctx, w, distill.Start{Round: at.Round, At: own})
	if err == nil {
		x.Until = at.At.Add(x.Until.Sub(own))
	}
	return x, err
}

// One lane of bits left wrong fails each frame that it has a wrong bit in. Those are
// lost whole, and nothing that was disclosed about them is forgiven: length and account
// are reckoned anew here from what the reconciler saw.
func TestLaneLeftWrong(t *testing.T) {
	r := newRig(t)
	const lane, lost = 5, 4
	wrong := []int{lane, lane + 64*100, lane + 64*101, lane + 64*700, lane + 64*1023} // frames 0, 1, 1, 10, 15
	type call struct{ leak, errors int64 }
	var mu sync.Mutex
	calls := map[call]bool{}
	r.room = 1 // that is 64 blocks: some rounds
	// Cascade leaves about one in a million short strands wrong: none of these.
	r.protect = func(_ int, p distill.Protocol) distill.Protocol { return drawn{p} }
	r.correct = func(end int, c distill.Reconciler) distill.Reconciler {
		if end == alice {
			return c
		}
		return leaves{c, wrong, func(leak, corrected int64) {
			mu.Lock()
			defer mu.Unlock()
			calls[call{leak, corrected}] = true
		}}
	}
	a, b := r.both()
	same(t, next(t, a, all), next(t, b, all))
	until(t, "the room is full", func() bool { return a.Status().NextBlock < 0 || b.Status().NextBlock < 0 })
	for end, l := range []*distill.Link{a, b} {
		list := l.Records(1 << 20)
		if len(list) == 0 {
			t.Fatalf("end %d keeps nothing of its rounds", end)
		}
		for _, x := range list {
			if x.Sifted != int64(r.bits) || x.Lost != int64(lost*r.frame) {
				t.Errorf("end %d: %d of %d bits are lost, not %d frames of %d", end, x.Lost, x.Sifted, lost, r.frame)
			}
			frames := int64(r.bits / r.frame)
			mu.Lock()
			seen := calls[call{x.Leak - 64*frames, x.Errors}]
			mu.Unlock()
			if !seen {
				t.Errorf("end %d: leak %d with %d hashes and %d errors are of no call", end, x.Leak, frames, x.Errors)
			}
			kept := float64(x.Sifted - x.Lost)
			up := float64(x.Errors)/kept + math.Sqrt(math.Log(1e10)/2/kept)
			if want := kept*(1-tails.Entropy(up)) - float64(x.Leak) - 2*math.Log2(1e10); float64(x.Length) > want || float64(x.Length) <= want-65 {
				t.Errorf("end %d: %d bits of key, the bound gives %.1f", end, x.Length, want)
			}
		}
	}
}
