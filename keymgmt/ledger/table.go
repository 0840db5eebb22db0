package ledger

import (
	"sync"

	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// table is the file of block records: lane by lane, slot by slot.
type table struct {
	f    durable.File
	base [4]int64 // of each lane's first record, in records
	size int64    // in bytes
	mu   sync.Mutex
}

// entry is one record on its way to the table.
type entry struct {
	lane int
	slot int
	rec  block
}

// write stores the records and returns when they are durable. Records that are
// neighbours in the file go in one call.
func (t *table) write(list []entry) error {
	if len(list) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	buf := make([]byte, 0, recordSize*len(list))
	start := t.place(list[0])
	for i := range list {
		if at := t.place(list[i]); at != start+int64(len(buf)) {
			if _, err := t.f.WriteAt(buf, start); err != nil {
				return err
			}
			start, buf = at, buf[:0]
		}
		buf = list[i].rec.encode(buf)
	}
	if _, err := t.f.WriteAt(buf, start); err != nil {
		return err
	}
	clear(buf[:cap(buf)]) // guards
	return t.f.Sync()
}

func (t *table) place(e entry) int64 { return (t.base[e.lane] + int64(e.slot)) * recordSize }
