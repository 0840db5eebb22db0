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
