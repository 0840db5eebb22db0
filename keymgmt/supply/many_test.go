package supply

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// TestManyKeys sends 10^5 keys (10^7 with QSC_LONG=1) through two nodes that are
// stopped and started meanwhile: no identifier and no key comes twice at either
// end, every key can be fetched once and by its slave only, and a stop in order
// burns nothing.
func TestManyKeys(t *testing.T) {
	lives, perLife := 4, 25_000
	if os.Getenv("QSC_LONG") != "" {
		lives, perLife = 20, 500_000
	}
	n := newNetwork()
	da, db := diskOf(t, true), diskOf(t, true)
	seen := &oracle{ids: map[qsc.KeyID]bool{}, keys: map[[16]byte]bool{}}
	for range lives {
		a, b := n.join(t, "a", da, nil), n.join(t, "b", db, nil)
		var left atomic.Int64
		left.Store(int64(perLife))
		var work sync.WaitGroup
		for range 6 {
			work.Go(func() {
				for left.Load() > 0 && !t.Failed() {
					left.Add(-seen.exchange(t, a, b))
				}
			})
		}
		work.Wait()
		must(t, a.Close())
		must(t, b.Close())
		for _, s := range []*Supply{a, b} {
			balanced(t, s)
			if total := s.Status().Total; total.Burnt*1000 > total.Produced {
				t.Fatalf("more than a thousandth is burnt: %+v", total)
			}
		}
	}
	if len(seen.ids) < lives*perLife {
		t.Fatalf("only %d keys", len(seen.ids))
	}
}

// oracle remembers all that was ever given out.
type oracle struct {
	mu   sync.Mutex
	ids  map[qsc.KeyID]bool
	keys map[[16]byte]bool
}

// exchange sends one batch through and returns how many keys it had.
func (o *oracle) exchange(t *testing.T, a, b *Supply) int64 {
	k, err := a.Issue(t.Context(), ask("a1", "b1", 128))
	if qsc.IsKind(err, qsc.Exhausted) {
		return 0
	}
	if err != nil {
		t.Error(err)
		return 0
	}
	if _, err := b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b2", Master: "a1", IDs: k.IDs[:1]}); !qsc.IsKind(err, qsc.Denied) {
		t.Errorf("a stranger: %v", err)
	}
	got, err := b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs})
	if err != nil || !got.Bytes.Equal(k.Bytes) {
		t.Error("the two ends differ", err)
		return 0
	}
	if _, err := b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs[:1]}); !qsc.IsKind(err, qsc.NotFound) {
		t.Errorf("a second fetch: %v", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, id := range k.IDs {
		key := [16]byte(k.Bytes.Expose()[32*i:])
		if o.ids[id] || o.keys[key] {
			t.Error("an identifier or a key came twice")
		}
		o.ids[id], o.keys[key] = true, true
	}
	return int64(len(k.IDs))
}
