package bb84

import "encoding/binary"

// packer packs fields of bits, the first in the lowest bit of the first byte.
type packer struct {
	full []uint64
	word uint64
	n    uint // bits in word
}

func (p *packer) reset() { p.full, p.word, p.n = p.full[:0], 0, 0 }

// put appends the lowest width bits of v, which has no others; width ≤ 32.
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

// bit returns bit i, which has been put.
func (p *packer) bit(i int) uint64 {
	if i>>6 == len(p.full) {
		return p.word >> (i & 63) & 1
	}
	return p.full[i>>6] >> (i & 63) & 1
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

// packed are bits that have come in a message.
type packed []byte

// packedLen is the length of n bits in bytes.
func packedLen(n int) int { return (n + 7) / 8 }

// clean reports whether the bits beyond n are 0.
func (p packed) clean(n int) bool { return n&7 == 0 || p[n>>3]>>(n&7) == 0 }

func (p packed) bit(i int) uint64 { return uint64(p[i>>3]>>(i&7)) & 1 }

// pair returns bits 2i and 2i+1.
func (p packed) pair(i int) uint64 { return uint64(p[i>>2]>>(i&3*2)) & 3 }
