package relay

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Bounds of what is read from a neighbour.
const (
	MaxHops   = 64 // links on a path
	maxParts  = 8  // ranges that one stretch of key may be cut into
	minPart   = 32 // bytes: what Ledger.View can name
	maxName   = 255
	checkSize = 48 // key bytes behind the key itself: point, mask, mask
	align     = otp.Align
)

// MaxMessage bounds a message to a neighbour, in bytes: an order whose two
// bodies are of the largest round would be longer, so that form is refused.
const MaxMessage = 2 << 20

const format = 1

// The types of messages.
const (
	typeOrder    = 1 + iota // forward: carry key of this length along this path
	typeAnnounce            // forward: the XOR of two link keys
	typeAck                 // back: the far end has the key
	typeNak                 // back: a node cannot go on
	typeTell                // forward: a public message to the last node
	typeVoid                // to the neighbour: key that was reserved and will not be used
)

// roundID names a round among those of its source.
type roundID [16]byte

// stretch is a part of the key of one lane.
type stretch struct {
	Lane  otp.Lane
	Epoch uint32
	Pos   uint64
	Len   uint32 // bytes
}

// header names the stretch to the ledger, which counts a frame's overhead in.
func (s stretch) header() otp.Header {
	return otp.Header{Lane: s.Lane, Epoch: s.Epoch, Pos: s.Pos, Len: s.Len - otp.KeyOverhead}
}

// offer is what the source says of a round. It is the same on every path, and
// the check covers it.
type offer struct {
	N        uint32 // key bytes
	Need     uint8
	Paths    uint8
	Hops     uint8
	Disjoint bool
	Label    string
	Check    [16]byte
}

// size is the length of each sub-key.
func (o *offer) size() int { return subkeySize(int(o.N)) }

// subkeySize is n rounded up to whole blocks, and the check bytes.
func subkeySize(n int) int { return (n+align-1)&^(align-1) + checkSize }

// message is any of the messages; which fields count depends on Type.
type message struct {
	Type  uint8
	ID    roundID      // order, ack, nak
	Path  uint8        // order, ack, nak: number of the path in its round, from 0
	At    uint8        // order, ack, nak, tell: index in Route of the node it is sent to
	Route keymgmt.Path // order, ack, nak, tell
	Ref   uint64       // order, announce: the sender's name for this leg

	Class   qsc.Class // order: of the links so far; ack: of all the key is made of
	Hop     bool      // order: hop-by-hop
	In      []stretch // order, void: key of the link it is sent over
	Offer   offer     // order
	Fix     []byte    // order: what makes this path's sub-key a share, or nothing
	Carried []byte    // order, hop-by-hop: the sub-key under the link's key

	First, Last uint8  // announce: the nodes whose announcements Public is the XOR of
	Public      []byte // announce, tell

	Got   uint8         // ack: the paths the key is made of, a bit for each
	Tag   [16]byte      // ack
	Kind  qsc.Kind      // nak
	Topic keymgmt.Topic // tell
}

// encode returns the message in two parts: what is short, and the long body at
// its end, which is not copied.
func (m *message) encode() (head, body []byte) {
	w := &wire.Writer{B: make([]byte, 0, 128)}
	w.U8(format).U8(m.Type)
	switch m.Type {
	case typeOrder:
		m.putRoute(w)
		m.putOrder(w)
		return w.B, m.Carried
	case typeAnnounce:
		w.U64(m.Ref).U8(m.First).U8(m.Last).U32(uint32(len(m.Public)))
		return w.B, m.Public
	case typeAck:
		m.putRoute(w)
		w.U8(uint8(m.Class)).U8(m.Got).Raw(m.Tag[:])
	case typeNak:
		m.putRoute(w)
		w.U8(uint8(m.Kind))
	case typeTell:
		m.putRoute(w)
		w.U8(uint8(m.Topic)).U32(uint32(len(m.Public)))
		return w.B, m.Public
	case typeVoid:
		putStretches(w, m.In)
	}
	return w.B, nil
}

func (m *message) putRoute(w *wire.Writer) {
	w.Raw(m.ID[:]).U8(m.Path).U8(m.At).U8(uint8(len(m.Route)))
	for _, n := range m.Route {
		w.U8(uint8(len(n))).Raw([]byte(n))
	}
}

func (m *message) putOrder(w *wire.Writer) {
	w.U64(m.Ref).U8(bit(m.Hop)).U8(uint8(m.Class))
	putStretches(w, m.In)
	o := &m.Offer
	w.U32(o.N).U8(o.Need).U8(o.Paths).U8(o.Hops).U8(bit(o.Disjoint)).Text(o.Label).Raw(o.Check[:])
	w.Bytes(m.Fix).U32(uint32(len(m.Carried)))
}

func putStretches(w *wire.Writer, all []stretch) {
	w.U8(uint8(len(all)))
	for _, s := range all {
		w.U8(uint8(s.Lane)).U32(s.Epoch).U64(s.Pos).U32(s.Len)
	}
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

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
