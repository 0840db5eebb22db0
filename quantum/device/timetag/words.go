package timetag

import "encoding/binary"

// Bits are packed into words of 32, from the highest bit down, and the words stand
// little-endian in the file.

// packer appends values to such words.
type packer struct {
	b    []byte
	acc  uint64 // the lowest fill bits are not written yet
	fill int
}

// put appends the lowest n bits of v, n ≤ 32.
func (p *packer) put(v uint64, n int) {
	p.acc = p.acc<<n | v&(1<<n-1)
	for p.fill += n; p.fill >= 32; {
		p.fill -= 32
		p.b = binary.LittleEndian.AppendUint32(p.b, uint32(p.acc>>p.fill))
	}
}

// bytes fills the last word up with zeros.
func (p *packer) bytes() []byte {
	if p.fill > 0 {
		p.put(0, 32-p.fill)
	}
	return p.b
}

// unpacker takes values out.
type unpacker struct {
	b    []byte
	acc  uint64
	fill int
	dry  bool // there were not as many bits
}

// take returns the next n bits, n ≤ 32.
func (u *unpacker) take(n int) uint64 {
	if u.fill < n {
		if len(u.b) < 4 {
			u.dry = true
			return 0
		}
		u.acc = u.acc<<32 | uint64(binary.LittleEndian.Uint32(u.b))
		u.b = u.b[4:]
		u.fill += 32
	}
	u.fill -= n
	return u.acc >> u.fill & (1<<n - 1)
}

// rest reports whether what is left is nothing but the zeros of the last word.
func (u *unpacker) rest() bool { return len(u.b) == 0 && u.acc&(1<<u.fill-1) == 0 }
