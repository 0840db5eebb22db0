package pool

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/quantum-secure-cloud/qsc"
)

// A pool file, all integers big-endian:
//
//	   0  512  one mark
//	 512  512  the other mark; the valid one with the higher number counts
//	4096       the random bytes
//
// A mark:
//
//	  0   4  magic "QRP1"
//	  4   1  class of the bytes (qsc.Class)
//	  8   8  number of the mark, rising
//	 16   8  length of the random bytes
//	 24   8  bytes below this are spent
//	 32   8  bytes below this are overwritten, durably
//	508   4  CRC-32C of bytes 0 to 507
const (
	magic     = "QRP1"
	markSize  = 512
	dataStart = 4096
	suffix    = ".qrp"
	tmpSuffix = ".tmp"
	maxSize   = 1 << 44
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mark is the durable state of a pool file.
type mark struct {
	class  qsc.Class
	number uint64
	size   int64
	spent  int64
	erased int64
}

func (m *mark) marshal() []byte {
	b := make([]byte, markSize)
	copy(b, magic)
	b[4] = byte(m.class)
	binary.BigEndian.PutUint64(b[8:], m.number)
	binary.BigEndian.PutUint64(b[16:], uint64(m.size))
	binary.BigEndian.PutUint64(b[24:], uint64(m.spent))
	binary.BigEndian.PutUint64(b[32:], uint64(m.erased))
	binary.BigEndian.PutUint32(b[508:], crc32.Checksum(b[:508], castagnoli))
	return b
}

// parseMark reads one mark; ok is false for one that is torn or none.
func parseMark(b []byte) (m mark, ok bool) {
	if len(b) < markSize || string(b[:4]) != magic || binary.BigEndian.Uint32(b[508:]) != crc32.Checksum(b[:508], castagnoli) {
		return m, false
	}
	m = mark{
		class: qsc.Class(b[4]), number: binary.BigEndian.Uint64(b[8:]), size: int64(binary.BigEndian.Uint64(b[16:])),
		spent: int64(binary.BigEndian.Uint64(b[24:])), erased: int64(binary.BigEndian.Uint64(b[32:])),
	}
	return m, m.size >= 0 && m.size <= maxSize && 0 <= m.erased && m.erased <= m.spent && m.spent <= m.size
}

// newest returns the valid mark with the higher number.
func newest(front []byte) (m mark, err error) {
	found := false
	for off := 0; off < 2*markSize; off += markSize {
		if off+markSize > len(front) {
			break
		}
		if x, ok := parseMark(front[off:]); ok && (!found || x.number > m.number) {
			m, found = x, true
		}
	}
	if !found {
		return m, qsc.E("pool.Open", qsc.Corrupt, "", "no valid mark: what was spent is not known, so nothing of it is served")
	}
	return m, nil
}
