package preshared

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// A stock file, all integers big-endian:
//
//	header   512 bytes
//	  0   4  magic "QSCK"
//	  4   1  format version, 1
//	  5   1  class of the random bytes (qsc.Class)
//	  8   4  epoch
//	 12   4  block length in bytes
//	 16   4  number of blocks
//	 20   8  created, nanoseconds since 1970
//	 28   1  length of the link's name, then the name
//	508   4  CRC-32C of bytes 0 to 507
//	records  64 bytes for each block, by rising seq
//	  0   8  seq
//	  8  16  block id
//	 24   4  CRC-32C of the block
//	 56   4  CRC-32C of bytes 0 to 55
//	 60   1  0, or 0xA5 once the block was taken
//	blocks   from the next multiple of 4096 on, one behind the other
//
// The checksums find damage, not malice: a courier's disk is trusted.
const (
	magic      = "QSCK"
	version    = 1
	headerSize = 512
	recordSize = 64
	dataAlign  = 4096
	takenMark  = 0xA5
	takenAt    = 60

	maxBlocks = 1 << 24
	minBlock  = 512
	maxBlock  = 64 << 20
	maxName   = 255

	stockSuffix = ".qkb"
	tmpSuffix   = ".tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header describes one stock file.
type header struct {
	class   qsc.Class
	epoch   uint32
	block   int64
	count   int64
	created time.Time
	link    qsc.LinkID
}

func (h *header) marshal() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	b[4], b[5] = version, byte(h.class)
	binary.BigEndian.PutUint32(b[8:], h.epoch)
	binary.BigEndian.PutUint32(b[12:], uint32(h.block))
	binary.BigEndian.PutUint32(b[16:], uint32(h.count))
	binary.BigEndian.PutUint64(b[20:], uint64(h.created.UnixNano()))
	b[28] = byte(len(h.link))
	copy(b[29:], h.link)
	binary.BigEndian.PutUint32(b[508:], crc32.Checksum(b[:508], castagnoli))
	return b
}

func parseHeader(b []byte) (header, error) {
	bad := func(why string) (header, error) {
		return header{}, qsc.E("preshared.Open", qsc.Corrupt, "", "stock file: %s", why)
	}
	if len(b) < headerSize || string(b[:4]) != magic {
		return bad("no stock header: it is cut short or another kind of file")
	}
	if b[4] != version {
		return bad(fmt.Sprintf("format version %d, this release reads %d", b[4], version))
	}
	if binary.BigEndian.Uint32(b[508:]) != crc32.Checksum(b[:508], castagnoli) {
		return bad("the header is damaged")
	}
	h := header{
		class: qsc.Class(b[5]), epoch: binary.BigEndian.Uint32(b[8:]), block: int64(binary.BigEndian.Uint32(b[12:])),
		count:   int64(binary.BigEndian.Uint32(b[16:])),
		created: time.Unix(0, int64(binary.BigEndian.Uint64(b[20:]))).UTC(),
		link:    qsc.LinkID(b[29 : 29+int(b[28])]),
	}
	if h.block < minBlock || h.block > maxBlock || h.count < 1 || h.count > maxBlocks {
		return bad("impossible block length or count")
	}
	return h, nil
}

// record describes one block of a stock file.
type record struct {
	seq   uint64
	id    qsc.KeyID
	sum   uint32
	taken bool
}

func (r *record) marshal(b []byte) {
	clear(b[:recordSize])
	binary.BigEndian.PutUint64(b, r.seq)
	copy(b[8:], r.id[:])
	binary.BigEndian.PutUint32(b[24:], r.sum)
	binary.BigEndian.PutUint32(b[56:], crc32.Checksum(b[:56], castagnoli))
}

func parseRecord(b []byte) (r record, ok bool) {
	if binary.BigEndian.Uint32(b[56:]) != crc32.Checksum(b[:56], castagnoli) {
		return r, false
	}
	r = record{seq: binary.BigEndian.Uint64(b), sum: binary.BigEndian.Uint32(b[24:]), taken: b[takenAt] == takenMark}
	copy(r.id[:], b[8:24])
	return r, true
}

// parseRecords reads the records of a file. Seqs must rise.
func parseRecords(b []byte, count int64) ([]record, error) {
	if int64(len(b)) < count*recordSize {
		return nil, qsc.E("preshared.Open", qsc.Corrupt, "", "stock file: the records are cut short")
	}
	all := make([]record, count)
	for i := range all {
		r, ok := parseRecord(b[i*recordSize:][:recordSize])
		if !ok || i > 0 && r.seq <= all[i-1].seq || r.seq == math.MaxUint64 {
			return nil, qsc.E("preshared.Open", qsc.Corrupt, "", "stock file: record %d is damaged", i)
		}
		all[i] = r
	}
	return all, nil
}

func dataStart(count int64) int64 {
	return (headerSize + count*recordSize + dataAlign - 1) / dataAlign * dataAlign
}

func fileName(epoch uint32, first uint64) string {
	return fmt.Sprintf("%08x-%016x%s", epoch, first, stockSuffix)
}
