package distill

import (
	"context"

	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Where somebody wants blocks that are not made yet, while others that nobody wants
// fill the room (traffic in one direction only), the oldest of those are lost. The
// rings at the two ends free a slot at different moments, so a block may be wanted at
// one end only, and one that the end which sends under it has taken and the other has
// lost costs a session. So both ends agree at a round's beginning: a block is lost
// when neither end has taken it.

// hardRoom is by how many times Room may be exceeded by blocks that only the other
// end has taken, before they are lost all the same.
const hardRoom = 4

// waitRoom waits until there is room for another round's blocks, or somebody wants
// blocks that are not there.
func (l *Link) waitRoom(ctx context.Context) error {
	for {
		if l.hasRoom() {
			return nil
		}
		select {
		case <-l.room:
		case <-ctx.Done():
			return ended(ctx, "distill.Begin")
		}
	}
}

func (l *Link) hasRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	over := l.over()
	l.resting = over > 0 && !l.hungry
	if l.resting {
		return false
	}
	if hard := len(l.waiting) - int(hardRoom*l.cfg.Room/l.cfg.Block); hard > 0 {
		l.lose(hard, func(uint64) bool { return true })
	}
	return true
}

// over is how many blocks wait too many, with a round like the last one to come. mu
// is held.
func (l *Link) over() int {
	most := max(l.cfg.Room-l.account.output, l.cfg.Room/2) / l.cfg.Block
	return max(len(l.waiting)-int(most), 0)
}

// need is how many blocks are to be lost. mu is held.
func (l *Link) need() int {
	if !l.hungry {
		return 0
	}
	return l.over()
}

// lose erases at most n of the waiting blocks, the oldest first, that were not wanted
// when they were looked at last, and returns their numbers. mu is held.
func (l *Link) lose(n int, also func(seq uint64) bool) (lost []uint64) {
	rest := make([]quantum.KeyBlock, 0, len(l.waiting))
	for _, b := range l.waiting {
		if len(lost) == n || b.Seq >= l.refused || !also(b.Seq) {
			rest = append(rest, b)
			continue
		}
		lost = append(lost, b.Seq)
		b.Key.Zeroise()
	}
	l.waiting = rest
	return lost
}

// offer tells Alice what waits at Bob unwanted, and loses what she says. In between
// none of it is handed out.
func (s *session) offer(ctx context.Context) error {
	defer s.l.thaw()
	mine := s.l.freeze()
	if err := s.c.Send(ctx, typeSpare, mine.encode()); err != nil {
		return err
	}
	lost, err := hear(ctx, s.c, typeLost, maxSpare, parseSpare)
	if err != nil {
		return err
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.lose(len(s.l.waiting), func(seq uint64) bool { return mine.has(seq) && lost.has(seq) })
	return nil
}

// settle decides what both ends lose: as much as the one that needs more.
func (s *session) settle(ctx context.Context) error {
	theirs, err := hear(ctx, s.c, typeSpare, maxSpare, parseSpare)
	if err != nil {
		return err
	}
	s.l.mu.Lock()
	lost := s.l.lose(max(s.l.need(), int(theirs.need)), theirs.has)
	s.l.mu.Unlock()
	return s.c.Send(ctx, typeLost, spareOf(lost, 0).encode())
}

// freeze is what waits here unwanted, from now on not to be had.
func (l *Link) freeze() spare {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []uint64
	for _, b := range l.waiting {
		if b.Seq < l.refused {
			list = append(list, b.Seq)
		}
	}
	l.frozen = l.refused
	return spareOf(list, l.need())
}

func (l *Link) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = 0
	nudge(l.wake)
}

// spare is a set of blocks by their numbers: bit i stands for first + i.
type spare struct {
	first uint64
	need  uint32 // how many more than there is room for
	bits  []byte // the last one is not zero
}

// maxSpan bounds how far apart the numbers of a spare lie.
const (
	maxSpan  = 1 << 20
	maxSpare = 8 + 4 + 4 + maxSpan/8
)

// spareOf makes a set of rising numbers; those too far behind the first are left out.
func spareOf(list []uint64, need int) spare {
	m := spare{need: uint32(need)}
	if len(list) == 0 {
		return m
	}
	m.first = list[0]
	for _, seq := range list {
		i := seq - m.first
		if i >= maxSpan {
			break
		}
		for uint64(len(m.bits)) <= i/8 {
			m.bits = append(m.bits, 0)
		}
		m.bits[i/8] |= 1 << (i % 8)
	}
	return m
}

func (m spare) has(seq uint64) bool {
	i := seq - m.first
	return seq >= m.first && i/8 < uint64(len(m.bits)) && m.bits[i/8]>>(i%8)&1 == 1
}

func (m spare) encode() []byte {
	var w wire.Writer
	return w.U64(m.first).U32(m.need).Bytes(m.bits).B
}

func parseSpare(b []byte) (m spare, err error) {
	r := wire.NewReader(b)
	m = spare{first: r.U64(), need: r.U32()}
	m.bits = r.Bytes(maxSpan / 8)
	if r.Done() != nil || m.need > maxSpan || m.first > maxRound || len(m.bits) > 0 && m.bits[len(m.bits)-1] == 0 {
		return spare{}, corrupt("the other end's list of spare blocks makes no sense")
	}
	return m, nil
}
