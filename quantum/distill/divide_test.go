package distill

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// Of a round's key the first words become masks; the rest, behind what the round before
// left over, becomes blocks in order, and what fills none is left over. No word serves
// twice, and what was left over is erased where it lay.
func TestDivide(t *testing.T) {
	for _, c := range [][2]int{{0, 100}, {5, 100}, {40, 100}, {5, 12}} { // 40: more than two blocks; 12: none in all
		carry, n := c[0], c[1]
		l := waits(0, 0)
		key := make([]uint64, n)
		for i := range key {
			key[i] = uint64(1000 + i)
		}
		old := make([]uint64, carry)
		for i := range old {
			old[i] = uint64(1 + i)
		}
		l.left = &leftover{words: old}
		p := &plan{round: 7, carry: carry, sifted: &Sifted{}, said: length{bits: uint64(64 * n), refill: 2}}
		p.said.names = make([]qsc.KeyID, l.blocks(p))
		want := slices.Concat(old, key[8:])
		blocks, ok := l.divide(p, key)
		if !ok || len(blocks) != (carry+n-8)/16 {
			t.Fatalf("%d blocks of %d and %d words", len(blocks), carry, n-8)
		}
		var got []uint64
		for i, b := range blocks {
			if b.Seq != uint64(i) || b.Key.Len() != 128 {
				t.Errorf("block %d has number %d and %d bytes", i, b.Seq, b.Key.Len())
			}
			for raw := b.Key.Expose(); len(raw) > 0; raw = raw[8:] {
				got = append(got, binary.LittleEndian.Uint64(raw))
			}
		}
		if got = append(got, l.left.words...); !slices.Equal(got, want) {
			t.Errorf("with %d words left over the stream of key is in another order, or not whole", carry)
		}
		mask := l.state.masks.find(7).mask(Bob, 1)
		if l.state.masks.left() != 2 || binary.LittleEndian.Uint64(mask[8:]) != key[7] {
			t.Error("the masks are not the key's first words")
		}
		if slices.ContainsFunc(old, func(w uint64) bool { return w != 0 }) {
			t.Error("what was left over still lies there")
		}
	}
}

// Key left over by a round whose end failed here is missing: nothing comes of a round
// that counts on it, and a stale rest is erased.
func TestDivideWithoutTheRest(t *testing.T) {
	l := waits(0, 0)
	stale := []uint64{1, 2, 3}
	l.left = &leftover{words: stale}
	p := &plan{round: 7, carry: 5, sifted: &Sifted{}, said: length{bits: 6400, refill: 2}}
	p.said.names = make([]qsc.KeyID, l.blocks(p))
	if blocks, ok := l.divide(p, make([]uint64, 100)); ok || blocks != nil || l.left.words != nil || stale[0]|stale[1]|stale[2] != 0 {
		t.Errorf("%d blocks, %d words left over", len(blocks), len(l.left.words))
	}
}
