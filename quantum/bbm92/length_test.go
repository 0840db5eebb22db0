package bbm92

import (
	"math"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// The phase errors of a block stay as many when frames are dropped: the number that
// the bound allows among all sifted bits is allowed among the kept ones.
func TestDroppedFramesKeepTheirPhaseErrors(t *testing.T) {
	for _, bound := range []string{Tomamichel2012, KoashiPreskill} {
		p := &Protocol{link: Link{Security: Security{Bound: bound, EpsSec: 1e-10, EpsCor: 1e-15}}}
		s := &distill.Sifted{Private: Counts{Coincidences: 400_000, Tests: 100_000, Errors: 2_000}}
		const n = 200_000
		length := func(kept, leak int64) distill.Length {
			l, err := p.Length(s, distill.Outcome{Sifted: n, Kept: kept, Leak: leak, EpsCor: 1e-12})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		whole, some := length(n, 30_000), length(n/2, 30_000)
		if got, want := some.Phi*n/2, whole.Phi*n; math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %.3f phase errors may be in half of the bits, %.3f in all", bound, got, want)
		}
		// What is left cannot have more secret bits than all had, and one that is
		// dropped takes at most one secret bit with it.
		want := n/2*(1-tails.Entropy(2*whole.Phi)) - n*(1-tails.Entropy(whole.Phi))
		if got := float64(some.Bits - whole.Bits); math.Abs(got-want) > 1 || got >= 0 || got < -n/2 {
			t.Errorf("%s: half of the frames dropped cost %.0f bits, not %.0f", bound, -got, -want)
		}
	}
}

func TestLengthRefusesWhatCannotBe(t *testing.T) {
	p := &Protocol{link: Link{Security: Security{EpsSec: 1e-10, EpsCor: 1e-15}}}
	s := &distill.Sifted{Private: Counts{Tests: 1000}}
	for _, c := range []struct {
		s    *distill.Sifted
		o    distill.Outcome
		kind qsc.Kind
	}{
		{s, distill.Outcome{Sifted: 100, Kept: 101}, qsc.Invalid},
		{&distill.Sifted{}, distill.Outcome{Sifted: 100, Kept: 100}, qsc.Invalid},
		{s, distill.Outcome{Sifted: 100}, qsc.Scarce},
		{&distill.Sifted{Private: Counts{}}, distill.Outcome{Sifted: 100, Kept: 100}, qsc.Scarce},
	} {
		if _, err := p.Length(c.s, c.o); !qsc.IsKind(err, c.kind) {
			t.Errorf("%+v: %v, not %v", c.o, err, c.kind)
		}
	}
}
