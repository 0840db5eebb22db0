package wide

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// longestPause is how long no key may come at all, a controller's death and a
// machine that is busy with other things included.
const longestPause = 3 * time.Second

// calm fails the test when drawing stood still for too long.
func calm(t *testing.T, what string, s span) {
	t.Helper()
	t.Logf("%s: %v", what, s)
	if s.keys == 0 || s.gap > longestPause {
		t.Errorf("%s: key must keep coming: %v", what, s)
	}
}

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
	a, b := n.admit("alice", "bob", from, to, p)
	d := draw(t, a, b, 1, 256)
	if r := n.settled(d, from, to, p); len(r.Paths) != 2 || r.Disjoint {
		t.Errorf("%d paths, disjoint: %t; there are two, and none around otemachi", len(r.Paths), r.Disjoint)
	}
	d.mark() // the links began empty
	n.until("key", time.Now(), func() bool { return d.drawn() > 50 })
	calm(t, "before", d.mark())
	if s := twin(t, a, b); s.Paths != 2 || s.Need != 1 || s.Disjoint || s.Hops < 2 {
		t.Errorf("the KME says %+v", s)
	}
	n.kill("hakusan")
	cut := time.Now()
	took := n.until("a way around hakusan", cut, func() bool {
		return !passes(n.route(from, to, p).Paths, []qsc.NodeID{"hakusan"})
	})
	calm(t, "meanwhile", d.mark())
	n.until("key over it", time.Now(), func() bool { return d.drawn() > 50 })
	twin(t, a, b)
	s := d.mark()
	t.Logf("up after %v, routed around after %v", n.up.Round(time.Millisecond), took.Round(time.Millisecond))
	calm(t, "after", s)
}
