package photons

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// An eavesdropper who takes every photon of one link: the error rate rises, the rate
// falls to nothing, both ends raise an alarm and no key comes any more; keys go on
// being served by the other way, more of them than the link and the nodes had in
// store. When she is gone, so is the alarm, and there is key again.
func TestInterceptResend(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	n := open(t, "testdata/triangle.toml")
	n.start()
	n.filled()
	d := n.pair("alice", "bob", "a", "b")
	n.flows(d)
	t.Logf("before: %v", d.mark())

	stored := n.stored("a-b")
	if err := n.attack("a-b", quantum.InterceptResend, 1); err != nil {
		t.Fatal(err)
	}
	took := n.until("an alarm at both ends", func() bool { return n.both("a-b", noisy) })
	s := n.still("a-b", noisy)
	t.Logf("alarm at both ends after %v: %s", took, s.ends[1].Alarm)
	around := n.until("key around the link, more than it and the nodes had in store", func() bool {
		bytes, hops := d.drawn()
		return bytes > stored && hops == 2
	})
	t.Logf("more than the %d bytes in store were drawn after %v", stored, around)
	n.nothing(s, noisy)
	calm(t, "under attack", d.mark())
	n.read()

	if err := n.attack("a-b", quantum.InterceptResend, 0); err != nil {
		t.Fatal(err)
	}
	again := n.until("key again", func() bool { return n.newest("a-b") > s.round && n.both("a-b", good) })
	t.Logf("key again after %v", again)
	n.closed(d)
}

// longestPause is how long no key may come at all while a link falls out, on a
// machine that is busy with other things.
const longestPause = 3 * time.Second

func calm(t *testing.T, what string, s span) {
	t.Helper()
	t.Logf("%s: %v", what, s)
	if s.keys == 0 || s.gap > longestPause {
		t.Errorf("%s: key must keep coming: %v", what, s)
	}
}

// noisy is a link end as it is under full interception, good as it is at rest.
func noisy(l admin.Link) bool { return l.Alarm != "" && l.Rate == 0 && l.QBER > 0.2 }
func good(l admin.Link) bool  { return l.Alarm == "" && l.Rate > 0 && l.QBER < 0.05 }

// both reports whether something holds at both ends of a link.
func (n *network) both(id qsc.LinkID, ok func(admin.Link) bool) bool {
	n.t.Helper()
	ends := n.link(id)
	return ok(ends[0]) && ok(ends[1])
}

// pair admits two applications and begins to draw between them.
func (n *network) pair(master, slave qsc.AppID, from, to qsc.NodeID) *drawing {
	n.t.Helper()
	a, b := n.admit(master, slave, from, to)
	return draw(n.t, a, b)
}

// filled waits until the rings of every live link are all but full, and the key that
// fills them is known at both ends to be good.
func (n *network) filled() {
	n.t.Helper()
	for _, l := range n.live() {
		n.until("key on "+string(l.ID), func() bool {
			return n.newest(l.ID) > 1 && n.both(l.ID, func(l admin.Link) bool {
				return good(l) && l.Send.Left > l.Send.Capacity*3/4 && l.Recv.Left > l.Recv.Capacity*3/4
			})
		})
	}
}

// flows waits until keys are drawn by a controller's routes.
func (n *network) flows(d *drawing) {
	n.t.Helper()
	n.until("keys, by a controller's routes", func() bool {
		bytes, hops := d.drawn()
		s := n.status(n.net.Nodes[0].ID)
		return bytes > 0 && hops == 1 && s.Control.Flows > 0
	})
}

// stored is an upper limit of the key that can still be served from end 0 to end 1
// of a link that makes none any more, in bytes.
func (n *network) stored(id qsc.LinkID) int64 {
	n.t.Helper()
	ends := n.link(id)
	return ends[0].Send.Left + ends[0].Stock + n.last[n.described(id).Ends[0]].Keys.Left
}

// standing is what an attacked link had made when it stopped.
type standing struct {
	link  qsc.LinkID
	round uint64
	ends  [2]admin.Link
}

// still waits until a state has been seen often enough in a row for what was under
// way to have come to its end.
func (n *network) still(id qsc.LinkID, ok func(admin.Link) bool) standing {
	n.t.Helper()
	seen := 0
	n.until("a standstill", func() bool {
		if !n.both(id, ok) {
			seen = 0
			return false
		}
		seen++
		return seen > 20
	})
	return standing{id, n.newest(id), n.link(id)}
}

// nothing checks that no key has come of a link since it came to a standstill.
func (n *network) nothing(s standing, ok func(admin.Link) bool) {
	n.t.Helper()
	ends := n.link(s.link)
	if round := n.newest(s.link); round != s.round {
		n.t.Errorf("%s: round %d was finished under attack", s.link, round)
	}
	for i, was := range s.ends {
		if made(ends[i]) > made(was) || !ok(ends[i]) {
			n.t.Errorf("end %d makes key under attack: %s, was %s", i, line(ends[i]), line(was))
		}
	}
}

// closed stops drawing and checks all books.
func (n *network) closed(all ...*drawing) {
	n.t.Helper()
	for _, d := range all {
		d.end()
		n.t.Logf("%s, %s: %v", d.master.id, d.slave.id, d.mark())
	}
	n.read()
	n.balanced()
	n.t.Logf("%d rounds told alike at both ends", n.books.audit(n.fail))
}
