package distill

import (
	"encoding/binary"
	"io"

	"github.com/quantum-secure-cloud/qsc"
)

// A frame is its payload's length (u32), its type (u8), its round (u64) and the
// payload.
const frameHead = 4 + 1 + 8

// The engine's types of message.
const (
	typeHello  = TypeEngine + iota // both ends, once for a connection
	typeBegin                      // Alice: what this end has
	typeReady                      // Bob: what that end has
	typeGo                         // Alice: what the round rests on
	typeHashes                     // Alice: the verification key and a hash for each frame
	typeBad                        // Bob: frames that differ, errors corrected
	typeLength                     // Alice: the key's length and its names
	typeSeed                       // Alice: part of the Toeplitz seed
	typeTag                        // Bob, then Alice
	typeIdle                       // any time: this end is alive; in no transcript
	typeAbort                      // any time: why this end gives up; in no transcript
	typeSpare                      // Bob: waiting blocks that he does not want
	typeLost                       // Alice: which of them both ends lose
)

// header is a frame's head.
type header struct {
	size  int
	typ   byte
	round uint64
}

func (h header) encode() (b [frameHead]byte) {
	binary.BigEndian.PutUint32(b[:], uint32(h.size))
	b[4] = h.typ
	binary.BigEndian.PutUint64(b[5:], h.round)
	return b
}

// decodeHeader reads a frame's head. Error: Corrupt for a payload over MaxMessage.
func decodeHeader(b [frameHead]byte) (header, error) {
	n := binary.BigEndian.Uint32(b[:])
	if n > MaxMessage {
		return header{}, qsc.E("distill.Receive", qsc.Corrupt, "", "a message of %d bytes, at most %d are allowed", n, MaxMessage)
	}
	return header{int(n), b[4], binary.BigEndian.Uint64(b[5:])}, nil
}

// readFrame reads one frame into a buffer of alloc. Errors: of r, Corrupt.
func readFrame(r io.Reader, alloc func(n int) []byte) (h header, body []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, nil, err
	}
	if h, err = decodeHeader(head); err != nil {
		return h, nil, err
	}
	body = alloc(h.size)
	_, err = io.ReadFull(r, body)
	return h, body, err
}
