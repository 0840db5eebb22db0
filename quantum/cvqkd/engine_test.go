package cvqkd_test

import (
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/cvqkd"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// The whole way: symbols, reconciliation, verification, amplification, tags over
// a socket; the blocks are equal at both ends, simulated, and say their bound.
func TestKeyBlocks(t *testing.T) {
	ends := distilltest.Links(t, cvqkd.Device{
		Clock: 1e6, VA: 1, Xi: 0.002, Eta: 0.8, Vel: 0.02, Beta: 0.72, Trusted: true,
		Block: 1 << 18, Estimate: 0.5, Frame: 1 << 13, EpsPE: 1e-4, EpsBar: 1e-4, EpsPA: 1e-4,
	}, distill.Setup{World: quantum.World{Seed: [32]byte{42}, Start: time.Now()}, Channel: quantum.Channel{Loss: 1}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, r := distilltest.First(ctx, t, ends)
	if b.Bound != cvqkd.FiniteSize || b.EpsSec < 3e-4 || r.Params["xi_worst"] == nil {
		t.Errorf("bound %s, secrecy %g, %+v", b.Bound, b.EpsSec, r)
	}
}
