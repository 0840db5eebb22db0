package bb84

import (
	"encoding/binary"
	"math/bits"
)

// packer packs fields of bits, the first in the lowest bit of the first byte.
type packer struct {
	full []uint64
	word uint64
	n    uint // bits in word
}

func (p *packer) reset() { p.full, p.word, p.n = p.full[:0], 0, 0 }

// put appends the lowest width bits of v, which has no others; width ≤ 64.
func (p *packer) put(v uint64, width uint) {
	p.word |= v << p.n
	if p.n += width; p.n >= 64 {
		p.full = append(p.full, p.word)
		p.n -= 64
		p.word = v >> (width - p.n)
	}
}

// len is the number of bits.
func (p *packer) len() int { return len(p.full)*64 + int(p.n) }

// at returns bits 64 i and up.
func (p *packer) at(i int) uint64 {
	if i == len(p.full) {
		return p.word
	}
	return p.full[i]
}

// append appends the bits to b, in whole bytes.
func (p *packer) append(b []byte) []byte {
	for _, w := range p.full {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	for i := uint(0); i < p.n; i += 8 {
		b = append(b, byte(p.word>>i))
	}
	return b
}

// packedLen is the length of n bits in bytes.
func packedLen(n int) int { return (n + 7) / 8 }

// packed are n bits of a message, read from the front.
type packed struct {
	b   []byte
	n   int
	pos int
}

// cut takes n bits off the front of a message. Error: Corrupt.
func cut(b []byte, n int) (packed, []byte, error) {
	size := packedLen(n)
	if len(b) < size {
		return packed{}, nil, corrupt("%d bits in %d bytes", n, len(b))
	}
	if n&7 != 0 && b[size-1]>>(n&7) != 0 {
		return packed{}, nil, corrupt("bits behind the last of %d", n)
	}
	return packed{b: b[:size], n: n}, b[size:], nil
}

// take returns the next width bits, at most 64; beyond the end they are 0.
func (p *packed) take(width int) uint64 {
	i, shift := p.pos>>3, uint(p.pos&7)
	p.pos += width
	var lo, hi uint64
	if i+9 <= len(p.b) {
		lo, hi = binary.LittleEndian.Uint64(p.b[i:]), uint64(p.b[i+8])
	} else {
		var end [9]byte
		copy(end[:], p.b[min(i, len(p.b)):])
		lo, hi = binary.LittleEndian.Uint64(end[:]), uint64(end[8])
	}
	return (lo>>shift | hi<<(64-shift)) & ones(width)
}

// ones is a word of n low ones, n ≤ 64.
func ones(n int) uint64 { return 1<<uint(n) - 1 }

// count is the number of ones.
func (p *packed) count() (n int) {
	for _, b := range p.b {
		n += bits.OnesCount8(b)
	}
	return n
}

// squeeze moves the bits of words that stand where mask has ones to the bottom, in
// order. The moves are worked out once for all words (Warren, Hacker's Delight,
// 7-4).
type squeeze struct {
	mask  uint64
	moves [6]uint64
}

func newSqueeze(mask uint64) (s squeeze) {
	s.mask = mask
	holes := ^mask << 1 // how many zeros stand below each bit, by parallel prefix
	for i := range s.moves {
		p := holes ^ holes<<1
		p ^= p << 2
		p ^= p << 4
		p ^= p << 8
		p ^= p << 16
		p ^= p << 32
		move := p & mask
		s.moves[i] = move
		mask = mask ^ move | move>>(1<<i)
		holes &^= p
	}
	return s
}

func (s *squeeze) of(v uint64) uint64 {
	v &= s.mask
	for i, m := range s.moves {
		t := v & m
		v = v ^ t | t>>(1<<i)
	}
	return v
}
