package mdi

import (
	"os"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func withCascade() distill.Reconciler { return cascade.New(cascade.Config{}) }

// From announced coincidences to the length of the key, with a real reconciliation
// between. A block that has key is one of three million bits, for QSC_LONG; of a short
// one both ends must have equal bits, and find that there is none.
func TestKeyAfterCascade(t *testing.T) {
	d, long := preset(t, "mdi-live"), os.Getenv("QSC_LONG") != ""
	if !long {
		d.Block = 40_000
	}
	if l := distilltest.Distil(t, distilltest.Ends(t, d, 5, 7), withCascade); long && l.Bits < 10_000 || !long && l.Bits > 0 {
		t.Errorf("%d bits of key", l.Bits)
	}
}
