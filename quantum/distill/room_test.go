package distill

import (
	"context"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// waits is a link in which the blocks of these numbers wait and the next is to be
// made.
func waits(from, next uint64) *Link {
	l := &Link{cfg: Config{Block: 128, Room: 128 * leastRoom}, state: &state{next: next}, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	l.ctx = context.Background()
	for seq := from; seq < next; seq++ {
		l.waiting = append(l.waiting, quantum.KeyBlock{Seq: seq, Key: qsc.NewSecret(make([]byte, 128))})
	}
	return l
}

// settled is what the two ends of a link do at a round's beginning, without a wire.
func settled(alice, bob *Link) {
	mine := bob.freeze()
	lost := spareOf(alice.lose(max(alice.need(), int(mine.need)), mine.has), 0)
	bob.lose(len(bob.waiting), func(seq uint64) bool { return mine.has(seq) && lost.has(seq) })
	bob.thaw()
}

func drained(l *Link, want func(uint64) bool) (taken []uint64) {
	for {
		b, ok := l.pick(want)
		if !ok {
			return taken
		}
		taken = append(taken, b.Seq)
	}
}

func numbers(l *Link) (all []uint64) {
	for _, b := range l.waiting {
		all = append(all, b.Seq)
	}
	return all
}

func odd(seq uint64) bool { return seq%2 == 1 }

// One end has taken what the other does not want yet: that is not lost, whatever
// room is needed; what neither has taken is, the oldest first and at both ends.
func TestWhatOneEndHasTakenTheOtherKeeps(t *testing.T) {
	for _, early := range []Role{Alice, Bob} {
		ends := [2]*Link{waits(0, 4*leastRoom), waits(0, 4*leastRoom)}
		taken := drained(ends[early], func(seq uint64) bool { return seq%8 == 1 }) // these have a place here
		late := ends[early.other()]
		later := func(seq uint64) bool { return seq == 4*leastRoom+1 } // there none has, but the next one
		if got := drained(late, later); len(got) > 0 || !late.hungry {
			t.Fatalf("%d blocks taken, hungry %t", len(got), late.hungry)
		}
		settled(ends[Alice], ends[Bob])
		for _, seq := range taken {
			if !slices.Contains(numbers(late), seq) {
				t.Fatalf("%v has taken block %d, and the other end has lost it", early, seq)
			}
		}
		a, b := numbers(ends[early]), numbers(late)
		if want := b[0]; len(a) == 0 || len(b) >= 4*leastRoom || a[0] < want {
			t.Errorf("%d and %d blocks wait, from %d and %d on", len(a), len(b), a[0], want)
		}
		for _, seq := range a {
			if !slices.Contains(b, seq) {
				t.Errorf("block %d is lost at one end only", seq)
			}
		}
	}
}

// Blocks that came after the last look are not lost: the ledger is about to look.
func TestFreshBlocksAreNotLost(t *testing.T) {
	a, b := waits(0, 4*leastRoom), waits(0, 4*leastRoom)
	never := func(seq uint64) bool { return seq >= 8*leastRoom }
	drained(a, never)
	drained(b, never)
	for _, l := range []*Link{a, b} {
		l.waiting = append(l.waiting, waits(4*leastRoom, 8*leastRoom).waiting...)
		l.state.next = 8 * leastRoom
	}
	settled(a, b)
	if x, y := numbers(a), numbers(b); !slices.Equal(x, y) || len(x) != 4*leastRoom || x[0] != 4*leastRoom {
		t.Errorf("%d and %d blocks are left: those that were refused are to go, and no others", len(x), len(y))
	}
}

// While the ends agree, nothing of what may be lost is handed out.
func TestFrozenBlocksAreNotHandedOut(t *testing.T) {
	l := waits(0, leastRoom)
	drained(l, func(uint64) bool { return false })
	l.freeze()
	if _, ok := l.pick(odd); ok {
		t.Error("a block that the other end may lose")
	}
	l.thaw()
	if _, ok := l.pick(odd); !ok {
		t.Error("no block, though they have agreed")
	}
}

// Who has waited for a block, has got it and looks no more does not keep the link making
// others for ever; who looks again does.
func TestRestsOnceTaken(t *testing.T) {
	l := waits(0, 2*leastRoom)
	late := func(seq uint64) bool { return seq >= 2*leastRoom }
	if drained(l, late); !l.hungry || !l.hasRoom() {
		t.Fatal("what is wanted is not made")
	}
	l.waiting = append(l.waiting, waits(2*leastRoom, 2*leastRoom+2).waiting...)
	l.state.next += 2
	if b, ok := l.pick(late); !ok || b.Seq != 2*leastRoom {
		t.Fatalf("block %d, %t", b.Seq, ok)
	}
	if l.hasRoom() {
		t.Error("more is made, though nobody has asked for more")
	}
	if drained(l, late); !l.hasRoom() {
		t.Error("what is wanted again is not made")
	}
}

// A link whose blocks nobody wants rests and keeps them; the other end cannot make it
// hold more than so much.
func TestRoomIsBounded(t *testing.T) {
	l := waits(0, 2*leastRoom)
	drained(l, func(uint64) bool { return false })
	if l.hasRoom() || !l.resting || len(l.waiting) != 2*leastRoom {
		t.Errorf("rests %t, %d blocks of %d", l.resting, len(l.waiting), 2*leastRoom)
	}
	l = waits(0, 10*leastRoom)
	drained(l, func(seq uint64) bool { return seq >= 10*leastRoom })
	if !l.hasRoom() || len(l.waiting) != hardRoom*leastRoom {
		t.Errorf("%d blocks wait", len(l.waiting))
	}
}
