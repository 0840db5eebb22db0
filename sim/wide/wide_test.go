package wide

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// Koganei and Hongo have no link, and all that Koganei has passes Otemachi; from
// there two ways lead on, one over Hakusan, which dies.
func TestTokyo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	needCurl(t)
	const from, to = qsc.NodeID("koganei"), qsc.NodeID("hongo")
	p := keymgmt.Protection{Paths: 2, Need: 1}
	n := open(t, "tokyo-simulated")
	a, b := n.Admit("alice", "bob", from, to, keymgmt.Policy{Protection: p})
	d := fleettest.Draw(t, a, b, often(1))
	if r := n.settled(d, from, to, p); r.Disjoint {
		t.Errorf("the paths %v are disjoint; there is none around otemachi", r.Paths)
	}
	d.Mark() // the links began empty
	n.Until("key of both paths", func() bool { now := d.Now(); return now.Keys > 50 && now.Told.Paths == 2 })
	before := d.Mark()
	before.Calm(t, "before")
	if s := twin(t, a, b); s.Paths != 2 || s.Need != 1 || s.Disjoint || s.Hops < 2 {
		t.Errorf("the KME says %+v", s)
	}
	n.MustKill("hakusan")
	cut := time.Now()
	took := n.Since(cut, patience, "a way around hakusan", func() bool {
		return !passes(n.route(from, to, p).Paths, []qsc.NodeID{"hakusan"})
	})
	n.Until("key meanwhile", func() bool { return d.Now().Keys > 0 })
	d.Mark().Calm(t, "meanwhile", before)
	n.Until("key over it", func() bool { return d.Now().Keys > 50 })
	twin(t, a, b)
	s := d.Mark()
	t.Logf("up after %v, routed around after %v", n.up.Round(time.Millisecond), took.Round(time.Millisecond))
	s.Calm(t, "after", before)
}
