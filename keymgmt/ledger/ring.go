package ledger

import (
	"runtime"
	"sync/atomic"

	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// ring is the mapped pad file of a lane: the pad bytes of block i, without its
// guard, lie in slot i mod slots. So a position's place is position mod size,
// and neighbouring blocks are contiguous but at the end of the file.
//
// Pads point into the mapping and outlive the ledger: every pad's erase function
// holds its ring, and the mapping goes when the last of them is collected.
type ring struct {
	m    durable.Mapping
	b    []byte
	size uint64

	fetched atomic.Uint64 // position up to which pads are on their way from the disk
}

func newRing(m durable.Mapping) *ring {
	r := &ring{m: m, b: m.Bytes(), size: uint64(len(m.Bytes()))}
	runtime.AddCleanup(r, func(m durable.Mapping) { _ = m.Unmap() }, m)
	return r
}

// at returns the bytes of [from, to), which must not cross the ring's end.
func (r *ring) at(from, to uint64) []byte {
	off := from % r.size
	return r.b[off : off+to-from : off+to-from]
}

// fetchAhead is how far pads are read from the disk before they are asked for.
// They were written long ago: without it every megabyte waits for the disk.
const fetchAhead = 8 << 20

// fetch has what follows a pad that ends at pos read meanwhile.
func (r *ring) fetch(pos uint64) {
	done := r.fetched.Load()
	if pos+fetchAhead/2 <= done && done <= pos+fetchAhead {
		return
	}
	if !r.fetched.CompareAndSwap(done, pos+fetchAhead) {
		return
	}
	from := pos
	if done > pos && done < pos+fetchAhead {
		from = done
	}
	_ = r.pieces(from, min(pos+fetchAhead, from+r.size), func(a, b uint64) error {
		r.m.Fetch(int64(a%r.size), int64(b-a))
		return nil
	})
}

// toWrap returns how many bytes from pos on are contiguous.
func (r *ring) toWrap(pos uint64) uint64 { return r.size - pos%r.size }

// pieces calls fn for the contiguous parts of [from, to), at most a ring long.
func (r *ring) pieces(from, to uint64, fn func(from, to uint64) error) error {
	for from < to {
		end := min(to, from+r.toWrap(from))
		if err := fn(from, end); err != nil {
			return err
		}
		from = end
	}
	return nil
}

func (r *ring) zero(from, to uint64) {
	_ = r.pieces(from, to, func(a, b uint64) error {
		clear(r.at(a, b))
		return nil
	})
}

func (r *ring) sync(from, to uint64) error {
	return r.pieces(from, to, func(a, b uint64) error {
		return r.m.Sync(int64(a%r.size), int64(b-a))
	})
}
