package kernels

import (
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

type kind int32

func TestChoice(t *testing.T) {
	c := New("pkg", func(k kind) string { return [...]string{"slow", "none", "fast"}[k] }, 2, 0)
	if names := c.Names(); c.Active() != 2 || !slices.Equal(names, []string{"fast", "slow"}) {
		t.Fatalf("%d of %q", c.Active(), names)
	}
	restore, err := c.Use("slow")
	if err != nil || c.Active() != 0 {
		t.Fatal(c.Active(), err)
	}
	if _, err := c.Use("none"); !qsc.IsKind(err, qsc.Unsupported) || c.Active() != 0 {
		t.Errorf("one that is not here: %d, %v", c.Active(), err)
	}
	if restore(); c.Active() != 2 {
		t.Errorf("%d after restoring", c.Active())
	}
}
