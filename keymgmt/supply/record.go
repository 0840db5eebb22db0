package supply

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// The records of the journal, see docs/design/supply.md. The numbers are on
// disk: they are only ever appended to.
const (
	recBoot     = 1 + iota // this start's number
	recStream              // a stream begins
	recHead                // its identifier key is stored
	recNext                // segment numbers below are reserved
	recSegment             // a segment is stored
	recMark                // master: below it a segment is issued; application stream: given
	recTaken               // slave: a stretch is fetched, expired or burnt
	recGone                // a segment is no longer held
	recSeen                // numbers that are stored, gone or void
	recReported            // the slave has heard of so many reports
	recReport              // snapshot: a report the slave has still to hear of
	recPeer                // how much the slave has told to have taken
	recOrder               // application stream, slave: place of a segment
	recDrop                // a stream ends
	recBits                // snapshot: what is taken of a segment
	recBooks               // snapshot: sums over segments that are gone
	recGift                // a multicast key has come
	recGiven               // slaves of a multicast key have fetched it
	recIssued              // slave: when a segment was issued up to where
)

// How a stretch of a slave's segment was taken.
const (
	tookFetched = iota
	tookExpired
	tookBurnt
)

// record is one record; which fields count depends on kind.
type record struct {
	kind   uint8
	stream uint32
	n      uint32 // segment
	a, b   uint32
	c, d   uint64
	how    uint8
	body   []byte
	desc   *streamDesc
	info   *segmentInfo
}

// streamDesc is what a stream's record holds.
type streamDesc struct {
	role    role
	purpose purpose
	id      [16]byte
	peer    qsc.NodeID
	prot    keymgmt.Protection
	source  qsc.AppID // application streams: the first opener
	dest    qsc.AppID
	size    uint32 // application streams: bytes of a segment
	qos     keymgmt.QoS
}

// segmentInfo is what is known of a segment's key.
type segmentInfo struct {
	slot     uint32
	size     uint32
	class    qsc.Class
	hops     uint8
	paths    uint8
	need     uint8
	disjoint bool
	born     int64 // Unix nanoseconds
	place    uint32
}

// append adds length, kind and fields to b.
func (r record) append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, r.kind)
	b = binary.BigEndian.AppendUint32(b, r.stream)
	switch r.kind {
	case recStream:
		b = r.desc.append(b)
	case recSegment:
		b = binary.BigEndian.AppendUint32(b, r.n)
		b = r.info.append(b)
	default:
		b = binary.BigEndian.AppendUint32(b, r.n)
		b = binary.BigEndian.AppendUint32(b, r.a)
		b = binary.BigEndian.AppendUint32(b, r.b)
		b = append(b, r.how)
		switch r.kind {
		case recTaken, recOrder, recHead, recNext, recReport:
		default:
			b = binary.BigEndian.AppendUint64(b, r.c)
			b = binary.BigEndian.AppendUint64(b, r.d)
			b = append(b, r.body...)
		}
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}

func (d *streamDesc) append(b []byte) []byte {
	w := wire.Writer{B: b}
	w.U8(uint8(d.role)).U8(uint8(d.purpose)).Raw(d.id[:]).Text(string(d.peer)).U8(uint8(d.prot.Paths)).U8(uint8(d.prot.Need))
	w.Text(string(d.source)).Text(string(d.dest)).U32(d.size)
	appendQoS(&w, d.qos)
	return w.B
}

func (i *segmentInfo) append(b []byte) []byte {
	w := wire.Writer{B: b}
	w.U32(i.slot).U32(i.size).U8(uint8(i.class)).U8(i.hops).U8(i.paths).U8(i.need).U8(flag(i.disjoint)).U64(uint64(i.born)).U32(i.place)
	return w.B
}

func flag(v bool) uint8 {
	if v {
		return 1
	}
	return 0
}

// parseRecord takes the first record off b.
func parseRecord(b []byte) (r record, rest []byte, err error) {
	w := wire.NewReader(b)
	n := int(w.U16())
	body := w.Take(n)
	if err := w.Err(); err != nil {
		return r, nil, err
	}
	rest = b[2+n:]
	w = wire.NewReader(body)
	r.kind, r.stream = w.U8(), w.U32()
	switch r.kind {
	case recStream:
		r.desc = parseDesc(w)
	case recSegment:
		r.n = w.U32()
		r.info = parseInfo(w)
	case recTaken, recOrder, recHead, recNext, recReport:
		r.n, r.a, r.b, r.how = w.U32(), w.U32(), w.U32(), w.U8()
	default:
		r.n, r.a, r.b, r.how, r.c, r.d = w.U32(), w.U32(), w.U32(), w.U8(), w.U64(), w.U64()
		r.body = w.Take(max(0, n-34))
	}
	if r.kind < recBoot || r.kind > recIssued {
		return r, nil, qsc.E("supply.Open", qsc.Corrupt, "", "record of kind %d is not known: this directory was written by a newer program", r.kind)
	}
	return r, rest, w.Done()
}

func parseDesc(w *wire.Reader) *streamDesc {
	d := &streamDesc{role: role(w.U8()), purpose: purpose(w.U8()), id: w.Array16(), peer: qsc.NodeID(w.Text())}
	d.prot.Paths, d.prot.Need = int(w.U8()), int(w.U8())
	d.source, d.dest, d.size = qsc.AppID(w.Text()), qsc.AppID(w.Text()), w.U32()
	d.qos = readQoS(w)
	return d
}

func parseInfo(w *wire.Reader) *segmentInfo {
	i := &segmentInfo{slot: w.U32(), size: w.U32(), class: qsc.Class(w.U8()), hops: w.U8(), paths: w.U8(), need: w.U8()}
	i.disjoint, i.born, i.place = w.U8() != 0, int64(w.U64()), w.U32()
	return i
}
