package photons

import (
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/sim/fleettest"
)

// patience bounds every wait for something that must come.
const patience = 2 * time.Minute

// network is a network of running node processes.
type network struct {
	*fleettest.Network
	wires map[qsc.LinkID]*wire // of the public channels that pass one
	books *books
}

// open makes a network. Its links are up, but for those of
// satellites, which may be below the horizon or behind clouds.
func open(t *testing.T, net *node.Network) *network {
	t.Helper()
	linked := func(l admin.Link) bool { return l.Up || l.Kind == "satellite" }
	return &network{
		Network: fleettest.Open(t, net, fleettest.Options{Patience: patience, Linked: linked}),
		wires:   map[qsc.LinkID]*wire{}, books: newBooks(),
	}
}

// link is what both ends tell of a link, end 0 first.
func (n *network) link(id qsc.LinkID) (ends [2]admin.Link) {
	n.T.Helper()
	l := n.described(id)
	for i, at := range l.Ends {
		s := n.Status(at)
		k := slices.IndexFunc(s.Links, func(l admin.Link) bool { return l.ID == id })
		if k < 0 {
			n.T.Fatalf("%s does not know its link %s", at, id)
		}
		ends[i] = s.Links[k]
	}
	return ends
}

func (n *network) described(id qsc.LinkID) node.Link {
	n.T.Helper()
	l, ok := n.Net.Link(id)
	if !ok {
		n.T.Fatal("no link ", id)
	}
	return l
}

// live are the links whose key is distilled.
func (n *network) live() (all []node.Link) {
	for _, l := range n.Net.Links {
		if l.Physical() {
			all = append(all, l)
		}
	}
	return all
}

// attack puts an eavesdropper on a link as qsc link attack does: at both ends, one
// of which must be able to.
func (n *network) attack(id qsc.LinkID, kind quantum.AttackKind, strength float64) error {
	n.T.Helper()
	var failed error
	able := false
	for _, at := range n.described(id).Ends {
		err := n.Client(at).Attack(n.T.Context(), id, quantum.Attack{Kind: kind, Strength: strength})
		if err == nil {
			able = true
			continue
		}
		failed = err
	}
	if able {
		return nil
	}
	return failed
}

// told is the last round that each end of a link has finished, since its node was
// started or before; all zero for none.
func (n *network) told(id qsc.LinkID) (last [2]quantum.Record) {
	n.T.Helper()
	for i, at := range n.described(id).Ends {
		all, err := n.Client(at).Records(n.T.Context(), id, 1)
		if err != nil {
			n.T.Fatal(id, at, err)
		}
		if len(all) > 0 {
			last[i] = all[0]
		}
	}
	return last
}

// newest is the number of the last round that both ends have finished, 0 for none.
func (n *network) newest(id qsc.LinkID) uint64 {
	n.T.Helper()
	last := n.told(id)
	return min(last[0].Round, last[1].Round)
}
