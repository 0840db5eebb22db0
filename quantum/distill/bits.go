package distill

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// maxBits bounds the raw key of a round: what privacy amplification takes.
const maxBits = 1 << 27

// buffers keeps the large memory of rounds for those to come. What is given holds
// nothing secret any more.
type buffers struct{ pool sync.Pool }

func (b *buffers) take(n int) []uint64 {
	if w, ok := b.pool.Get().(*[]uint64); ok && cap(*w) >= n {
		return (*w)[:n]
	}
	return make([]uint64, n)
}

func (b *buffers) give(w []uint64) { b.pool.Put(&w) }

// toBytes writes words as bytes: bit i of byte j is bit 8j+i.
func toBytes(dst []byte, src []uint64) {
	for i, w := range src {
		binary.LittleEndian.PutUint64(dst[8*i:], w)
	}
}

func toWords(dst []uint64, src []byte) {
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint64(src[8*i:])
	}
}

// word returns up to 64 bits from bit at on.
func (b Bits) word(at int) uint64 {
	i, s := at>>6, uint(at&63)
	w := b.W[i] >> s
	if s > 0 && i+1 < len(b.W) {
		w |= b.W[i+1] << (64 - s)
	}
	return w
}

// move copies n bits within b from bit from to bit to, which is not above it.
func (b Bits) move(to, from, n int) {
	for ; n > 0; to, from, n = to+64, from+64, n-64 {
		w, m := b.word(from), uint64(1)<<min(n, 64)-1
		if n >= 64 {
			m = ^uint64(0)
		}
		b.put(to, w&m, m)
	}
}

// put replaces the bits of mask m from bit at on.
func (b Bits) put(at int, w, m uint64) {
	i, s := at>>6, uint(at&63)
	b.W[i] = b.W[i]&^(m<<s) | w<<s
	if s > 0 && m>>(64-s) != 0 {
		b.W[i+1] = b.W[i+1]&^(m>>(64-s)) | w>>(64-s)
	}
}

// cut shortens b to n bits.
func (b Bits) cut(n int) Bits {
	clear(b.W[(n+63)/64:])
	b.W = b.W[:(n+63)/64]
	b.N = n
	if n%64 != 0 {
		b.W[len(b.W)-1] &= 1<<(n%64) - 1
	}
	return b
}

// differ counts the bits from from up to to in which a and b differ.
func differ(a, b Bits, from, to int) (n int64) {
	for at := from; at < to; at += 64 {
		x := a.word(at) ^ b.word(at)
		if to-at < 64 {
			x &= 1<<(to-at) - 1
		}
		n += int64(bits.OnesCount64(x))
	}
	return n
}
