package plan

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// BenchmarkPlan is the network of issue 4: a hundred nodes, ten thousand
// terminals, kinds of link by distance.
func BenchmarkPlan(b *testing.B) {
	net, err := topology.Load("backbone-100")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Make(b.Context(), Config{Network: net, Terminals: 10_000}); err != nil {
			b.Fatal(err)
		}
	}
}
