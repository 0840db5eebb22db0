package local

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud"
)

// The format is described to the byte in docs/design/storage.md.
const (
	segMagic   = "QSCSEG\x00\x01" // the last byte is the format's version
	segHeader  = 512              // bytes before the first record
	maxSiteID  = 255
	recHeader  = 40
	ctlFixed   = 58 // bytes of a control record before owner and metadata
	footMagic  = 0x51534346
	trailer    = 24
	footRun    = 24
	footCtl    = 9 // before the control itself
	footCounts = 8
)

// The record types. Their numbers are on disk.
const (
	recPiece  = 1 // one piece of a share
	recCommit = 2 // makes a share visible
	recKill   = 3 // makes commits of a ref invisible: a deletion, or a commit taken back
	recFooter = 4 // what the segment holds
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// align rounds up to the 8 bytes on which records begin.
func align(n int64) int64 { return (n + 7) &^ 7 }

// step is the room of a record with a payload of that size.
func step(size uint32) int64 { return align(recHeader + int64(size)) }

// encodeSegHeader makes the first 512 bytes of a segment.
func encodeSegHeader(site qsc.SiteID, id uint32, salt uint64) []byte {
	b := make([]byte, segHeader)
	copy(b, segMagic)
	binary.BigEndian.PutUint32(b[8:], id)
	binary.BigEndian.PutUint64(b[12:], salt)
	b[20] = byte(len(site))
	copy(b[21:], site)
	binary.BigEndian.PutUint32(b[segHeader-4:], crc(b[:segHeader-4]))
	return b
}

// parseSegHeader is the reverse; ok is false for anything else.
func parseSegHeader(b []byte) (site qsc.SiteID, id uint32, salt uint64, ok bool) {
	if len(b) != segHeader || string(b[:8]) != segMagic ||
		binary.BigEndian.Uint32(b[segHeader-4:]) != crc(b[:segHeader-4]) {
		return "", 0, 0, false
	}
	return qsc.SiteID(b[21 : 21+int(b[20])]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint64(b[12:]), true
}

// header is the head of a record.
type header struct {
	typ   byte
	size  uint32 // of the payload
	gen   uint64 // of a piece: the share it was written for
	chunk uint32 // of a piece
	sum   uint32 // crc32c of the payload
}

// put writes the header of a record at off of the segment with that salt.
func (h header) put(b []byte, salt uint64, off uint32) {
	clear(b[:recHeader])
	binary.BigEndian.PutUint64(b, salt)
	b[8] = h.typ
	binary.BigEndian.PutUint32(b[12:], h.size)
	binary.BigEndian.PutUint64(b[16:], h.gen)
	binary.BigEndian.PutUint32(b[24:], h.chunk)
	binary.BigEndian.PutUint32(b[28:], h.sum)
	binary.BigEndian.PutUint32(b[32:], off)
	binary.BigEndian.PutUint32(b[36:], crc(b[:36]))
}

// parseHeader reads the header of a record that must lie at off of the segment
// with that salt. The salt keeps a piece's content, which its owner chose, and
// stale blocks of the disk from passing for records.
func parseHeader(b []byte, salt uint64, off uint32) (h header, ok bool) {
	if len(b) < recHeader || binary.BigEndian.Uint64(b) != salt || binary.BigEndian.Uint32(b[32:]) != off ||
		binary.BigEndian.Uint32(b[36:]) != crc(b[:36]) {
		return h, false
	}
	h = header{
		typ:   b[8],
		size:  binary.BigEndian.Uint32(b[12:]),
		gen:   binary.BigEndian.Uint64(b[16:]),
		chunk: binary.BigEndian.Uint32(b[24:]),
		sum:   binary.BigEndian.Uint32(b[28:]),
	}
	return h, h.bounded()
}

func (h header) bounded() bool {
	switch h.typ {
	case recPiece:
		return h.size >= cloud.MinPiece && h.size <= cloud.MaxPiece
	case recCommit, recKill:
		return h.size > ctlFixed && h.size <= ctlFixed+cloud.MaxOwner+cloud.MaxMeta
	case recFooter:
		return h.size >= footCounts
	}
	return false
}

// control is a commit or a kill.
type control struct {
	typ    byte
	ref    cloud.Ref
	a, b   uint64 // commit: sequence number, generation; kill: first and last sequence number
	chunks uint32
	bytes  int64 // of all pieces
	meta   uint32
}

// size is the length of its payload, metadata included.
func (c *control) size() uint32 { return uint32(ctlFixed+len(c.ref.Owner)) + c.meta }

// append encodes the control without its metadata.
func (c *control) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, c.a)
	b = binary.BigEndian.AppendUint64(b, c.b)
	b = append(b, c.ref.Object[:]...)
	b = binary.BigEndian.AppendUint64(b, c.ref.Version)
	b = binary.BigEndian.AppendUint32(b, c.chunks)
	b = binary.BigEndian.AppendUint64(b, uint64(c.bytes))
	b = binary.BigEndian.AppendUint32(b, c.meta)
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.ref.Owner)))
	return append(b, c.ref.Owner...)
}

// parseControl decodes a control of that type and returns what follows it.
func parseControl(typ byte, b []byte) (c control, rest []byte, ok bool) {
	if len(b) < ctlFixed {
		return c, nil, false
	}
	c = control{
		typ: typ, a: binary.BigEndian.Uint64(b), b: binary.BigEndian.Uint64(b[8:]),
		chunks: binary.BigEndian.Uint32(b[40:]), bytes: int64(binary.BigEndian.Uint64(b[44:])),
		meta: binary.BigEndian.Uint32(b[52:]),
	}
	copy(c.ref.Object[:], b[16:32])
	c.ref.Version = binary.BigEndian.Uint64(b[32:])
	owner := int(binary.BigEndian.Uint16(b[56:]))
	if owner < 1 || owner > cloud.MaxOwner || len(b) < ctlFixed+owner || c.meta > cloud.MaxMeta || c.bytes < 0 {
		return c, nil, false
	}
	c.ref.Owner = qsc.NodeID(b[ctlFixed : ctlFixed+owner])
	return c, b[ctlFixed+owner:], true
}

// parseRecord decodes a control record's payload, metadata and all.
func parseRecord(typ byte, b []byte) (c control, meta []byte, ok bool) {
	c, meta, ok = parseControl(typ, b)
	return c, meta, ok && len(meta) == int(c.meta)
}
