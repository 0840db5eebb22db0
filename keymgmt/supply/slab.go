package supply

import (
	"os"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// slab is a file of slots of one size that hold key and nothing else. What lies
// where is the journal's to know.
//
// A slot that is given back is dirty: its old key is still there. It is taken
// again first, which overwrites it; one that stays idle is zeroed by sweep.
type slab struct {
	f    durable.File
	slot int64
	most int // slots

	mu    sync.Mutex
	count int
	clean []uint32
	dirty []dirtySlot

	lead chan struct{}
	syn  sync.Mutex
	cur  *round
}

// dirtySlot may be overwritten once its round says that nobody needs it.
type dirtySlot struct {
	n     uint32
	after *round // nil: at once
	since time.Time
}

func openSlab(fs durable.FS, name string, slot, limit int64) (*slab, error) {
	f, err := fs.Open(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	return &slab{f: f, slot: slot, most: int(max(limit/slot, 1)), count: int(size / slot), lead: make(chan struct{}, 1), cur: newRound()}, nil
}

// begin says which slots are in use; all others count as dirty. Error: Corrupt
// when one lies outside the file.
func (b *slab) begin(name string, used map[uint32]bool) error {
	for n := range used {
		if int(n) >= b.count {
			return qsc.E("supply.Open", qsc.Corrupt, "", "%s is cut short: key that the journal speaks of is missing", name)
		}
	}
	for n := range b.count {
		if !used[uint32(n)] {
			b.dirty = append(b.dirty, dirtySlot{n: uint32(n)})
		}
	}
	return nil
}

// take returns a slot, and whether old key still lies in it. Error: NoSpace.
func (b *slab) take(wait func(*round) error) (n uint32, dirty bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := len(b.dirty) - 1; i >= 0 {
		d := b.dirty[i]
		b.dirty = b.dirty[:i]
		if d.after == nil {
			return d.n, true, nil
		}
		b.mu.Unlock()
		err := wait(d.after)
		b.mu.Lock()
		if err != nil {
			b.dirty = append(b.dirty, d)
		}
		return d.n, true, err
	}
	if n := len(b.clean); n > 0 {
		slot := b.clean[n-1]
		b.clean = b.clean[:n-1]
		return slot, false, nil
	}
	n, err = b.grow()
	return n, false, err
}

func (b *slab) grow() (uint32, error) {
	if b.count >= b.most {
		return 0, qsc.E("supply.store", qsc.NoSpace, "", "the key store holds %d slots, all in use: raise its limit or fetch what is issued", b.most)
	}
	more := min(max(b.count/4, 1), 64, b.most-b.count)
	if err := b.f.Allocate(int64(b.count+more) * b.slot); err != nil {
		return 0, err
	}
	for i := b.count + more - 1; i > b.count; i-- {
		b.clean = append(b.clean, uint32(i))
	}
	slot := uint32(b.count)
	b.count += more
	return slot, nil
}

// give takes a slot back; it may be overwritten after the round.
func (b *slab) give(n uint32, after *round, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty = append(b.dirty, dirtySlot{n, after, now})
}

func (b *slab) write(n uint32, off int64, p []byte) error {
	_, err := b.f.WriteAt(p, int64(n)*b.slot+off)
	return err
}

func (b *slab) read(n uint32, off int64, p []byte) error {
	_, err := b.f.ReadAt(p, int64(n)*b.slot+off)
	return err
}

var zeros = make([]byte, 1<<20)

func (b *slab) zero(n uint32, from, to int64) error {
	for from < to {
		k := min(to-from, int64(len(zeros)))
		if err := b.write(n, from, zeros[:k]); err != nil {
			return err
		}
		from += k
	}
	return nil
}

// sync makes all durable that was written before the call. One call syncs for
// all that wait. After an error everything written since the last success must
// be written again.
func (b *slab) sync() error {
	b.syn.Lock()
	r := b.cur
	b.syn.Unlock()
	select {
	case <-r.done:
		return r.err
	case b.lead <- struct{}{}:
	}
	defer func() { <-b.lead }()
	select {
	case <-r.done:
		return r.err
	default:
	}
	b.syn.Lock()
	b.cur = newRound()
	b.syn.Unlock()
	r.err = b.f.Sync()
	close(r.done)
	return r.err
}

// sweep zeroes slots that were idle since before, at most limit bytes of them.
func (b *slab) sweep(before time.Time, limit int64) error {
	b.mu.Lock()
	var list []dirtySlot
	keep := b.dirty[:0]
	for _, d := range b.dirty {
		if limit >= b.slot && !d.since.After(before) && (d.after == nil || over(d.after)) {
			list = append(list, d)
			limit -= b.slot
			continue
		}
		keep = append(keep, d)
	}
	b.dirty = keep
	b.mu.Unlock()
	var err error
	for _, d := range list {
		if err == nil {
			err = b.zero(d.n, 0, b.slot)
		}
	}
	if err == nil && len(list) > 0 {
		err = b.sync()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range list {
		if err != nil {
			b.dirty = append(b.dirty, d)
		} else {
			b.clean = append(b.clean, d.n)
		}
	}
	return err
}

// over reports whether a round has ended well.
func over(r *round) bool {
	select {
	case <-r.done:
		return r.err == nil
	default:
		return false
	}
}
