package photons

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Either end of a link is killed in the middle of rounds, and comes again: the link
// makes key again, no number of a block comes twice, both ends tell of the same
// rounds, the books balance, and no two keys differ.
func TestKilledEnds(t *testing.T) {
	victims, larger := []qsc.NodeID{"b", "a"}, int64(1) // Bob, Alice of the link a-b
	if os.Getenv("QSC_LONG") != "" {
		// Every start of a node takes a slot for the handshake of each of its links; a
		// block of 4 KiB has three, and the next such block is a minute of key away.
		victims, larger = append(victims, "b", "c", "a", "b", "c"), 4
	}
	n, d := triangle(t, larger)
	for _, victim := range victims {
		n.killed(victim)
	}
	n.closed(d)
}

// killed ends a node somewhere in the next rounds of its links and starts it anew.
func (n *network) killed(victim qsc.NodeID) {
	n.T.Helper()
	n.read()
	at := time.NewTimer(time.Duration(rand.IntN(200)) * time.Millisecond) // a round takes so long
	<-at.C
	n.MustKill(victim)
	n.read()
	n.MustStart(victim)
	n.Linked()
	for _, l := range n.Net.LinksOf(victim) {
		if !l.Physical() {
			continue
		}
		before := n.latest(l.ID)
		took := n.Until("key again on "+string(l.ID), func() bool { return n.newest(l.ID) > before && n.both(l.ID, good) })
		n.T.Logf("%s killed: key again on %s after %v", victim, l.ID, took)
	}
	n.read()
}

// latest is the last round that either end has told of so far.
func (n *network) latest(id qsc.LinkID) (last uint64) {
	for i := range 2 {
		for round := range n.books.ends[end{id, i}] {
			last = max(last, round)
		}
	}
	return last
}
