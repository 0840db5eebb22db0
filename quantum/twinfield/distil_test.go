package twinfield

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func withCascade() distill.Reconciler { return cascade.New(cascade.Config{}) }

// From announced windows to the length of the key, with a real reconciliation between.
func TestKeyAfterCascade(t *testing.T) {
	d := preset(t, "sns-live")
	d.Block = 200_000
	if l := distilltest.Distil(t, distilltest.Ends(t, d, 20, 7), withCascade); l.Bits < 1000 {
		t.Errorf("%d bits of key", l.Bits)
	}
}
