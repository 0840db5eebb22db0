package distill

import (
	"context"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// waits is a link in which the blocks of these numbers wait and the next is to be
// made.
func waits(from, next uint64) *Link {
	l := &Link{cfg: Config{Block: 128, Room: 128 * leastRoom}, state: &state{next: next}, room: make(chan struct{}, 1)}
	l.ctx = context.Background()
	for seq := from; seq < next; seq++ {
		l.waiting = append(l.waiting, quantum.KeyBlock{Seq: seq, Key: qsc.NewSecret(make([]byte, 128))})
	}
	return l
}

func odd(seq uint64) bool { return seq%2 == 1 }

// Blocks that came after the last look are not lost, whatever was wanted then: the
// ledger is about to look, and has perhaps just freed their slots.
func TestFreshBlocksAreNotLost(t *testing.T) {
	l := waits(0, 2*leastRoom)
	wanted := 0
	for {
		b, ok := l.pick(odd)
		if !ok {
			break
		}
		wanted++
		b.Key.Zeroise()
	}
	if wanted != leastRoom || !l.hungry || l.refused != 2*leastRoom-1 {
		t.Fatalf("%d taken, hungry %t, refused below %d", wanted, l.hungry, l.refused)
	}
	if !l.makeRoom() || len(l.waiting) != leastRoom {
		t.Fatalf("%d blocks of %d wait", len(l.waiting), leastRoom)
	}
	fresh := waits(l.state.next, l.state.next+3*leastRoom)
	l.waiting, l.state = append(l.waiting, fresh.waiting...), fresh.state
	if l.makeRoom() {
		t.Error("there is room for another round, though nobody has looked at the last one")
	}
	if n := len(l.waiting); n != 3*leastRoom || l.waiting[0].Seq != 2*leastRoom {
		t.Errorf("%d blocks are left, the first %d: those that were refused are to go, and no others", n, l.waiting[0].Seq)
	}
	select {
	case <-l.room:
	default:
	}
	if _, ok := l.pick(func(seq uint64) bool { return seq >= 5*leastRoom }); ok || len(l.room) != 1 {
		t.Fatal("a look that refuses more must let the next round make room")
	}
	if !l.makeRoom() || len(l.waiting) != leastRoom {
		t.Errorf("%d blocks of %d wait", len(l.waiting), leastRoom)
	}
}

// A link whose blocks nobody wants keeps them all.
func TestIdleBlocksAreKept(t *testing.T) {
	l := waits(0, 3*leastRoom)
	if _, ok := l.pick(func(uint64) bool { return false }); ok {
		t.Fatal("a block that nobody wants")
	}
	if l.makeRoom() || len(l.waiting) != 3*leastRoom {
		t.Errorf("%d of %d blocks are left", len(l.waiting), 3*leastRoom)
	}
}
