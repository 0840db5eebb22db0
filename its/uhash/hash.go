package uhash

import (
	"encoding/binary"
	"fmt"
	"log/slog"
)

// Hash is a tag in the making: Start, any number of Writes, Tag. A caller that
// encrypts tile by tile feeds each tile while it is still in the first-level
// cache. It is a value without heap parts, not safe for concurrent use, and as
// secret as the key.
type Hash struct {
	k            *Key
	h            elem
	header, body uint64
	buf          [Size]byte
	n            int // bytes waiting in buf, fewer than Size
}

// Start starts a message with its header. k must stay untouched until Tag. Both
// may live on the stack.
func (k *Key) Start(header []byte) Hash {
	h := Hash{k: k, header: uint64(len(header))}
	h.absorb(header)
	h.pad()
	return h
}

// Init is Start for a Hash that is there already, used before or not. The
// compiler moves a key it is given to the heap.
func (h *Hash) Init(k *Key, header []byte) { *h = k.Start(header) }

// Write appends p to the body. It keeps no reference to p.
func (h *Hash) Write(p []byte) {
	h.body += uint64(len(p))
	h.absorb(p)
}

// Tag ends the message and returns its tag. The Hash must be initialised anew
// before it is used again; mask must never be used for another message.
func (h *Hash) Tag(mask *[16]byte) [16]byte {
	h.pad()
	binary.LittleEndian.PutUint64(h.buf[:], h.header)
	binary.LittleEndian.PutUint64(h.buf[8:], h.body)
	blocks(h.k, &h.h, h.buf[:])
	m := load(mask[:])
	t := elem{h.h.lo ^ m.lo, h.h.hi ^ m.hi}
	*h = Hash{}
	return t.bytes()
}

// Format implements fmt.Formatter for every verb.
func (h *Hash) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[secret]")) }

// LogValue implements slog.LogValuer.
func (h *Hash) LogValue() slog.Value { return slog.StringValue("[secret]") }

func (h *Hash) absorb(p []byte) {
	if h.n > 0 {
		c := copy(h.buf[h.n:], p)
		h.n += c
		p = p[c:]
		if h.n < Size {
			return
		}
		blocks(h.k, &h.h, h.buf[:])
	}
	whole := len(p) &^ (Size - 1)
	if whole > 0 {
		blocks(h.k, &h.h, p[:whole])
	}
	h.n = copy(h.buf[:], p[whole:])
}

// pad fills a part block with zeros and takes it in.
func (h *Hash) pad() {
	if h.n > 0 {
		clear(h.buf[h.n:])
		blocks(h.k, &h.h, h.buf[:])
		h.n = 0
	}
}
