package distill_test

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/quantumtest"
)

func TestConform(t *testing.T) {
	quantumtest.Conform(t, func(t *testing.T) quantumtest.Pair {
		r, opened := newRig(t), map[int]bool{}
		return quantumtest.Pair{Link: "ab", Epoch: 3, Block: r.block, Open: func(t *testing.T, end int) quantum.Link {
			if r.links[end] == nil { // the end that the kit does not look at is there, too
				r.both()
			} else if opened[end] {
				r.open(end)
			}
			opened[end] = true
			return r.links[end]
		}}
	})
}

// Blocks are the same, and account and records say under what they were made.
func TestBothEnds(t *testing.T) {
	r := newRig(t)
	a, b := r.both()
	for i := range uint64(300) {
		x, y := next(t, a, from(i)), next(t, b, from(i))
		same(t, x, y)
		if x.Class != qsc.Simulated|qsc.OSRandom || x.Bound != distill.StreamBound || x.QBER < 0.01 || x.QBER > 0.03 || x.Efficiency < 1 || x.Efficiency > 1.3 || x.EpsSec != 1 || x.EpsCor <= 0 || x.EpsCor > 1e-9 {
			t.Fatalf("block %d: %+v", i, x)
		}
	}
	ra, rb := a.Records(1000), b.Records(1000)
	if len(ra) < 3 || len(rb) < 3 {
		t.Fatalf("%d and %d records", len(ra), len(rb))
	}
	var lost, sifted int64
	for i, x := range ra {
		lost, sifted = lost+x.Lost, sifted+x.Sifted
		if x.Length <= 0 || x.Length > x.Sifted || x.Leak <= 0 || x.Auth < 256 || x.Auth > max(256, x.Length/16) || x.Lost%int64(r.frame) != 0 || x.Errors < x.Sifted/100 {
			t.Errorf("record %d: %+v", i, x)
		}
	}
	if lost > sifted/50 {
		t.Errorf("%d of %d bits were in frames that differed", lost, sifted)
	}
	if st := a.Status(); st.Rate <= 0 || st.Alarm != "" || st.Kind != "stream" || st.Bound != distill.StreamBound {
		t.Errorf("%+v", st)
	}
}
