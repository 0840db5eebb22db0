package distill_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// The engine's types of message, as the design page has them.
const (
	tReady  = 0x52
	tGo     = 0x53
	tHashes = 0x54
	tBad    = 0x55
	tLength = 0x56
	tSeed   = 0x57
	tTag    = 0x58
	tIdle   = 0x59
)

// tap is what somebody on the public channel sees and does. It takes the stream of
// each end apart into messages.
type tap struct {
	t     testing.TB
	mu    sync.Mutex
	count [2]int // messages, over all connections
	tags  map[[2]uint64]string
	types map[byte]int
	seeds map[string]bool // the beginnings of Alice's
	last  byte            // what Alice said
	// edit may change a message or return another; nil cuts the connection before it.
	edit func(end, n int, typ byte, msg []byte) []byte
}

func newTap(t testing.TB) *tap {
	return &tap{t: t, tags: map[[2]uint64]string{}, types: map[byte]int{}, seeds: map[string]bool{}, edit: func(_, _ int, _ byte, msg []byte) []byte { return msg }}
}

func (p *tap) wrap(end int, c net.Conn) net.Conn { return &tapped{Conn: c, p: p, end: end} }

type tapped struct {
	net.Conn
	p   *tap
	end int

	mu   sync.Mutex // the dead stay so
	buf  []byte
	dead bool
}

// Write implements net.Conn: whole messages go on.
func (c *tapped) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return 0, net.ErrClosed
	}
	c.buf = append(c.buf, b...)
	for len(c.buf) >= 13 {
		n := 13 + int(binary.BigEndian.Uint32(c.buf))
		if len(c.buf) < n {
			break
		}
		msg := c.p.pass(c.end, c.buf[:n])
		ok := msg != nil
		if ok {
			_, err := c.Conn.Write(msg)
			ok = err == nil
		}
		if !ok {
			c.dead = true
			_ = c.Conn.Close()
			return 0, net.ErrClosed
		}
		c.buf = append(c.buf[:0], c.buf[n:]...)
	}
	return len(b), nil
}

// pass sees a message with its head and holds the ends to using a mask once, and Alice
// to a new seed in each round, told after the key and its length are settled.
func (p *tap) pass(end int, msg []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	typ := msg[4]
	if typ == tIdle {
		return msg
	}
	p.count[end]++
	p.types[typ]++
	if typ == tTag {
		place := [2]uint64{binary.BigEndian.Uint64(msg[13:]), uint64(binary.BigEndian.Uint32(msg[21:]))<<1 | uint64(end)}
		if old, twice := p.tags[place]; twice {
			p.t.Errorf("end %d uses the mask %d of batch %d twice (for the same tag: %t)", end, place[1]>>1, place[0], old == string(msg[25:]))
		}
		p.tags[place] = string(msg[25:])
	}
	if end == alice {
		if typ == tSeed && p.last != tSeed {
			if p.last != tLength {
				p.t.Errorf("the seed is told behind a message of type %#x", p.last)
			}
			begins := string(msg[13:min(len(msg), 13+32)])
			if p.seeds[begins] {
				p.t.Error("a seed is used twice")
			}
			p.seeds[begins] = true
		}
		p.last = typ
	}
	return p.edit(end, p.count[end], typ, msg)
}

// set changes what the tap does.
func (p *tap) set(edit func(end, n int, typ byte, msg []byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.edit = edit
}

func (p *tap) seen(typ byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.types[typ]
}

// book holds the ends to one block for one number.
type book struct {
	mu     sync.Mutex
	blocks [2]map[uint64]quantum.KeyBlock
	equal  int
}

func newBook() *book {
	return &book{blocks: [2]map[uint64]quantum.KeyBlock{{}, {}}}
}

func (k *book) add(t testing.TB, end int, b quantum.KeyBlock) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, twice := k.blocks[end][b.Seq]; twice {
		t.Fatalf("end %d gives block %d out twice", end, b.Seq)
	}
	k.blocks[end][b.Seq] = b
	if x, ok := k.blocks[1-end][b.Seq]; ok {
		same(t, x, b)
		k.equal++
	}
	for seq, x := range k.blocks[end] {
		if seq != b.Seq && bytes.Equal(x.Key.Expose(), b.Key.Expose()) {
			t.Fatalf("blocks %d and %d are the same key", seq, b.Seq)
		}
	}
}
