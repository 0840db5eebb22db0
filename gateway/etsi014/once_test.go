package etsi014

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/etsi014/load"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// No key comes twice, and both ends get the same, over 10^5 keys.
func TestOnceEach(t *testing.T) {
	batches := int64(800)
	if os.Getenv("QSC_LONG") != "" {
		batches = 80_000 // 10^7 keys
	}
	n := open(t, keymgmttest.SupplyConfig{})
	plan := load.Plan{Master: n.end(t, n.a, "alice"), Slave: n.end(t, n.b, "bob"), Workers: 4, Batch: 128,
		Duration: 10 * time.Minute, MaxPairs: batches, Once: true}
	r, err := load.Run(t.Context(), plan)
	if err != nil || r.Errors+r.Wrong > 0 || r.Keys < (batches-4)*128 {
		t.Fatalf("%d keys, %d wrong, %d errors, first %v, %v", r.Keys, r.Wrong, r.Errors, r.First, err)
	}
	if waiting, _ := n.supply.Outstanding(); waiting != 0 {
		t.Errorf("%d keys wait though all were fetched", waiting)
	}
	if st := n.a.Stats(); st.Issued != r.Keys || n.b.Stats().Fetched != r.Keys {
		t.Errorf("the counters say %d", st.Issued)
	}
}

// Many ask for the same key at once: one gets it.
func TestRace(t *testing.T) {
	n := open(t, keymgmttest.SupplyConfig{})
	alice := n.client(t, n.a, "alice")
	var bobs []*Client
	for range 8 {
		bobs = append(bobs, n.client(t, n.b, "bob"))
	}
	for range 20 {
		k, err := alice.EncKeys(t.Context(), "bob", KeyRequest{Number: 2})
		if err != nil {
			t.Fatal(err)
		}
		var won, lost atomic.Int64
		var all sync.WaitGroup
		for _, bob := range bobs {
			all.Go(func() {
				switch _, err := bob.DecKeys(t.Context(), "alice", k.IDs...); {
				case err == nil:
					won.Add(1)
				case qsc.IsKind(err, qsc.NotFound):
					lost.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 7 {
			t.Fatalf("%d got the keys, %d were told that they are gone", won.Load(), lost.Load())
		}
	}
}
