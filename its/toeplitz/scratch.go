package toeplitz

import "sync"

// scratch is the memory of one product of 2^log points. Nothing in it is relied
// on to be zero.
type scratch struct {
	log    int
	rows   []row
	lo, hi []uint64 // lo has room for one word more
	turn   [turned]uint64
}

var pools [maxLog + 1]sync.Pool

func borrow(log int) *scratch {
	if b, ok := pools[log].Get().(*scratch); ok {
		return b
	}
	n := 1 << log
	return &scratch{log: log, rows: make([]row, n/4), lo: make([]uint64, n, n+1), hi: make([]uint64, n)}
}

// giveBack erases the scratch, which held key, and keeps it for the next product.
func (b *scratch) giveBack() {
	clear(b.rows)
	clear(b.lo[:cap(b.lo)])
	clear(b.hi)
	clear(b.turn[:])
	pools[b.log].Put(b)
}

// kept is the memory of a seed of up to 2^log points.
type kept struct {
	bits    []uint64 // with a zero word behind them
	product []row    // the transform, by coefficients
}

var keeps [maxLog + 1]sync.Pool

func keep(log int) *kept {
	if k, ok := keeps[log].Get().(*kept); ok {
		return k
	}
	n := 1 << log
	return &kept{bits: make([]uint64, n+2), product: make([]row, n/4)}
}
