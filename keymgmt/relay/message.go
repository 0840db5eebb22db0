package relay

import (
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
