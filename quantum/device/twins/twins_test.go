package twins

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

// The link as a whole is tested through its sources: packages etsi014 and record.

// deaf is a source that only takes what the other end holds.
type deaf struct{ shared []qsc.KeyID }

func (d *deaf) Limits(context.Context, int64) (Limits, error)     { return Limits{}, nil }
func (d *deaf) Draw(context.Context, int) (*Keys, error)          { return nil, nil }
func (d *deaf) Twins(context.Context, []qsc.KeyID) (*Keys, error) { return nil, nil }
func (d *deaf) Held(bool) []qsc.KeyID                             { return nil }
func (d *deaf) Shared(anew bool, ids []qsc.KeyID)                 { d.shared = ids }

// What the slave tells arrives, whole messages of it only, and only where it is asked for.
func TestShared(t *testing.T) {
	d := &deaf{}
	m := &master{l: &Link{cfg: Config{Source: d}}}
	ask := append([]byte{askHeld, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 48)...)
	ask[9+16] = 7
	if answer, ok := m.reply(ask); !ok || len(answer) > 0 || len(d.shared) != 3 || d.shared[1] != (qsc.KeyID{7}) {
		t.Errorf("%v, %v", ok, d.shared)
	}
	for _, n := range []int{8, 10, 9 + 16*(MaxHeld+1)} {
		if _, ok := m.reply(append([]byte{askHeld}, make([]byte, n-1)...)); ok {
			t.Errorf("%d bytes pass", n)
		}
	}
	m.l.cfg.Source = struct{ Source }{d}
	if _, ok := m.reply(ask); ok {
		t.Error("a source takes what it does not ask for")
	}
}

// Numbers that were passed over come first once they are wanted, and no number
// comes twice.
func TestPick(t *testing.T) {
	var p place
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[uint64]bool{}
	for i := range 20_000 {
		m := 1 + r.Uint64N(7)
		seq, ok := p.pick(func(s uint64) bool { return s%7 < m })
		if !ok || seen[seq] {
			t.Fatalf("block %d again, or none", seq)
		}
		seen[seq] = true
		if i%200 != 0 {
			continue
		}
		again, err := decodePlace(p.encode())
		if err != nil || again.next != p.next || !slices.Equal(again.held, p.held) {
			t.Fatal("the place does not come back:", err)
		}
	}
	if _, ok := p.pick(func(uint64) bool { return false }); ok {
		t.Error("nothing was wanted")
	}
}

func FuzzList(f *testing.F) {
	l := list{epoch: 1, seq: 2, id: qsc.KeyID{3}, made: 4, class: qsc.Computational, batch: 5, size: 32, ids: []qsc.KeyID{{1}, {2}}}
	f.Add(l.encode())
	f.Add([]byte("QSCD"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := decodeList(b, 64); err == nil && !bytes.Equal(x.encode(), b) {
			t.Fatal("the list does not come back")
		} else if err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Fatal(err)
		}
	})
}

func FuzzPlace(f *testing.F) {
	f.Add((&place{epoch: 1, next: 9, held: []uint64{1, 4}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePlace(b); err == nil && !bytes.Equal(p.encode(), b) {
			t.Fatal("the place does not come back")
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte{askLists, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{askDone, 0, 0, 0, 0, 0, 0, 0, 7})
	f.Add(append([]byte{askHeld, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 32)...))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := &master{l: &Link{cfg: Config{Block: 64, FS: durable.Mem(1 << 16), Source: &deaf{}}, ctx: ctx}, changed: make(chan struct{}), waiting: []uint64{1, 7}}
	f.Fuzz(func(t *testing.T, b []byte) {
		if answer, ok := m.reply(b); ok && len(answer) > 8+8*maxLists {
			t.Fatal("an answer that is too long")
		}
	})
}
