package otp

import (
	"math"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"pgregory.net/rapid"
)

func TestWindow(t *testing.T) {
	w := NewWindow(100, 2)
	add := func(pos uint64, n int, burnt, floor uint64, spans ...Span) {
		t.Helper()
		b, err := w.Add(pos, n)
		if err != nil || b != burnt || w.Floor() != floor || !slices.Equal(w.Spans(nil), spans) {
			t.Fatalf("Add(%d, %d) = %d, %v: floor %d, spans %v", pos, n, b, err, w.Floor(), w.Spans(nil))
		}
	}
	refuse := func(pos uint64, n int, kind qsc.Kind) {
		t.Helper()
		before := w.Spans(nil)
		if err := w.Check(pos, n); !qsc.IsKind(err, kind) {
			t.Fatalf("Check(%d, %d): %v", pos, n, err)
		}
		if _, err := w.Add(pos, n); !qsc.IsKind(err, kind) || !slices.Equal(before, w.Spans(nil)) {
			t.Fatalf("Add(%d, %d): %v", pos, n, err)
		}
	}
	add(100, 10, 0, 110)
	add(120, 10, 0, 110, Span{120, 130})
	refuse(100, 10, qsc.Conflict)
	refuse(109, 2, qsc.Conflict)
	refuse(115, 6, qsc.Conflict)
	refuse(129, 1, qsc.Conflict)
	refuse(110, 100, qsc.Conflict)
	refuse(200, 0, qsc.Invalid)
	refuse(200, -1, qsc.Invalid)
	refuse(math.MaxUint64, 1, qsc.Invalid)
	add(130, 5, 0, 110, Span{120, 135})
	add(115, 5, 0, 110, Span{115, 135})
	add(140, 5, 0, 110, Span{115, 135}, Span{140, 145})
	add(150, 5, 5, 135, Span{140, 145}, Span{150, 155})
	add(135, 5, 0, 145, Span{150, 155})
	add(145, 5, 0, 155)
	if w.Next() != 155 {
		t.Errorf("Next = %d", w.Next())
	}
}

func TestWindowRaise(t *testing.T) {
	for floor, want := range map[uint64]struct{ floor, burnt uint64 }{
		0: {10, 0}, 10: {10, 0}, 15: {15, 5}, 20: {30, 10}, 25: {30, 10}, 30: {30, 10}, 35: {35, 15}, 40: {50, 20}, 99: {99, 20 + 49},
	} {
		w := NewWindow(10, 8)
		_, _ = w.Add(20, 10)
		_, _ = w.Add(40, 10)
		if burnt := w.Raise(floor); burnt != want.burnt || w.Floor() != want.floor {
			t.Errorf("Raise(%d) = %d, floor %d, want %+v", floor, burnt, w.Floor(), want)
		}
	}
}

// TestWindowAgainstBitmap lets a network lose, repeat and reorder frames, and
// invent them, and compares with a map of bytes. No byte is ever consumed
// twice, and consumed + burnt + gaps is all there is.
func TestWindowAgainstBitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 400
		limit := rapid.IntRange(1, 5).Draw(t, "gaps")
		w := NewWindow(0, limit)
		var gone [size]bool // consumed or burnt
		var consumed, burnt uint64
		frames := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Span {
			pos := rapid.Uint64Range(0, size-1).Draw(t, "pos")
			return Span{pos, pos + rapid.Uint64Range(1, min(40, size-pos)).Draw(t, "n")}
		}), 1, 60).Draw(t, "frames")
		for i, s := range frames {
			if i%9 == 8 {
				burnt += w.Raise(s.From)
				burnAll(gone[:], w)
				continue
			}
			free := !slices.Contains(gone[s.From:s.To], true)
			if err := w.Check(s.From, int(s.To-s.From)); (err == nil) != free {
				t.Fatalf("Check %v: %v, free: %v", s, err, free)
			}
			b, err := w.Add(s.From, int(s.To-s.From))
			if (err == nil) != free {
				t.Fatalf("Add %v: %v, free: %v", s, err, free)
			}
			if err != nil {
				continue
			}
			for j := s.From; j < s.To; j++ {
				gone[j] = true
			}
			consumed += s.To - s.From
			burnt += b
			burnAll(gone[:], w)
		}
		checkAccount(t, w, gone[:], limit, consumed+burnt)
	})
}

// burnAll marks what lies below the floor in the model.
func burnAll(gone []bool, w *Window) {
	for i := range min(w.Floor(), uint64(len(gone))) {
		gone[i] = true
	}
}

func checkAccount(t *rapid.T, w *Window, gone []bool, limit int, total uint64) {
	spans := w.Spans(nil)
	if len(spans) > limit {
		t.Fatalf("%d gaps, %d allowed", len(spans), limit)
	}
	covered, at := w.Floor(), w.Floor()
	for _, s := range spans {
		if s.From <= at || s.To <= s.From {
			t.Fatalf("spans touch or are out of order: floor %d, %v", w.Floor(), spans)
		}
		covered, at = covered+s.To-s.From, s.To
	}
	var marked uint64
	for _, g := range gone {
		if g {
			marked++
		}
	}
	if covered != marked || covered != total {
		t.Fatalf("window covers %d bytes, the model %d, the account %d", covered, marked, total)
	}
}
