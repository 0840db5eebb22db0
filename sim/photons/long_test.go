package photons

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

func long(t *testing.T) {
	if os.Getenv("QSC_LONG") == "" {
		t.Skip("some minutes: QSC_LONG=1")
	}
}

// minutes is how long a built-in network runs.
func minutes() time.Duration {
	n, err := strconv.ParseFloat(cmp.Or(os.Getenv("QSC_MINUTES"), "3"), 64)
	if err != nil {
		n = 3
	}
	return time.Duration(n * float64(time.Minute))
}

// The built-in networks, under kills, cuts of public channels and every attack that
// each link knows, one after the other, by chance.
func TestBuiltin(t *testing.T) {
	long(t)
	for _, name := range []string{"tokyo", "global"} {
		t.Run(name, func(t *testing.T) {
			n := open(t, fleettest.Load(t, name))
			for _, l := range n.live() {
				n.wired(l.ID)
			}
			n.Start()
			ends := n.Net.Links[0].Ends
			d := n.pair("alice", "bob", ends[0], ends[1])
			for begin := time.Now(); time.Since(begin) < minutes(); {
				n.trouble()
			}
			n.Until("all links good again", func() bool {
				for _, l := range n.live() {
					if l.Kind != "satellite" && !n.both(l.ID, good) { // a satellite may be below the horizon
						return false
					}
				}
				return true
			})
			n.closed(d)
		})
	}
}

// trouble makes one thing go wrong for a while and mends it.
func (n *network) trouble() {
	n.T.Helper()
	links := n.live()
	l := links[rand.IntN(len(links))]
	before := n.made(l)
	switch rand.IntN(3) {
	case 0:
		n.T.Log("kill", l.Ends[0])
		n.MustKill(l.Ends[0])
		n.read()
		n.MustStart(l.Ends[0])
	case 1:
		n.T.Log("cut", l.ID)
		n.wires[l.ID].cut()
		pause(n.T.Context(), time.Duration(rand.IntN(3000))*time.Millisecond)
		n.wires[l.ID].open()
	default:
		n.attacked(l)
	}
	n.read()
	if after := n.made(l); after < before {
		n.T.Errorf("%s: round %d was told of, now %d is the last", l.ID, before, after)
	}
	n.balanced()
}

// attacked tries an attack that the link may not know, at full strength.
func (n *network) attacked(l node.Link) {
	n.T.Helper()
	kinds := quantum.AttackKinds()
	kind := kinds[rand.IntN(len(kinds))]
	err := n.attack(l.ID, kind, 1)
	n.T.Logf("%s on %s: %v", kind, l.ID, err)
	if err != nil {
		if !qsc.IsKind(err, qsc.Unsupported) {
			n.T.Errorf("%s on %s: %v", kind, l.ID, err)
		}
		return
	}
	pause(n.T.Context(), 5*time.Second)
	if err := n.attack(l.ID, kind, 0); err != nil {
		n.T.Error(err)
	}
}

// made is the last round that end 0 or 1 tells of, 0 for none.
func (n *network) made(l node.Link) (last uint64) {
	n.read()
	return n.latest(l.ID)
}

// pause lets the nodes work for a while.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
