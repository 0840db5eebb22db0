package crash

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
)

// pads is the oracle of one-time use. It is told every frame that any tap has
// seen, whole or cut off, and says so when a pad byte served two different ones.
type pads struct {
	mu     sync.Mutex
	lanes  map[laneKey]*laneBook
	faults []string
	frames int
	again  int // frames seen before, bit for bit: resent
	cut    int
}

type laneKey struct {
	link  qsc.LinkID
	lane  otp.Lane
	epoch uint32
}

// laneBook knows every pad range that was seen in use, by rising position, and
// the bytes of the latest frames.
type laneBook struct {
	seen   []use
	raw    map[uint64][]byte
	order  []uint64 // of raw, oldest first
	rawLen int
}

// use is one frame.
type use struct {
	pos, end uint64
	digest   [sha256.Size]byte
	whole    bool
	part     []byte // of a frame that was cut off
}

// rawKept is more than a session keeps for sending again (8 MiB).
const rawKept = 10 << 20

func newPads() *pads { return &pads{lanes: map[laneKey]*laneBook{}} }

// note takes a frame, or the beginning of one that holds some of its pad.
func (p *pads) note(link qsc.LinkID, h otp.Header, frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := laneKey{link, h.Lane, h.Epoch}
	b := p.lanes[k]
	if b == nil {
		b = &laneBook{raw: map[uint64][]byte{}}
		p.lanes[k] = b
	}
	u := use{pos: h.Pos, end: h.Pos + uint64(h.PadLen()), whole: len(frame) == otp.Overhead+int(h.Len)}
	if u.whole {
		u.digest = sha256.Sum256(frame)
		p.frames++
	} else {
		u.part = bytes.Clone(frame)
		p.cut++
	}
	again, err := b.put(u, frame)
	if err != nil {
		p.faults = append(p.faults, fmt.Sprintf("link %s lane %d epoch %d: %v", link, h.Lane, h.Epoch, err))
	}
	if again {
		p.again++
	}
}

func (b *laneBook) put(u use, frame []byte) (again bool, err error) {
	i, _ := slices.BinarySearchFunc(b.seen, u.pos, func(o use, pos uint64) int {
		if o.end <= pos {
			return -1
		}
		return 1
	})
	if i == len(b.seen) || b.seen[i].pos >= u.end {
		b.seen = slices.Insert(b.seen, i, u)
		b.keep(u, frame)
		return false, nil
	}
	o := &b.seen[i]
	if o.pos != u.pos || o.end != u.end {
		return false, fmt.Errorf("pad [%d, %d) served a frame, and then one with [%d, %d)", o.pos, o.end, u.pos, u.end)
	}
	if !b.same(o, u, frame) {
		return false, fmt.Errorf("two different frames under the pad [%d, %d)", u.pos, u.end)
	}
	if u.whole && !o.whole {
		*o = u
		b.keep(u, frame)
	} else if !u.whole && !o.whole && len(u.part) > len(o.part) {
		o.part = u.part
	}
	return true, nil
}

// same reports whether a frame, or what came of it, is the one seen before.
func (b *laneBook) same(o *use, u use, frame []byte) bool {
	switch {
	case o.whole && u.whole:
		return o.digest == u.digest
	case o.whole:
		return bytes.HasPrefix(b.raw[o.pos], u.part) // an older one is not resent
	case u.whole:
		return bytes.HasPrefix(frame, o.part)
	}
	n := min(len(o.part), len(u.part))
	return bytes.Equal(o.part[:n], u.part[:n])
}

func (b *laneBook) keep(u use, frame []byte) {
	if !u.whole {
		return
	}
	b.raw[u.pos] = bytes.Clone(frame)
	b.order = append(b.order, u.pos)
	b.rawLen += len(frame)
	for b.rawLen > rawKept {
		b.rawLen -= len(b.raw[b.order[0]])
		delete(b.raw, b.order[0])
		b.order = b.order[1:]
	}
}

// spent counts the pad bytes of a lane that were seen in use.
func (p *pads) spent(link qsc.LinkID, lane otp.Lane) (sum int64) {
	for _, u := range p.uses(link, lane) {
		sum += int64(u.end - u.pos)
	}
	return sum
}

// uses lists what was seen of a lane in epoch 0.
func (p *pads) uses(link qsc.LinkID, lane otp.Lane) []use {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.lanes[laneKey{link, lane, 0}]; b != nil {
		return slices.Clone(b.seen)
	}
	return nil
}

// fault returns what was found wrong, "" for nothing.
func (p *pads) fault() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) == 0 {
		return ""
	}
	return fmt.Sprintf("%d times: %s", len(p.faults), p.faults[0])
}

func (p *pads) counts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d frames whole, %d cut off, %d of them resent", p.frames, p.cut, p.again)
}
