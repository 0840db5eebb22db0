package ledger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// A table record fills one sector, the unit that a disk writes whole or not at
// all; only its first recordLen bytes have a meaning.
const (
	recordSize = 512
	recordLen  = 128
	boundLen   = 24
)

type state uint8

const (
	empty   state = iota // never used
	present              // holds key
	burnt                // taken out of service, not yet erased on the medium
	gone                 // all used or burnt and erased; free for another block
	states
)

// block is what the table knows of one slot.
type block struct {
	state   state
	class   qsc.Class
	index   uint64
	id      qsc.KeyID
	ordinal uint64 // rises by one with every block the lane accepts
	burnSeq uint64 // the first marks record that counts the burn
	made    int64  // Unix time in nanoseconds
	qber    float64
	f       float64
	epsSec  float64
	epsCor  float64
	bound   [boundLen]byte
	guard   [otp.GuardSize]byte
	dirty   bool // memory is ahead of the table
}

func (b *block) free() bool { return (b.state == empty || b.state == gone) && !b.dirty }

func newBlock(k *quantum.KeyBlock, index, ordinal uint64) block {
	b := block{state: present, class: k.Class, index: index, id: k.ID, ordinal: ordinal, made: k.ProducedAt.UnixNano(),
		qber: k.QBER, f: k.Efficiency, epsSec: k.EpsSec, epsCor: k.EpsCor}
	copy(b.bound[:], k.Bound)
	copy(b.guard[:], k.Key.Expose())
	return b
}

// encode appends the record. Every byte of the sector is written.
func (b *block) encode(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, recordSize)...)
	if b.state == empty {
		return dst
	}
	p := append(dst[at:at], byte(b.state), byte(b.class), 0, 0)
	for _, v := range []uint64{b.index, b.ordinal, b.burnSeq, uint64(b.made), math.Float64bits(b.qber),
		math.Float64bits(b.f), math.Float64bits(b.epsSec), math.Float64bits(b.epsCor)} {
		p = binary.BigEndian.AppendUint64(p, v)
	}
	p = append(p, b.id[:]...)
	p = append(p, b.bound[:]...)
	p = append(p, b.guard[:]...)
	binary.BigEndian.AppendUint32(p, crc32.Checksum(p, castagnoli))
	return dst
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseBlock reads one record; false means it is damaged.
func parseBlock(p []byte) (b block, ok bool) {
	if len(p) != recordSize {
		return b, false
	}
	if bytes.Count(p, []byte{0}) == recordSize {
		return b, true
	}
	sum := binary.BigEndian.Uint32(p[recordLen-4 : recordLen])
	if crc32.Checksum(p[:recordLen-4], castagnoli) != sum || p[0] == 0 || p[0] >= byte(states) {
		return b, false
	}
	u64 := func(i int) uint64 { return binary.BigEndian.Uint64(p[4+8*i:]) }
	f64 := func(i int) float64 { return math.Float64frombits(u64(i)) }
	b = block{state: state(p[0]), class: qsc.Class(p[1]), index: u64(0), ordinal: u64(1), burnSeq: u64(2), made: int64(u64(3)),
		qber: f64(4), f: f64(5), epsSec: f64(6), epsCor: f64(7)}
	copy(b.id[:], p[68:])
	copy(b.bound[:], p[84:])
	copy(b.guard[:], p[108:])
	return b, true
}
