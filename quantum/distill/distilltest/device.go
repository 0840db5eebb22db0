package distilltest

import (
	"context"
	"math"
	"math/bits"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Preset returns the device of a name out of a kind's presets.
func Preset[D quantum.Device](t testing.TB, presets []quantum.Preset, name string) (d D) {
	t.Helper()
	for _, p := range presets {
		if p.Name == name {
			return p.Device.(D)
		}
	}
	t.Fatalf("no preset %s", name)
	return d
}

// Ends opens both ends of a device, unpaced, in a world of one seed that begins with
// At(0).
func Ends(t testing.TB, d distill.Runnable, loss float64, seed byte) (ends [2]distill.Protocol) {
	t.Helper()
	for role := range ends {
		p, err := d.Protocol(distill.Setup{
			Role: distill.Role(role), Channel: quantum.Channel{Loss: loss},
			World: quantum.World{Seed: [32]byte{seed}, Start: At(0).At},
		})
		if err != nil {
			t.Fatal(err)
		}
		ends[role] = p
	}
	return ends
}

// Distil runs a round from At(0) on with a real reconciliation, each end with one of
// its own, and returns the length of the key that both ends must come to. No bit may
// differ after it.
func Distil(t testing.TB, ends [2]distill.Protocol, reconciler func() distill.Reconciler) distill.Length {
	t.Helper()
	var out [2]distill.Corrected
	var l [2]distill.Length
	alice, bob := Both(t.Context(), func(ctx context.Context, role distill.Role, w *Wire) error {
		s, err := ends[role].Sift(ctx, w, At(0))
		if err != nil {
			return err
		}
		n := int64(s.Bits.N)
		if out[role], err = reconciler().Reconcile(ctx, w, role, s.Bits, s.QBER); err != nil {
			return err
		}
		l[role], err = ends[role].Length(s, distill.Outcome{Sifted: n, Kept: n, Leak: s.Leak + out[role].Leak, Verify: 64, EpsCor: 1e-10})
		return err
	})
	if alice != nil || bob != nil {
		t.Fatal(alice, bob)
	}
	if n := Differ(out[0].Bits, out[1].Bits); n > 0 || out[0].Bits.N == 0 || len(out[0].Failed) > 0 {
		t.Errorf("%d of %d bits differ, %d frames failed", n, out[0].Bits.N, len(out[0].Failed))
	}
	if l[0].Bits != l[1].Bits {
		t.Errorf("%d and %d bits of key", l[0].Bits, l[1].Bits)
	}
	return l[0]
}

// Stops checks that a round at the pace of a device ends with its context, as
// Timeout. The device must take longer for a block than a few hundredths of a second.
func Stops(t *testing.T, d distill.Runnable, ch quantum.Channel) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	now := time.Now()
	alice, bob := Both(ctx, func(ctx context.Context, role distill.Role, w *Wire) error {
		p, err := d.Protocol(distill.Setup{Role: role, Pace: true, Channel: ch, World: quantum.World{Start: now}})
		if err == nil {
			_, err = p.Sift(ctx, w, distill.Start{At: now})
		}
		return err
	})
	if !qsc.IsKind(alice, qsc.Timeout) && !qsc.IsKind(bob, qsc.Timeout) { // the first to end cuts the wire
		t.Error(alice, bob)
	}
}

// Differ is the number of bits that differ, those that one end alone has included.
func Differ(a, b distill.Bits) int {
	if a.N > b.N {
		a, b = b, a
	}
	n := b.N - a.N
	for i := range a.N / 64 {
		n += bits.OnesCount64(a.W[i] ^ b.W[i])
	}
	for i := a.N &^ 63; i < a.N; i++ {
		n += int(a.Bit(i) ^ b.Bit(i))
	}
	return n
}

// Fit is the probability of a deviation as large as that of the counts, by χ². Classes
// of which fewer than least are wanted are left out; five at the least must be left.
func Fit(t testing.TB, got, want []float64, least float64) float64 {
	t.Helper()
	chi, k := 0.0, 0.0
	for i := range got {
		if want[i] >= least {
			chi, k = chi+(got[i]-want[i])*(got[i]-want[i])/want[i], k+1
		}
	}
	if k < 5 {
		t.Fatalf("%g classes with enough counts", k)
	}
	return distuv.ChiSquared{K: k}.Survival(chi)
}

// Near reports whether two numbers are equal to a part rel of the larger; no NaN is.
func Near(a, b, rel float64) bool {
	return math.Abs(a-b) <= rel*math.Max(math.Abs(a), math.Abs(b))
}

// Within checks that a number is what it should be, to a part rel of that.
func Within(t testing.TB, what string, got, want, rel float64) {
	t.Helper()
	if !(math.Abs(got-want) <= rel*math.Abs(want)) {
		t.Errorf("%s: %.15g, want %.15g within %g", what, got, want, rel)
	}
}
