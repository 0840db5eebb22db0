package twinfield

import (
	"context"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/cascade"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// From announced windows to the length of the key, with a real reconciliation between.
func TestKeyAfterCascade(t *testing.T) {
	d := preset(t, "sns-live")
	d.Block = 200_000
	e := ends(t, d, 20, 7)
	var out [2]distill.Corrected
	var l [2]distill.Length
	a, b := distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
		s, err := e[role].Sift(ctx, w, distilltest.At(0))
		if err != nil {
			return err
		}
		n := int64(s.Bits.N)
		if out[role], err = cascade.New(cascade.Config{}).Reconcile(ctx, w, role, s.Bits, s.QBER); err != nil {
			return err
		}
		l[role], err = e[role].Length(s, distill.Outcome{Sifted: n, Kept: n, Leak: s.Leak + out[role].Leak, Verify: 64, EpsCor: 1e-10})
		return err
	})
	if a != nil || b != nil {
		t.Fatal(a, b)
	}
	if n := differ(out[0].Bits, out[1].Bits); n > 0 || len(out[0].Failed) > 0 {
		t.Errorf("%d bits differ, %d frames failed", n, len(out[0].Failed))
	}
	if l[0].Bits != l[1].Bits || l[0].Bits < 1000 {
		t.Errorf("%d and %d bits of key", l[0].Bits, l[1].Bits)
	}
}
