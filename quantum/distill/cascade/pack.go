package cascade

import (
	"encoding/binary"

	"github.com/quantum-secure-cloud/qsc"
)

// packer writes bits one after another. Bit i of the stream is bit i%8 of byte i/8.
type packer struct {
	b   []byte // whole words
	acc uint64
	n   uint // bits in acc, under 64
}

func (p *packer) reset() { *p = packer{b: p.b[:0]} }

// size is how many bits were written.
func (p *packer) size() int { return len(p.b)*8 + int(p.n) }

// put appends the c lowest bits of x, at most 64. The others are 0.
func (p *packer) put(x uint64, c uint) {
	p.acc |= x << p.n
	if p.n+c < 64 {
		p.n += c
		return
	}
	p.b = binary.LittleEndian.AppendUint64(p.b, p.acc)
	p.acc = x >> (64 - p.n)
	p.n += c - 64
}

// add appends all that q holds.
func (p *packer) add(q *packer) {
	for b := q.b; len(b) > 0; b = b[8:] {
		p.put(binary.LittleEndian.Uint64(b), 64)
	}
	p.put(q.acc, q.n)
}

// seal returns the stream in bytes; the bits behind the last are 0. They are the
// packer's until it is used again.
func (p *packer) seal() []byte {
	size := (p.size() + 7) / 8
	whole := len(p.b)
	p.b = binary.LittleEndian.AppendUint64(p.b, p.acc)
	out := p.b[:size]
	p.b = p.b[:whole]
	return out
}

// answers checks that a message begins with as many bits as were asked for, and
// returns them, and what is behind their last byte.
func answers(msg []byte, bits int) (head, tail []byte, err error) {
	n := (bits + 7) / 8
	if len(msg) < n {
		return nil, nil, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a message of %d bytes, at least %d are due: the two ends are out of step", len(msg), n)
	}
	if over := bits % 8; over != 0 && msg[n-1]>>over != 0 {
		return nil, nil, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "bits behind the last one of a message: the two ends are out of step")
	}
	return msg[:n], msg[n:], nil
}

// reader reads what a packer sealed, with pad bytes more behind it.
type reader struct {
	b   []byte
	pos uint
}

const pad = 16

// take returns the next c bits, at most 64.
func (r *reader) take(c uint) uint64 {
	at, s := r.pos>>6<<3, r.pos&63
	x := binary.LittleEndian.Uint64(r.b[at:])>>s | binary.LittleEndian.Uint64(r.b[at+8:])<<(64-s)
	r.pos += c
	return x & (1<<c - 1)
}
