package manage

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/route"
)

// A link that makes no key and holds too little for a round is one to stay off,
// however small its ring; one that makes key fills by itself.
func TestLinkTooEmptyForARoundIsDry(t *testing.T) {
	const KiB, MiB = 1 << 10, 1 << 20
	for _, c := range []struct {
		name  string
		state route.State
		dry   bool
	}{
		{"small ring, half full, no key", route.State{Size: 32 * KiB, Stock: [2]int64{16 * KiB, 16 * KiB}}, true},
		{"small ring, full, no key", route.State{Size: 32 * KiB, Stock: [2]int64{32 * KiB, 32 * KiB}}, false},
		{"small ring, half full, key", route.State{Size: 32 * KiB, Stock: [2]int64{16 * KiB, 16 * KiB}, Rate: 1}, false},
		{"ring of 1 MiB, a tenth, no key", route.State{Size: MiB, Stock: [2]int64{100 * KiB, 100 * KiB}}, true},
		{"ring of 1 MiB, enough for a round", route.State{Size: MiB, Stock: [2]int64{128 * KiB, 128 * KiB}}, false},
		{"large ring, a sixth, no key", route.State{Size: 64 * MiB, Stock: [2]int64{10 * MiB, 10 * MiB}}, false},
		{"large ring, a 64th, key", route.State{Size: 64 * MiB, Stock: [2]int64{MiB, MiB}, Rate: 1}, true},
		{"down", route.State{Size: 32 * KiB}, false},
	} {
		c.state.Up = c.name != "down"
		l := link{state: c.state}
		for dir := range 2 {
			if got := l.dry(time.Second, dir, false, time.Minute); got != c.dry {
				t.Errorf("%s, direction %d: dry %t", c.name, dir, got)
			}
		}
	}
}

// What a relay's round takes of a ring that is filled again is no drain.
func TestRoundsAreNoDrain(t *testing.T) {
	const size = 1 << 20
	for _, c := range []struct {
		name  string
		stock int64
		rate  qsc.BitRate
		dry   bool
	}{{"half, makes key", size / 2, 1, false}, {"a third, makes key", size / 3, 1, false}, {"a fifth, makes key", size / 5, 1, true}, {"half, couriered", size / 2, 0, true}} {
		l := link{state: route.State{Up: true, Size: size, Stock: [2]int64{c.stock, c.stock}, Rate: c.rate, Trend: [2]float64{-size / 4, -size / 4}}}
		if got := l.dry(time.Second, 0, false, time.Minute); got != c.dry {
			t.Errorf("%s: dry %t", c.name, got)
		}
	}
}

// Flows stay off a link that is halted, however full its ring is; what is left is for
// those who have no other way, and too little for a round is nothing.
func TestHaltedLink(t *testing.T) {
	const size = 32 << 10
	for _, c := range []struct{ stock, usable int64 }{{size, size}, {size / 8 * 5, size / 8 * 5}, {size / 2, 0}} {
		said := control.LinkState{Up: true, Send: c.stock, Recv: c.stock, Size: size, Rate: 1e5}
		halted := said
		halted.Rate, halted.Halted = 0, true
		l := link{said: [2]*control.LinkState{&said, &halted}}
		l.state, l.halted = l.merge()
		if !l.halted || l.state.Rate != 0 {
			t.Errorf("%d bytes: halted %t at rate %v, though one end says so", c.stock, l.halted, l.state.Rate)
		}
		for dir := range 2 {
			if !l.dry(time.Second, dir, false, time.Minute) {
				t.Errorf("%d bytes, direction %d: not dry", c.stock, dir)
			}
			if got := l.usable().Stock[dir]; got != c.usable {
				t.Errorf("%d bytes, direction %d: %d may be used, not %d", c.stock, dir, got, c.usable)
			}
		}
		if got, want := float64(l.capacity()), float64(2*c.stock)*8/60; got < want-1 || got > want+1 {
			t.Errorf("%d bytes: capacity %v, not all of it in a minute", c.stock, got)
		}
		l.said[1] = &said // key again
		l.state, l.halted = l.merge()
		if l.halted || l.capacity() != 1e5 || l.usable() != l.state {
			t.Errorf("%d bytes: still halted", c.stock)
		}
	}
}
