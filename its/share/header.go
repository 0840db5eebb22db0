package share

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

// Sizes of the fixed parts of a piece, in bytes.
const (
	HeaderSize = 64
	TagSize    = 16
)

// MaxPayload bounds the payload of one piece, in bytes, so that every size of
// the format fits an int anywhere.
const MaxPayload = 1 << 30

// Scheme says how a secret became shares. It is written to disk.
type Scheme uint8

// Shamir is polynomial sharing, the only scheme of format version 1.
const Shamir Scheme = 1

// Field says over what the shares are computed. It is written to disk, so that
// another module can compute on shares.
type Field uint8

// GF256 is GF(2^8) with polynomial 0x11B.
const GF256 Field = 1

// Content says what the payload of a piece is a share of. It is written to
// disk.
type Content uint8

// The contents of a piece.
const (
	Data     Content = 0 // a chunk of an object
	Metadata Content = 1 // an object's metadata record
)

// Header binds a piece to its place: object, version, chunk, share point and
// scheme. The tag of the piece covers all 64 bytes. It holds nothing secret.
type Header struct {
	Scheme  Scheme       // Shamir
	Field   Field        // GF256
	K, N    uint8        // 2 ≤ K ≤ N
	Point   uint8        // the share's x, not 0
	Class   qsc.Class    // what the coefficients and keys rest on
	Kind    Content      // what was shared
	Object  qsc.ObjectID // the object
	Version uint64       // the object's version
	Chunk   uint32       // index of the chunk, from 0
	Length  uint32       // bytes of payload, at most MaxPayload
}

// Where the fields of the header lie; docs/design/share.md has the table.
const (
	magic         = "QSCS"
	formatVersion = 1

	offFormat  = 4
	offScheme  = 5
	offField   = 6
	offK       = 7
	offN       = 8
	offPoint   = 9
	offClass   = 10
	offKind    = 11
	offObject  = 12
	offVersion = 28
	offChunk   = 36
	offLength  = 40
	offZero    = 44
)

// Put writes the header into the first 64 bytes of b, which must have them. It
// writes what it is given; ParseHeader refuses what should not have been.
func (h Header) Put(b []byte) {
	b = b[:HeaderSize]
	copy(b, magic)
	b[offFormat] = formatVersion
	b[offScheme], b[offField] = byte(h.Scheme), byte(h.Field)
	b[offK], b[offN], b[offPoint] = h.K, h.N, h.Point
	b[offClass], b[offKind] = byte(h.Class), byte(h.Kind)
	copy(b[offObject:offVersion], h.Object[:])
	binary.BigEndian.PutUint64(b[offVersion:], h.Version)
	binary.BigEndian.PutUint32(b[offChunk:], h.Chunk)
	binary.BigEndian.PutUint32(b[offLength:], h.Length)
	clear(b[offZero:])
}

// ParseHeader reads the header at the start of b; what follows it is not
// looked at. Every field that is out of range is Kind Corrupt, saying which.
// Class bits unknown to this version are kept: they mark a weakness.
func ParseHeader(b []byte) (Header, error) {
	const op = "share.ParseHeader"
	if len(b) < HeaderSize {
		return Header{}, qsc.E(op, qsc.Corrupt, "", "%d bytes are too few for the header of %d: the piece is cut short", len(b), HeaderSize)
	}
	if string(b[:len(magic)]) != magic {
		return Header{}, qsc.E(op, qsc.Corrupt, "", "magic is not %q: this is no piece", magic)
	}
	if v := b[offFormat]; v != formatVersion {
		return Header{}, qsc.E(op, qsc.Corrupt, "", "format version %d: this program reads version %d", v, formatVersion)
	}
	for i, z := range b[offZero:HeaderSize] {
		if z != 0 {
			return Header{}, qsc.E(op, qsc.Corrupt, "", "reserved byte %d of the header is not zero", offZero+i)
		}
	}
	h := Header{
		Scheme: Scheme(b[offScheme]), Field: Field(b[offField]),
		K: b[offK], N: b[offN], Point: b[offPoint],
		Class: qsc.Class(b[offClass]), Kind: Content(b[offKind]),
		Version: binary.BigEndian.Uint64(b[offVersion:]),
		Chunk:   binary.BigEndian.Uint32(b[offChunk:]),
		Length:  binary.BigEndian.Uint32(b[offLength:]),
	}
	copy(h.Object[:], b[offObject:])
	if err := h.check(op, qsc.Corrupt); err != nil {
		return Header{}, err
	}
	return h, nil
}

// check refuses fields out of range.
func (h Header) check(op string, kind qsc.Kind) error {
	switch {
	case h.Scheme != Shamir:
		return qsc.E(op, kind, "", "scheme %d is unknown", h.Scheme)
	case h.Field != GF256:
		return qsc.E(op, kind, "", "field %d is unknown", h.Field)
	case h.K < 2:
		return qsc.E(op, kind, "", "threshold k=%d is below 2", h.K)
	case h.K > h.N:
		return qsc.E(op, kind, "", "threshold k=%d exceeds n=%d", h.K, h.N)
	case h.Point == 0:
		return qsc.E(op, kind, "", "share point is 0")
	case h.Kind > Metadata:
		return qsc.E(op, kind, "", "content kind %d is unknown", h.Kind)
	case h.Length > MaxPayload:
		return qsc.E(op, kind, "", "payload length %d exceeds %d", h.Length, MaxPayload)
	}
	return nil
}
