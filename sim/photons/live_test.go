package photons

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// An eavesdropper who takes every photon of one link: the error rate rises, the rate
// falls to nothing, both ends raise an alarm and no key comes any more; keys go on
// being served by the other way, more of them than the link and the nodes had in
// store. When she is gone, so is the alarm, and there is key again.
func TestInterceptResend(t *testing.T) {
	n, d := triangle(t, 1)
	t.Logf("until key flows: %v", d.Mark())
	n.Until("key", func() bool { return d.Now().Draws > 50 })
	before := d.Mark()
	before.Calm(t, "before")

	if err := n.attack("a-b", quantum.InterceptResend, 1); err != nil {
		t.Fatal(err)
	}
	took := n.Until("an alarm at both ends", func() bool { return n.both("a-b", noisy) })
	s := n.still("a-b", noisy)
	t.Logf("alarm at both ends after %v: %s", took, s.ends[1].Alarm)
	stored, had := n.stored("a-b"), d.Bytes(d.Now())
	around := n.Until("key around the link, more than it and the nodes had in store", func() bool {
		now := d.Now()
		return d.Bytes(now) > had+stored && now.Told.Hops == 2
	})
	t.Logf("more than the %d bytes in store were drawn after %v", stored, around)
	n.nothing(s, noisy)
	under := d.Mark()
	n.read()

	if err := n.attack("a-b", quantum.InterceptResend, 0); err != nil {
		t.Fatal(err)
	}
	again := n.Until("key again", func() bool { return n.newest("a-b") > s.round && n.both("a-b", good) })
	t.Logf("key again after %v", again)
	n.Until("key", func() bool { return d.Now().Draws > 50 })
	under.Calm(t, "under attack", before, d.Mark())
	n.closed(d)
}

// triangle starts three nodes with full rings, of which two serve keys. Blocks and
// rings are so many times as large as the file has them.
func triangle(t *testing.T, larger int64) (*network, *fleettest.Drawing) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	net := fleettest.Load(t, "testdata/triangle.toml")
	for i := range net.Links {
		net.Links[i].Block *= larger
		net.Links[i].Pad *= larger
	}
	n := open(t, net)
	n.Start()
	n.filled()
	d := n.pair("alice", "bob", "a", "b")
	n.flows(d)
	return n, d
}

// noisy is a link end as it is under full interception, good as it is at rest.
func noisy(l admin.Link) bool { return l.Alarm != "" && l.Rate == 0 && l.QBER > 0.2 }
func good(l admin.Link) bool  { return l.Alarm == "" && l.Rate > 0 && l.QBER < 0.05 }

// both reports whether something holds at both ends of a link.
func (n *network) both(id qsc.LinkID, ok func(admin.Link) bool) bool {
	n.T.Helper()
	ends := n.link(id)
	return ok(ends[0]) && ok(ends[1])
}

// pair admits two applications and begins to draw between them, slower than a link of
// the triangle makes key, faster than what it has in store lasts.
func (n *network) pair(master, slave qsc.AppID, from, to qsc.NodeID) *fleettest.Drawing {
	n.T.Helper()
	a, b := n.Admit(master, slave, from, to, keymgmt.Policy{})
	return fleettest.Draw(n.T, a, b, fleettest.Plan{Every: 20 * time.Millisecond, Number: 7, Bits: 256, Lost: []qsc.Kind{qsc.Invalid}})
}

// filled waits until the rings of every live link are all but full, and the key that
// fills them is known at both ends to be good.
func (n *network) filled() {
	n.T.Helper()
	for _, l := range n.live() {
		n.Until("key on "+string(l.ID), func() bool {
			return n.newest(l.ID) > 1 && n.both(l.ID, func(l admin.Link) bool {
				return good(l) && l.Send.Left > l.Send.Capacity*3/4 && l.Recv.Left > l.Recv.Capacity*3/4
			})
		})
	}
}

// flows waits until keys are drawn by a controller's routes.
func (n *network) flows(d *fleettest.Drawing) {
	n.T.Helper()
	n.Until("keys, by a controller's routes", func() bool {
		drawn := d.Now()
		return drawn.Keys > 0 && drawn.Told.Hops == 1 && n.Status(n.Net.Nodes[0].ID).Control.Flows > 0
	})
}

// stored is the key that can still be served from end 0 to end 1 of a link that makes
// none any more, in bytes, but for a block on its way into a ring.
func (n *network) stored(id qsc.LinkID) int64 {
	n.T.Helper()
	l := n.link(id)[0]
	return l.Send.Left + l.Stock + n.Status(n.described(id).Ends[0]).Keys.Left
}

// standing is a link that makes no key any more: what its ends told of it and of
// their last rounds when it had come to a standstill.
type standing struct {
	link  qsc.LinkID
	ends  [2]admin.Link
	last  [2]quantum.Record
	round uint64 // the later of them
}

// still waits until a state has been seen, and no round has ended, often enough in a
// row for what was under way to have come to its end: the hash of a round is done
// beside the next one.
func (n *network) still(id qsc.LinkID, ok func(admin.Link) bool) standing {
	n.T.Helper()
	var s standing
	seen := 0
	n.Until("a standstill", func() bool {
		now := standing{link: id, ends: n.link(id), last: n.told(id)}
		now.round = max(now.last[0].Round, now.last[1].Round)
		if !ok(now.ends[0]) || !ok(now.ends[1]) || now.last[0].Round != s.last[0].Round || now.last[1].Round != s.last[1].Round {
			seen = 0
		}
		s = now
		seen++
		return seen > 50
	})
	return s
}

// nothing checks that no key has come of a link since it came to a standstill: no
// round has ended, what waits has not grown, and the rings have taken no more blocks
// than the rounds have numbered. Ring and stock are not read at one moment, so that
// their sum says nothing.
func (n *network) nothing(s standing, ok func(admin.Link) bool) {
	n.T.Helper()
	ends, last := n.link(s.link), n.told(s.link)
	for i, l := range ends {
		if last[i].Round != s.last[i].Round {
			n.T.Errorf("end %d: round %d was finished under attack", i, last[i].Round)
		}
		numbered := int64(last[i].FirstSeq+uint64(last[i].Blocks)) * l.Block
		taken := l.Send.Produced + l.Recv.Produced + l.SendSlots.Produced + l.RecvSlots.Produced
		if !ok(l) || l.Stock > s.ends[i].Stock || taken > numbered || numbered == 0 {
			n.T.Errorf("end %d makes key under attack, or took more than %d bytes: %s, was %s", i, numbered, fleettest.Line(l), fleettest.Line(s.ends[i]))
		}
	}
}

// closed stops drawing and checks all books.
func (n *network) closed(all ...*fleettest.Drawing) {
	n.T.Helper()
	for _, d := range all {
		d.End()
		n.T.Logf("%s: %v", d, d.Mark())
	}
	n.read()
	n.balanced()
	n.T.Logf("%d rounds told alike at both ends", n.books.audit(n.fail))
}
