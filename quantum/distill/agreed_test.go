package distill_test

import (
	"context"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// coarse is a device whose ends have reconciled already, and corrected much: signs
// of weak quadratures differ in a fifth of the cases, on a channel without fault.
type coarse struct{ agreed }

func (c coarse) Sift(ctx context.Context, w distill.Wire, at distill.Start) (*distill.Sifted, error) {
	x, err := c.agreed.Sift(ctx, w, at)
	if err == nil {
		x.Errors = int64(x.Bits.N / 5)
	}
	return x, err
}

// Progress implements Protocol: such a device sees no quantum bit error rate.
func (c coarse) Progress() distill.Progress {
	p := c.agreed.Progress()
	p.QBER = 0
	return p
}

// What a protocol has corrected itself is counted, but it is no quantum bit error
// rate, and there is no f of it.
func TestErrorsOfWavesAreNoErrorRate(t *testing.T) {
	r := newRig(t)
	r.qber = 0
	r.protect = func(_ int, p distill.Protocol) distill.Protocol { return coarse{agreed{p}} }
	a, b := r.both()
	x, y := next(t, a, all), next(t, b, all)
	same(t, x, y)
	for end, l := range []*distill.Link{a, b} {
		rec, st := l.Records(1<<20), l.Status()
		if len(rec) == 0 {
			t.Errorf("end %d keeps nothing of its rounds", end)
		}
		for _, r := range rec { // one, or more by now
			if r.Errors != r.Sifted/5 || r.QBER != 0 || r.Efficiency != 0 {
				t.Errorf("end %d keeps of a round: %+v", end, r)
			}
		}
		if st.QBER != 0 || st.F != 0 {
			t.Errorf("end %d tells of %g errors and f %g", end, st.QBER, st.F)
		}
	}
	if x.QBER != 0 || x.Efficiency != 0 || y.QBER != 0 || y.Efficiency != 0 {
		t.Errorf("blocks with error rates %g and %g, f %g and %g", x.QBER, y.QBER, x.Efficiency, y.Efficiency)
	}
}
