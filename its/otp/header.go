// Package otp is the one-time-pad frame: a body XORed with key bytes that are
// used once, under a one-time tag (package its/uhash). Secrecy and authenticity
// are information-theoretic. A clear frame has the tag alone, for bodies that are
// public. Announce and Release let key leave as the XOR of two stretches, or as
// key. The format to the byte and the forgery bound are in docs/design/otp.md.
//
// The frame names its key position in clear, so loss, replay and reordering can
// neither desynchronise the ends nor make a key byte serve twice. What remembers
// which bytes are spent is Window, in memory; making that memory durable, and
// minting a Pad only from bytes already marked, is the key ledger's duty.
//
// The package draws no randomness, stores nothing, does no I/O and hides
// neither the length nor the time of a frame.
package otp

import (
	"encoding/binary"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// Lengths in bytes.
const (
	HeaderSize  = 24
	TagSize     = uhash.Size
	GuardSize   = 16                   // the secret of a key block that no frame spends, see NewPad
	KeyOverhead = 32                   // pad a frame uses beyond its body: point and mask
	Overhead    = HeaderSize + TagSize // what a frame is longer than its body
	Align       = 16                   // every frame's pad begins at a multiple of it, see docs/design/otp.md
	MaxBody     = 1 << 20
)

// The format number says whether the body is in clear, so that a release that
// knows sealed frames only refuses a clear one as Unsupported. It is under the tag.
const (
	magic        = "QF"
	formatSealed = 1
	formatClear  = 2
)

// Lane numbers one direction and purpose of a link. Each lane is a pad stream
// of its own.
type Lane uint8

// Header is what a frame says in clear about itself.
type Header struct {
	Lane  Lane
	Epoch uint32
	Pos   uint64 // offset in bytes of the frame's pad in the lane's pad stream
	Len   uint32 // length in bytes of the body, at most MaxBody
	Clear bool   // the body is in clear: the frame uses pad for its tag only
}

// PadLen returns the number of pad bytes the frame uses, from Pos on.
func (h Header) PadLen() int {
	if h.Clear {
		return KeyOverhead
	}
	return KeyOverhead + int(h.Len)
}

func (h Header) format() byte {
	if h.Clear {
		return formatClear
	}
	return formatSealed
}

// Put writes the header to the first HeaderSize bytes of b, which must be there.
func (h Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	copy(b, magic)
	b[2], b[3] = h.format(), byte(h.Lane)
	binary.BigEndian.PutUint32(b[4:], h.Epoch)
	binary.BigEndian.PutUint64(b[8:], h.Pos)
	binary.BigEndian.PutUint32(b[16:], h.Len)
	binary.BigEndian.PutUint32(b[20:], 0)
}

// ParseHeader reads the first HeaderSize bytes of b. Nothing in the result is
// authentic before Verify. Errors: Unsupported for a version this build does not
// know; Invalid for everything else that is not a header.
func ParseHeader(b []byte) (Header, error) {
	const op = "otp.ParseHeader"
	if len(b) < HeaderSize {
		return Header{}, qsc.E(op, qsc.Invalid, "", "%d bytes are no frame header, which has %d: close the connection", len(b), HeaderSize)
	}
	if string(b[:2]) != magic {
		return Header{}, qsc.E(op, qsc.Invalid, "", "no frame starts here: the peer speaks another protocol, or the stream lost its place")
	}
	if b[2] != formatSealed && b[2] != formatClear {
		return Header{}, qsc.E(op, qsc.Unsupported, "", "frame format %d, this build knows %d and %d: run the same release at both ends", b[2], formatSealed, formatClear)
	}
	h := Header{
		Lane:  Lane(b[3]),
		Epoch: binary.BigEndian.Uint32(b[4:]),
		Pos:   binary.BigEndian.Uint64(b[8:]),
		Len:   binary.BigEndian.Uint32(b[16:]),
		Clear: b[2] == formatClear,
	}
	switch {
	case binary.BigEndian.Uint32(b[20:]) != 0:
		return Header{}, qsc.E(op, qsc.Invalid, "", "reserved bytes of the frame header are not zero")
	case h.Pos%Align != 0:
		return Header{}, qsc.E(op, qsc.Invalid, "", "pad position %d is no multiple of %d", h.Pos, Align)
	case h.Len > MaxBody:
		return Header{}, qsc.E(op, qsc.Invalid, "", "a body of %d bytes is over the limit of %d", h.Len, MaxBody)
	case h.Pos > math.MaxUint64-uint64(h.PadLen()):
		return Header{}, qsc.E(op, qsc.Invalid, "", "pad position %d lies beyond every stream", h.Pos)
	}
	return h, nil
}
