package supply

import (
	"context"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A relay makes up rounds of one path for a pair whose key takes two: a segment
// for a stream that is there is refused, and a stream of its own begins but gives
// nothing to this pair.
func TestForgedRoundOfLessProtection(t *testing.T) {
	policy := keymgmt.Policy{Protection: keymgmt.Protection{Paths: 2}}
	n := newNetwork()
	join := func(node qsc.NodeID) *Supply {
		return n.join(t, node, diskOf(t, false), func(c *Config) {
			c.Directory = &directory{policy: policy}
			c.Floor = func(_ qsc.NodeID, p keymgmt.Protection) int { return min(p.Need, 2) }
		})
	}
	a, b := join("a"), join("b")
	defer func() { must(t, a.Close()); must(t, b.Close()) }()
	k, err := a.Issue(t.Context(), ask("a1", "b1", 1))
	must(t, err)
	_, err = b.Fetch(t.Context(), keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: k.IDs})
	must(t, err)

	b.mu.Lock()
	st := b.slaves["a"][0]
	b.mu.Unlock()
	forged := func(label []byte, n int) keymgmt.Delivery {
		return keymgmt.Delivery{From: "a", To: "b", Label: label, Key: qsc.NewSecret(make([]byte, n)), Hops: 2, Paths: 1, Need: 1, Disjoint: true}
	}
	want(t, b.Accept(forged(label(st, 9000), 4096)), qsc.Denied)
	n.mu.Lock()
	n.hold = true // the relay also keeps a, which knows of no such stream, from saying so
	n.mu.Unlock()

	own := newStream(streamDesc{role: master, purpose: forPool, id: [16]byte{9}, peer: "b", prot: keymgmt.Protection{Paths: 1, Need: 1}})
	must(t, b.Accept(forged(label(own, 0), headSize)))
	must(t, b.Accept(forged(label(own, 1), 4096)))
	head := make([]byte, headSize)
	id := newPermutation(head[:32]).encode(place{n: 1, at: 0, size: 32, tag: tag(newTagger(head[32:48]).hash("a1", "b1", 32), make([]byte, 8))})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err = b.Fetch(ctx, keymgmt.FetchRequest{Slave: "b1", Master: "a1", IDs: []qsc.KeyID{id}}); err == nil {
		t.Fatal("a pair whose key takes two paths was given key that one relay has made up")
	}
}

// Overlapping paths count as one, whatever they claim.
func TestHolders(t *testing.T) {
	for d, want := range map[[3]int]int{{1, 1, 1}: 1, {3, 2, 1}: 2, {3, 3, 0}: 1, {2, 0, 1}: 2} {
		if got := holders(keymgmt.Delivery{Paths: d[0], Need: d[1], Disjoint: d[2] == 1}); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}
