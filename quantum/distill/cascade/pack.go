package cascade

import (
	"encoding/binary"
	"math/bits"

	"github.com/quantum-secure-cloud/qsc"
)

// packer writes the bits of words that masks select, one after another. Bit i of
// the stream is bit i%8 of byte i/8; the bits beyond the last are 0.
type packer struct {
	b     []byte // whole words; a zero word more once sealed
	acc   uint64
	n     uint // bits in acc, under 64
	total int  // bits, once sealed
}

func (p *packer) reset() { *p = packer{b: p.b[:0]} }

// put appends the bits of x under mask, the lowest first.
func (p *packer) put(x, mask uint64) {
	var y uint64
	var c uint
	for ; mask != 0; mask &= mask - 1 {
		y |= x >> (bits.TrailingZeros64(mask) & 63) & 1 << (c & 63)
		c++
	}
	p.acc |= y << p.n
	p.n += c
	if p.n >= 64 {
		p.b = binary.LittleEndian.AppendUint64(p.b, p.acc)
		p.n -= 64
		p.acc = y >> (c - p.n)
	}
}

// bit appends x, 0 or 1, if want is 1. Where want is 0, nothing.
func (p *packer) bit(x, want uint64) {
	p.acc |= (x & want) << (p.n & 63)
	p.n += uint(want)
	if p.n == 64 {
		p.b = binary.LittleEndian.AppendUint64(p.b, p.acc)
		p.acc, p.n = 0, 0
	}
}

// seal ends the stream.
func (p *packer) seal() {
	p.total = len(p.b)*8 + int(p.n)
	p.b = binary.LittleEndian.AppendUint64(p.b, p.acc)
	p.b = binary.LittleEndian.AppendUint64(p.b, 0)
	p.acc, p.n = 0, 0
}

// bytes is the sealed stream, which the caller may change in place.
func (p *packer) bytes() []byte { return p.b[:(p.total+7)/8] }

// check says whether a message can be the other end's answer to the same
// questions.
func (p *packer) check(msg []byte) error {
	if want := (p.total + 7) / 8; len(msg) != want {
		return qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a message of %d bytes, not %d: the two ends are out of step", len(msg), want)
	}
	if over := p.total % 8; over != 0 && msg[len(msg)-1]>>over != 0 {
		return qsc.E("cascade.Reconcile", qsc.Corrupt, "", "bits behind the last one of a message: the two ends are out of step")
	}
	return nil
}

// unpacker reads what a packer sealed.
type unpacker struct {
	b   []byte
	pos uint
}

// take returns the next bits, laid under mask.
func (u *unpacker) take(mask uint64) uint64 {
	at, s := u.pos>>6<<3, u.pos&63
	x := binary.LittleEndian.Uint64(u.b[at:])>>s | binary.LittleEndian.Uint64(u.b[at+8:])<<(64-s)
	var y uint64
	c := u.pos
	for ; mask != 0; mask &= mask - 1 {
		y |= x & 1 << (bits.TrailingZeros64(mask) & 63)
		x >>= 1
		c++
	}
	u.pos = c
	return y
}

// bit returns the next bit if want is 1, else 0 and takes none.
func (u *unpacker) bit(want uint64) uint64 {
	x := uint64(u.b[u.pos>>3]) >> (u.pos & 7) & want
	u.pos += uint(want)
	return x
}
