package ledger

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

const (
	marksMagic = "QSCLEDG1"
	pageSize   = 4096
	copies     = 2 // of each record, so that a damaged sector loses none
	marksSize  = 2 * copies * pageSize
	maxLink    = 255
)

// record is one state of all marks.
type record struct {
	seq   uint64 // rises with every record written
	end   uint8
	class qsc.Class
	epoch uint32
	block uint64
	slots [keymgmt.Lanes]uint64
	link  string
	lanes [keymgmt.Lanes]laneRecord
}

// laneRecord is one lane: exact at the moment of writing, but for mark, which
// lies ahead.
type laneRecord struct {
	pos       uint64 // sender: next pad; receiver: floor
	mark      uint64 // below it nothing is served after a crash
	erased    uint64 // below it everything is overwritten on the medium
	nextIndex uint64
	ordinal   uint64
	seen      uint64
	produced  int64
	used      int64
	burnt     int64
	above     int64 // consumed above pos
}

func (r *laneRecord) fields() []uint64 {
	return []uint64{r.pos, r.mark, r.erased, r.nextIndex, r.ordinal, r.seen,
		uint64(r.produced), uint64(r.used), uint64(r.burnt), uint64(r.above)}
}

const laneFields = 10

// encode returns one page: the record and, in the last four bytes, its CRC-32C.
func (r *record) encode() []byte {
	p := make([]byte, 0, pageSize)
	p = append(p, marksMagic...)
	p = binary.BigEndian.AppendUint64(p, r.seq)
	p = append(p, r.end, byte(r.class))
	p = binary.BigEndian.AppendUint32(p, r.epoch)
	p = binary.BigEndian.AppendUint64(p, r.block)
	for _, s := range r.slots {
		p = binary.BigEndian.AppendUint64(p, s)
	}
	p = append(p, byte(len(r.link)))
	p = append(p, r.link...)
	for i := range r.lanes {
		for _, v := range r.lanes[i].fields() {
			p = binary.BigEndian.AppendUint64(p, v)
		}
	}
	p = p[:pageSize]
	binary.BigEndian.PutUint32(p[pageSize-4:], crc32.Checksum(p[:pageSize-4], castagnoli))
	return p
}

// parseRecord reads one page; false means it holds no whole record.
func parseRecord(p []byte) (r record, ok bool) {
	if len(p) != pageSize || string(p[:len(marksMagic)]) != marksMagic ||
		crc32.Checksum(p[:pageSize-4], castagnoli) != binary.BigEndian.Uint32(p[pageSize-4:]) {
		return r, false
	}
	p = p[len(marksMagic):]
	u64 := func() uint64 {
		v := binary.BigEndian.Uint64(p)
		p = p[8:]
		return v
	}
	r.seq = u64()
	r.end, r.class = p[0], qsc.Class(p[1])
	r.epoch = binary.BigEndian.Uint32(p[2:])
	p = p[6:]
	r.block = u64()
	for i := range r.slots {
		r.slots[i] = u64()
	}
	n := int(p[0])
	r.link, p = string(p[1:1+n]), p[1+n:]
	for i := range r.lanes {
		var f [laneFields]uint64
		for j := range f {
			f[j] = u64()
		}
		r.lanes[i] = laneRecord{f[0], f[1], f[2], f[3], f[4], f[5], int64(f[6]), int64(f[7]), int64(f[8]), int64(f[9])}
	}
	return r, true
}

// marksFile holds two records, written in turn, each twice. The one that is
// valid and newest counts; the other may be torn.
type marksFile struct {
	f    durable.File
	half int    // where the next record goes
	seq  uint64 // of the last record begun, durable or not
}

// write makes the record durable. After a failure the same half is written
// again, under a new number: the other one stays whole.
func (m *marksFile) write(r record) error {
	page := r.encode()
	both := append(page, page...)
	if _, err := m.f.WriteAt(both, int64(m.half)*copies*pageSize); err != nil {
		return err
	}
	if err := m.f.Sync(); err != nil {
		return err
	}
	m.half = 1 - m.half
	return nil
}

// read returns the newest record and where it lies.
func (m *marksFile) read() (r record, found bool, err error) {
	b := make([]byte, marksSize)
	if _, err := m.f.ReadAt(b, 0); err != nil {
		return r, false, err
	}
	for i := range 2 * copies {
		if c, ok := parseRecord(b[i*pageSize : (i+1)*pageSize]); ok && (!found || c.seq > r.seq) {
			r, found = c, true
			m.half = 1 - i/copies
		}
	}
	m.seq = r.seq
	return r, found, nil
}
