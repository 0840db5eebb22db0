package etsi015

import (
	"github.com/google/uuid"
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

// space is the name space of the identifiers: version 5 of RFC 9562, so that a
// node or link keeps its UUID over every restart and on every controller.
var space = uuid.NewSHA1(uuid.Nil, []byte("github.com/quantum-secure-cloud/qsc/gateway/etsi015"))

// ids turns the names of one network into UUIDs and back.
type ids struct {
	network string
	nodes   map[uuid.UUID]qsc.NodeID
}

func newIDs(network string, nodes []qsc.NodeID) *ids {
	x := &ids{network, make(map[uuid.UUID]qsc.NodeID, len(nodes))}
	for _, n := range nodes {
		x.nodes[x.make("node", string(n))] = n
	}
	return x
}

func (x *ids) make(kind string, names ...string) uuid.UUID {
	b := []byte(x.network + "\x00" + kind)
	for _, n := range names {
		b = append(append(b, 0), n...)
	}
	return uuid.NewSHA1(space, b)
}

func (x *ids) node(n qsc.NodeID) string { return x.make("node", string(n)).String() }
func (x *ids) link(l qsc.LinkID) string { return x.make("link", string(l)).String() }
func (x *ids) app(master, slave qsc.AppID) string {
	return x.make("app", string(master), string(slave)).String()
}

// of returns the node that a UUID names, in any of its spellings' cases.
func (x *ids) of(text string) (qsc.NodeID, bool) {
	u, err := parse(text)
	if err != nil {
		return "", false
	}
	n, ok := x.nodes[u]
	return n, ok
}

// parse reads the one spelling that the model allows: 36 characters.
func parse(text string) (uuid.UUID, error) {
	if len(text) != 36 {
		return uuid.Nil, qsc.E("etsi015", qsc.Invalid, "", "%.80q is not a UUID", text)
	}
	u, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, qsc.E("etsi015", qsc.Invalid, "", "%.80q is not a UUID", text)
	}
	return u, nil
}

// virtual spells the identifier of a virtual link, which is its creator's.
func virtual(v control.VirtualID) string { return uuid.UUID(v).String() }
