package twins

import (
	"hash/crc32"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// list says which of the vendor's keys make a block. It is public.
type list struct {
	epoch uint32
	seq   uint64
	id    qsc.KeyID
	made  int64 // Unix nanoseconds
	class qsc.Class
	batch uint16 // keys in one request
	size  uint32 // bytes of each key
	ids   []qsc.KeyID
}

const (
	listMagic   = 0x51534344 // QSCD
	listVersion = 1
	listHead    = 4 + 1 + 4 + 8 + 16 + 8 + 1 + 2 + 4 + 4
	minKey      = 8 // bytes: the smallest key that is asked for
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maxList bounds the text of a list for blocks of that length.
func maxList(block int64) int { return listHead + 16*int(block/minKey+1) + 4 }

func (l *list) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, listHead+16*len(l.ids)+4)}
	w.U32(listMagic).U8(listVersion).U32(l.epoch).U64(l.seq).Raw(l.id[:]).U64(uint64(l.made)).U8(uint8(l.class)).U16(l.batch).U32(l.size).U32(uint32(len(l.ids)))
	for _, id := range l.ids {
		w.Raw(id[:])
	}
	return w.U32(crc32.Checksum(w.B, castagnoli)).B
}

// decodeList reads a list for blocks of a length. Error: Corrupt.
func decodeList(b []byte, block int64) (*list, error) {
	r := wire.NewReader(b)
	magic, version := r.U32(), r.U8()
	l := &list{epoch: r.U32(), seq: r.U64(), id: r.Array16(), made: int64(r.U64()), class: qsc.Class(r.U8()), batch: r.U16(), size: r.U32()}
	n := int64(r.U32())
	if r.Err() == nil && (magic != listMagic || version != listVersion || l.size < minKey || l.batch == 0 || n != keysFor(block, int64(l.size))) {
		return nil, badList("it does not make a block of %d bytes", block)
	}
	raw := r.Take(int(n) * 16)
	if sum := r.U32(); r.Done() != nil || sum != crc32.Checksum(b[:len(b)-4], castagnoli) {
		return nil, badList("it is cut short or altered")
	}
	l.ids = make([]qsc.KeyID, n)
	seen := make(map[qsc.KeyID]bool, n)
	for i := range l.ids {
		copy(l.ids[i][:], raw[16*i:])
		seen[l.ids[i]] = true
	}
	if len(seen) != len(l.ids) {
		return nil, badList("it names a key twice")
	}
	return l, nil
}

func badList(format string, args ...any) error {
	return qsc.E("twins.List", qsc.Corrupt, "", "a block list cannot be used: "+format, args...)
}

// keysFor is how many keys of a size make a block; the last may be cut.
func keysFor(block, size int64) int64 { return (block + size - 1) / size }

func (l *list) madeAt() time.Time { return time.Unix(0, l.made) }
