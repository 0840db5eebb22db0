package otp

import (
	"bytes"
	"crypto/subtle"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"pgregory.net/rapid"
)

// cut makes fresh pads of key, cut at random places.
func cut(t *rapid.T, label string, key []byte) (pads []*Pad) {
	for pos := 0; pos < len(key); {
		n := len(key) - pos
		if n >= 2*Align {
			n = rapid.OneOf(rapid.Just(n), rapid.Just(Align), rapid.IntRange(Align, n-Align)).Draw(t, label)
		}
		p := NewPad(1, 7, uint64(pos), testGuard, bytes.Clone(key[pos:pos+n]), nil)
		pads, pos = append(pads, &p), pos+n
	}
	return pads
}

func TestAnnounceAndRelease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(Align, 300), rapid.IntRange(tile-40, 3*tile)).Draw(t, "n")
		a, b := random(n), random(n)
		want := make([]byte, n)
		subtle.XORBytes(want, a, b)
		in, out := cut(t, "in", a), cut(t, "out", b)
		again := *in[0]
		got := make([]byte, n)
		if err := Announce(got, in, out); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes in %d and %d parts: the XOR is wrong, or %v", n, len(in), len(out), err)
		}
		released := cut(t, "released", a)
		if err := Release(got, released); err != nil || !bytes.Equal(got, a) {
			t.Fatalf("%d bytes in %d parts: the key is wrong, or %v", n, len(released), err)
		}
		for _, p := range append(append(in, out...), released...) {
			if !p.Spent() || !zero(p.life.key) || !zero(p.life.guard[:]) {
				t.Fatal("a pad is not spent and erased")
			}
		}
		if err := Release(make([]byte, again.Len()), []*Pad{&again}); !qsc.IsKind(err, qsc.Conflict) {
			t.Fatal("a copy of a spent pad:", err)
		}
	})
}

// TestAnnounceRefuses looks at every refusal: nothing is written, no pad changes.
func TestAnnounceRefuses(t *testing.T) {
	mint := func(n int) *Pad { p := NewPad(1, 7, 0, testGuard, random(n), nil); return &p }
	spentPad, verifiedPad, holed, noGuard, hole := mint(64), mint(64), mint(3*page), mint(64), mint(64)
	_ = spentPad.Burn()
	verifiedPad.life.state.Store(verified)
	clear(holed.life.key[page+100 : 2*page+100+Align])
	clear(noGuard.life.guard[:])
	clear(hole.life.key[:32])
	shared := mint(64)
	copied := *shared
	inside := NewPad(1, 7, 16, testGuard, shared.life.key[32:], nil)
	long := make([]byte, 96)
	inDst := NewPad(1, 7, 0, testGuard, long[32:], nil)
	copy(long, random(96))
	for name, c := range map[string]struct {
		kind    qsc.Kind
		n       int
		in, out []*Pad
	}{
		"in too short":      {qsc.Invalid, 80, []*Pad{mint(64)}, []*Pad{mint(80)}},
		"out too long":      {qsc.Invalid, 64, []*Pad{mint(64)}, []*Pad{mint(64), mint(16)}},
		"no out":            {qsc.Invalid, 64, []*Pad{mint(64)}, nil},
		"tiny pad":          {qsc.Invalid, 15, []*Pad{mint(15)}, []*Pad{mint(15)}},
		"nil pad":           {qsc.Invalid, 64, []*Pad{nil}, []*Pad{mint(64)}},
		"zero pad":          {qsc.Invalid, 64, []*Pad{{}}, []*Pad{mint(64)}},
		"spent":             {qsc.Conflict, 64, []*Pad{mint(64)}, []*Pad{spentPad}},
		"verified":          {qsc.Conflict, 64, []*Pad{verifiedPad}, []*Pad{mint(64)}},
		"erased":            {qsc.Conflict, 64, []*Pad{mint(64)}, []*Pad{hole}},
		"a hole":            {qsc.Conflict, 3 * page, []*Pad{mint(3 * page)}, []*Pad{holed}},
		"erased guard":      {qsc.Conflict, 64, []*Pad{noGuard}, []*Pad{mint(64)}},
		"twice":             {qsc.Conflict, 64, []*Pad{shared}, []*Pad{&copied}},
		"overlapping bytes": {qsc.Conflict, 96, []*Pad{mint(96)}, []*Pad{shared, &inside}},
		"over the buffer":   {qsc.Invalid, 64, []*Pad{&inDst}, []*Pad{mint(64)}},
	} {
		dst := long[:0]
		if name != "over the buffer" {
			dst = make([]byte, 3*page)
		}
		dst = dst[:c.n]
		type was struct {
			key   []byte
			state uint32
		}
		before := map[*Pad]was{}
		for _, p := range append(append([]*Pad(nil), c.in...), c.out...) {
			if p != nil && p.life != nil {
				before[p] = was{bytes.Clone(p.life.key), p.life.state.Load()}
			}
		}
		old := bytes.Clone(dst)
		if err := Announce(dst, c.in, c.out); !qsc.IsKind(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(dst, old) {
			t.Errorf("%s: something was written", name)
		}
		for p, w := range before {
			if p.life.state.Load() != w.state || !bytes.Equal(p.life.key, w.key) {
				t.Errorf("%s: a pad has changed", name)
			}
		}
	}
	if err := Release(make([]byte, 63), []*Pad{mint(64)}); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("release into too short a buffer: %v", err)
	}
	if err := Release(make([]byte, 64), []*Pad{spentPad}); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("release of a spent pad: %v", err)
	}
}

// TestRaceForOneStretch lets many goroutines use the same pads in every way.
func TestRaceForOneStretch(t *testing.T) {
	a, b := NewPad(1, 7, 0, testGuard, random(200), nil), NewPad(2, 7, 0, testGuard, random(200), nil)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		a, b := a, b
		wg.Go(func() {
			err := error(nil)
			switch i % 3 {
			case 0:
				err = Announce(make([]byte, 200), []*Pad{&a}, []*Pad{&b})
			case 1:
				err = Release(make([]byte, 400), []*Pad{&b, &a})
			case 2:
				err = Announce(make([]byte, 200), []*Pad{&b}, []*Pad{&a})
			}
			if err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() > 1 || a.Spent() != b.Spent() || a.Spent() != (won.Load() == 1) {
		t.Errorf("%d of the calls got the pads", won.Load())
	}
}

func TestAnnounceErasesOnce(t *testing.T) {
	calls := 0
	p := NewPad(1, 7, 0, testGuard, random(3*tile), func() { calls++ })
	q := NewPad(2, 7, 0, testGuard, random(3*tile), func() { calls++ })
	if err := Announce(make([]byte, 3*tile), []*Pad{&p}, []*Pad{&q}); err != nil || calls != 2 {
		t.Errorf("%v, erase was called %d times for two pads", err, calls)
	}
}
