package relay

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// parse reads a message. Its bodies are views of b. Whatever is out of bounds,
// too long, too short or contradicts itself is Kind Invalid: nothing in a result
// has to be checked again but against what the node knows.
func parse(b []byte) (*message, error) {
	if len(b) > MaxMessage {
		return nil, bad("%d bytes are over the limit of %d", len(b), MaxMessage)
	}
	r := wire.NewReader(b)
	if f := r.U8(); f != format {
		return nil, qsc.E("relay.Receive", qsc.Unsupported, "", "message format %d, this build knows %d: run the same release at both ends", f, format)
	}
	m := &message{Type: r.U8()}
	if m.Type == typeOrder || m.Type == typeAck || m.Type == typeNak || m.Type == typeTell {
		m.getRoute(r)
	}
	if err := m.getRest(r); err != nil {
		return nil, err
	}
	if err := r.Done(); err != nil {
		return nil, bad("%w", err)
	}
	return m, m.check()
}

func bad(format string, args ...any) error {
	return qsc.E("relay.Receive", qsc.Invalid, "", "a neighbour's message is malformed: "+format, args...)
}

func (m *message) getRest(r *wire.Reader) error {
	switch m.Type {
	case typeOrder:
		m.getOrder(r)
	case typeAnnounce:
		m.Ref, m.First, m.Last, m.Public = r.U64(), r.U8(), r.U8(), r.Bytes(MaxMessage)
	case typeAck:
		m.Class, m.Got, m.Tag = qsc.Class(r.U8()), r.U8(), r.Array16()
	case typeNak:
		m.Kind = qsc.Kind(r.U8())
	case typeTell:
		m.Topic, m.Public = keymgmt.Topic(r.U8()), r.Bytes(keymgmt.MaxTold)
	case typeVoid:
		m.In = getStretches(r)
	default:
		return bad("type %d", m.Type)
	}
	return nil
}

func (m *message) getRoute(r *wire.Reader) {
	m.ID, m.Path, m.At = r.Array16(), r.U8(), r.U8()
	n := int(r.U8())
	if n > MaxHops+1 {
		n = 0 // refused by check
	}
	m.Route = make(keymgmt.Path, 0, n)
	for range n {
		m.Route = append(m.Route, qsc.NodeID(r.Take(int(r.U8()))))
	}
}

func (m *message) getOrder(r *wire.Reader) {
	m.Ref = r.U64()
	m.Hop = r.U8() == 1
	m.Class = qsc.Class(r.U8())
	m.In = getStretches(r)
	o := &m.Offer
	o.N, o.Need, o.Paths, o.Hops = r.U32(), r.U8(), r.U8(), r.U8()
	o.Disjoint = r.U8() == 1
	o.Label = r.Text()
	o.Check = r.Array16()
	m.Fix = r.Bytes(subkeySize(keymgmt.MaxRound))
	m.Carried = r.Bytes(subkeySize(keymgmt.MaxRound))
}

func getStretches(r *wire.Reader) []stretch {
	n := min(int(r.U8()), maxParts+1) // one too many is refused by check
	all := make([]stretch, 0, n)
	for range n {
		all = append(all, stretch{Lane: otp.Lane(r.U8()), Epoch: r.U32(), Pos: r.U64(), Len: r.U32()})
	}
	return all
}

// check refuses what no honest neighbour sends.
func (m *message) check() error {
	switch m.Type {
	case typeOrder:
		return m.checkOrder()
	case typeAnnounce:
		if m.First < 1 || m.Last < m.First || m.Last >= MaxHops || len(m.Public) < minPart {
			return bad("an announcement of nodes %d to %d with %d bytes", m.First, m.Last, len(m.Public))
		}
		return nil
	case typeVoid:
		return checkStretches(m.In, -1)
	}
	return m.checkRoute()
}

// checkRoute accepts a route of distinct nodes and an index in it.
func (m *message) checkRoute() error {
	if m.Path >= keymgmt.MaxPaths {
		return bad("path number %d", m.Path)
	}
	if int(m.At) >= len(m.Route) {
		return bad("it is for hop %d of %d", m.At, len(m.Route))
	}
	return checkPath(m.Route)
}

// checkPath accepts 2 to MaxHops+1 distinct names.
func checkPath(p keymgmt.Path) error {
	if len(p) < 2 || p.Hops() > MaxHops {
		return bad("a path of %d nodes, not 2 to %d", len(p), MaxHops+1)
	}
	for i, n := range p {
		if n == "" || len(n) > maxName || slices.Contains(p[:i], n) {
			return bad("node %d of the path has no name, too long a name, or is there twice", i)
		}
	}
	return nil
}

func (m *message) checkOrder() error {
	if err := m.checkRoute(); err != nil {
		return err
	}
	o := &m.Offer
	size := o.size()
	switch {
	case m.At == 0:
		return bad("an order to its own source")
	case o.N < 1 || o.N > keymgmt.MaxRound:
		return bad("a round of %d bytes", o.N)
	case o.Need < 1 || o.Need > o.Paths || o.Paths > keymgmt.MaxPaths || m.Path >= o.Paths:
		return bad("path %d of %d, of which %d are needed", m.Path, o.Paths, o.Need)
	case len(o.Label) > keymgmt.MaxLabel:
		return bad("a label of %d bytes", len(o.Label))
	case len(m.Fix) != 0 && (len(m.Fix) != size || o.Need == o.Paths):
		return bad("%d bytes to correct a sub-key of %d", len(m.Fix), size)
	case len(m.Carried) != 0 && (len(m.Carried) != size || !m.Hop):
		return bad("%d bytes carried for a sub-key of %d", len(m.Carried), size)
	case m.Hop && (m.At > 1) != (len(m.Carried) > 0):
		return bad("an order to carry key that holds none, or holds one too early")
	}
	return checkStretches(m.In, size)
}

// checkStretches accepts up to maxParts ranges that are aligned, and together of
// the given length unless that is negative.
func checkStretches(all []stretch, size int) error {
	sum := uint64(0)
	for _, s := range all {
		if s.Len < minPart || s.Len%align != 0 || s.Pos%align != 0 || s.Len > 2*keymgmt.MaxRound {
			return bad("no part of a key has %d bytes at %d", s.Len, s.Pos)
		}
		sum += uint64(s.Len)
	}
	if len(all) < 1 || len(all) > maxParts || size >= 0 && sum != uint64(size) {
		return bad("%d parts of %d bytes for %d", len(all), sum, size)
	}
	return nil
}
