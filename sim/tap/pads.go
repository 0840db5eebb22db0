package tap

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
)

// Pads is the oracle of one-time use. It is told every frame that any tap has
// seen, whole or cut off, and says so when a pad byte served two different ones.
type Pads struct {
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
	seen   []Use
	raw    map[uint64][]byte
	order  []uint64 // of raw, oldest first
	rawLen int
}

// Use is one frame that was seen: it took the pad from Pos to End, not included.
type Use struct {
	Pos, End uint64
	digest   [sha256.Size]byte
	whole    bool
	part     []byte // of a frame that was cut off
}

// rawKept is more than a session keeps for sending again (8 MiB).
const rawKept = 10 << 20

// NewPads returns an oracle that has seen nothing.
func NewPads() *Pads { return &Pads{lanes: map[laneKey]*laneBook{}} }

// Note takes a frame, or the beginning of one that holds some of its pad.
func (p *Pads) Note(link qsc.LinkID, h otp.Header, frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := laneKey{link, h.Lane, h.Epoch}
	b := p.lanes[k]
	if b == nil {
		b = &laneBook{raw: map[uint64][]byte{}}
		p.lanes[k] = b
	}
	u := Use{Pos: h.Pos, End: h.Pos + uint64(h.PadLen()), whole: len(frame) == otp.Overhead+int(h.Len)}
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

func (b *laneBook) put(u Use, frame []byte) (again bool, err error) {
	i, _ := slices.BinarySearchFunc(b.seen, u.Pos, func(o Use, pos uint64) int {
		if o.End <= pos {
			return -1
		}
		return 1
	})
	if i == len(b.seen) || b.seen[i].Pos >= u.End {
		b.seen = slices.Insert(b.seen, i, u)
		b.keep(u, frame)
		return false, nil
	}
	o := &b.seen[i]
	if o.Pos != u.Pos || o.End != u.End {
		return false, fmt.Errorf("pad [%d, %d) served a frame, and then one with [%d, %d)", o.Pos, o.End, u.Pos, u.End)
	}
	if !b.same(o, u, frame) {
		return false, fmt.Errorf("two different frames under the pad [%d, %d)", u.Pos, u.End)
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
func (b *laneBook) same(o *Use, u Use, frame []byte) bool {
	switch {
	case o.whole && u.whole:
		return o.digest == u.digest
	case o.whole:
		return bytes.HasPrefix(b.raw[o.Pos], u.part) // an older one is not resent
	case u.whole:
		return bytes.HasPrefix(frame, o.part)
	}
	n := min(len(o.part), len(u.part))
	return bytes.Equal(o.part[:n], u.part[:n])
}

func (b *laneBook) keep(u Use, frame []byte) {
	if !u.whole {
		return
	}
	b.raw[u.Pos] = bytes.Clone(frame)
	b.order = append(b.order, u.Pos)
	b.rawLen += len(frame)
	for b.rawLen > rawKept {
		b.rawLen -= len(b.raw[b.order[0]])
		delete(b.raw, b.order[0])
		b.order = b.order[1:]
	}
}

// Spent counts the pad bytes of a lane that were seen in use.
func (p *Pads) Spent(link qsc.LinkID, lane otp.Lane) (sum int64) {
	for _, u := range p.Uses(link, lane) {
		sum += int64(u.End - u.Pos)
	}
	return sum
}

// Uses lists what was seen of a lane in epoch 0.
func (p *Pads) Uses(link qsc.LinkID, lane otp.Lane) []Use {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.lanes[laneKey{link, lane, 0}]; b != nil {
		return slices.Clone(b.seen)
	}
	return nil
}

// Fault returns what was found wrong, "" for nothing.
func (p *Pads) Fault() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) == 0 {
		return ""
	}
	return fmt.Sprintf("%d times: %s", len(p.faults), p.faults[0])
}

// Counts sums up what was seen, for a log.
func (p *Pads) Counts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%d frames whole, %d cut off, %d of them resent", p.frames, p.cut, p.again)
}
