package bbm92

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func withCascade() distill.Reconciler { return cascade.New(cascade.Config{}) }

// From coincidences to the length of the key, with a real reconciliation between.
func TestKeyAfterCascade(t *testing.T) {
	d := preset(t, "bbm92-live")
	d.Block, d.PZ = 60_000, 0.7
	if l := distilltest.Distil(t, distilltest.Ends(t, d, 8, 7), withCascade); l.Bits < 10_000 {
		t.Errorf("%d bits of key", l.Bits)
	}
}
