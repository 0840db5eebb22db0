package cascade

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

// begin is the first message: what both ends must have the same.
type begin struct {
	bits  uint64
	frame uint32
	first uint32 // length of the first pass's blocks; 0: too noisy
}

const beginLen = 16

func (m begin) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, m.bits)
	b = binary.BigEndian.AppendUint32(b, m.frame)
	return binary.BigEndian.AppendUint32(b, m.first)
}

func parseBegin(b []byte) (begin, error) {
	if len(b) != beginLen {
		return begin{}, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a first message of %d bytes, not %d", len(b), beginLen)
	}
	m := begin{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])}
	switch {
	case m.bits > maxBits:
		return begin{}, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "%d bits in one call, at most %d", m.bits, int64(maxBits))
	case m.frame < minStrand || m.frame > maxStrand:
		return begin{}, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "frames of %d bits", m.frame)
	case m.first > maxStrand || m.first != 0 && m.first < minBlock:
		return begin{}, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "first blocks of %d bits", m.first)
	}
	return m, nil
}

// turn is what Bob puts to Alice for a group, behind his answers to her.
type turn struct {
	enter    byte           // the stage that all strands begin; 0: none
	searches [passes][]byte // for each: strand 1, first place 2, places 2
	hunts    []byte         // for each: subset 1, strand 1
}

const (
	turnLen     = 1 + 2*passes + 1
	searchLen   = 5
	huntLen     = 2
	maxSearches = 1 << 15 // begun by a turn
	maxHunts    = 64
	maxTurn     = turnLen + maxSearches*searchLen + maxHunts*huntLen
)

func (t *turn) reset() {
	t.enter, t.hunts = 0, t.hunts[:0]
	for i := range t.searches {
		t.searches[i] = t.searches[i][:0]
	}
}

func (t *turn) append(b []byte) []byte {
	b = append(b, t.enter)
	for _, s := range t.searches {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)/searchLen))
	}
	b = append(b, byte(len(t.hunts)/huntLen))
	for _, s := range t.searches {
		b = append(b, s...)
	}
	return append(b, t.hunts...)
}

// parseTurn reads a turn from the front of b, of which it becomes a part, and
// returns the rest. The places are the caller's to check.
func parseTurn(b []byte) (t turn, rest []byte, err error) {
	if len(b) < turnLen {
		return turn{}, nil, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a turn of %d bytes, at least %d are due", len(b), turnLen)
	}
	t.enter, rest = b[0], b[turnLen:]
	want := 0
	for i := range t.searches {
		want += int(binary.BigEndian.Uint16(b[1+2*i:]))
	}
	hunts := int(b[turnLen-1])
	if all := want*searchLen + hunts*huntLen; want > maxSearches || hunts > maxHunts || all > len(rest) {
		return turn{}, nil, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a turn with %d and %d searches in %d bytes", want, hunts, len(rest))
	}
	for i := range t.searches {
		n := int(binary.BigEndian.Uint16(b[1+2*i:])) * searchLen
		t.searches[i], rest = rest[:n:n], rest[n:]
	}
	n := hunts * huntLen
	t.hunts = rest[:n:n]
	return t, rest[n:], nil
}
