package transport

import (
	"slices"
	"sync"
)

// pool recycles buffers of a few sizes, so that what is kept for long takes about
// as much memory as it has bytes.
type pool struct {
	sizes []int // rising
	free  []sync.Pool
}

func newPool(sizes ...int) *pool { return &pool{sizes: sizes, free: make([]sync.Pool, len(sizes))} }

var (
	framePool   = newPool(4<<10, 32<<10, frameLimit)
	chunkPool   = newPool(maxData)
	messagePool = newPool(doubling(256, MaxPublic)...)
)

// doubling is least, twice that and so on up to most.
func doubling(least, most int) (sizes []int) {
	for n := least; n < most; n *= 2 {
		sizes = append(sizes, n)
	}
	return append(sizes, most)
}

// room returns the size of the buffer that get would return.
func (p *pool) room(n int) int { return p.sizes[p.index(n)] }

func (p *pool) index(n int) int {
	i, _ := slices.BinarySearch(p.sizes, n)
	return i
}

// get returns a buffer of n bytes or more: its length and capacity are one of the
// sizes. n is at most the largest.
func (p *pool) get(n int) []byte {
	i := p.index(n)
	if v, ok := p.free[i].Get().(*[]byte); ok {
		return *v
	}
	return make([]byte, p.sizes[i])
}

// put takes a buffer back that nobody uses any more; others it ignores.
func (p *pool) put(b []byte) {
	b = b[:cap(b)]
	if i, ok := slices.BinarySearch(p.sizes, len(b)); ok {
		p.free[i].Put(&b)
	}
}
