package ldpc

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func TestHostileMessagesAreCorrupt(t *testing.T) {
	on := func(typ byte, to func([]byte) []byte) func(byte, []byte) []byte {
		return func(got byte, msg []byte) []byte {
			if got == typ {
				return to(msg)
			}
			return msg
		}
	}
	cut := func(m []byte) []byte { return m[:len(m)-1] }
	for name, c := range map[string]struct {
		role   distill.Role
		change func(byte, []byte) []byte
	}{
		"a short shape":          {distill.Bob, on(typeShape, cut)},
		"another rate":           {distill.Bob, on(typeShape, func(m []byte) []byte { m[2] ^= 0x80; return m })},
		"a cut syndrome":         {distill.Bob, on(typeSyndrome, cut)},
		"no syndrome":            {distill.Bob, on(typeSyndrome, func([]byte) []byte { return nil })},
		"a syndrome too many":    {distill.Bob, on(typeSyndrome, func(m []byte) []byte { return append(m, m...) })},
		"an empty report":        {distill.Alice, on(typeReport, func([]byte) []byte { return nil })},
		"an unknown flag":        {distill.Alice, on(typeReport, func([]byte) []byte { return []byte{8} })},
		"asking for nothing":     {distill.Alice, on(typeReport, func([]byte) []byte { return []byte{0} })},
		"a frame too many":       {distill.Alice, on(typeReport, func([]byte) []byte { return []byte{1, 4, 0} })},
		"more without frames":    {distill.Alice, on(typeReport, func([]byte) []byte { return []byte{reportMore} })},
		"a position too many":    {distill.Alice, on(typeReport, func([]byte) []byte { return []byte{0, 0, 1, 0x80, 0x20} })},
		"more bits than allowed": {distill.Alice, on(typeReport, func([]byte) []byte { return append([]byte{0, 0, 0x80, 0x08}, make([]byte, 1024)...) })},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(1, 4<<12, 0.01)
			var ch changes
			ch[c.role] = c.change
			r := reconcile(t.Context(), Config{Frame: 1 << 12}, a, b, [2]float64{0.01, 0.01}, ch)
			if !qsc.IsKind(r.errs[c.role], qsc.Corrupt) {
				t.Errorf("%v", r.errs)
			}
		})
	}
}

func TestAWrongAnswerOnlyFailsTheFrame(t *testing.T) {
	a, b := pair(3, 3<<12, 0.03)
	flip := func(typ byte, m []byte) []byte {
		if typ == typeSyndrome {
			m[5] ^= 1 // of the first frame
		}
		return m
	}
	r := reconcile(t.Context(), Config{Frame: 1 << 12}, a, b, [2]float64{0.03, 0.03}, changes{distill.Bob: flip})
	if r.errs[0] != nil || r.errs[1] != nil {
		t.Fatal(r.errs)
	}
	if !slices.Contains(r.got[0].Failed, 0) || !slices.Equal(r.got[0].Failed, r.got[1].Failed) {
		t.Errorf("failed %v and %v", r.got[0].Failed, r.got[1].Failed)
	}
	if n := differ(a, b, 1<<12, r.got[1].Failed); n > 0 {
		t.Errorf("%d bits differ in the other frames", n)
	}
}

func TestReportWithoutEndIsRefused(t *testing.T) {
	w, o := distilltest.Pair()
	l := layOut(4<<12, 1<<12, 0.01)
	r := report{frames: []wanted{{0, []int{1, 5}}}}
	if err := sendReport(t.Context(), o, r); err != nil {
		t.Fatal(err)
	}
	if _, err := receiveReport(t.Context(), w, l, rounds); !qsc.IsKind(err, qsc.Corrupt) {
		t.Errorf("a fourth round: %v", err)
	}
}

func TestReconcileStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	a, b := pair(1, 4<<12, 0.02)
	stop := func(typ byte, m []byte) []byte { cancel(gone); return m }
	r := reconcile(ctx, Config{Frame: 1 << 12}, a, b, [2]float64{0.02, 0.02}, changes{distill.Bob: stop})
	if !qsc.IsKind(r.errs[distill.Bob], qsc.Timeout) || !errors.Is(r.errs[distill.Bob], gone) {
		t.Errorf("Bob: %v", r.errs[distill.Bob])
	}
	if k := qsc.KindOf(r.errs[distill.Alice]); k != qsc.Timeout && k != qsc.Unreachable {
		t.Errorf("Alice: %v", r.errs[distill.Alice])
	}
}

func FuzzReport(f *testing.F) {
	l := layOut(5<<12, 1<<12, 0.02)
	f.Add([]byte{1, 0, 0, 2, 0}, uint8(0))
	f.Add(appendWanted([]byte{0}, wanted{2, []int{0, 7, 300}}, -1), uint8(1))
	f.Add([]byte{2, 0, 1, 9}, uint8(2))
	f.Fuzz(func(t *testing.T, msg []byte, round uint8) {
		var r report
		if _, err := r.parse(msg, l, int(round%rounds)); err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) || len(r.frames) > 0 {
				t.Fatalf("%v, %d frames kept", err, len(r.frames))
			}
			return
		}
		again, last := []byte{msg[0]}, -1
		for _, w := range r.frames {
			if w.index <= last || w.index >= l.frames || len(w.positions) > 0 && w.positions[len(w.positions)-1] >= l.size(w.index) || !slices.IsSorted(w.positions) {
				t.Fatal("a frame or position out of range")
			}
			again = appendWanted(again, w, last)
			last = w.index
		}
		var same report
		if _, err := same.parse(again, l, int(round%rounds)); err != nil || len(same.frames) != len(r.frames) {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
	})
}

func FuzzSyndromes(f *testing.F) {
	l := layOut(2<<10+300, 1<<10, 0.02)
	whole := make([]byte, l.syndromeBytes(0)*2+l.syndromeBytes(2))
	f.Add(whole, uint8(0))
	f.Add(whole[:l.syndromeBytes(0)], uint8(1))
	f.Fuzz(func(t *testing.T, msg []byte, first uint8) {
		frames, err := l.parseSyndromes(msg, int(first)%l.frames)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		var again []byte
		for _, fr := range frames {
			again = appendBits(again, fr.syndrome, l.checksOf(fr.index))
		}
		if !bytes.Equal(again, msg) {
			t.Fatal("what was read is not what was sent")
		}
	})
}

func FuzzShape(f *testing.F) {
	l := layOut(5<<12+99, 1<<12, 0.02)
	f.Add(putShape(l))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, msg []byte) {
		w, o := distilltest.Pair()
		if err := o.Send(t.Context(), typeShape, msg[:min(len(msg), distill.MaxMessage)]); err != nil {
			t.Fatal(err)
		}
		got, err := receiveShape(t.Context(), w, l)
		if err == nil && (max(got.checks[0]-l.checks[0], l.checks[0]-got.checks[0]) > 1 || max(got.checks[1]-l.checks[1], l.checks[1]-got.checks[1]) > 1) {
			t.Fatalf("checks %v taken for %v", got.checks, l.checks)
		}
		if err != nil && !qsc.IsKind(err, qsc.Corrupt) {
			t.Fatal(err)
		}
	})
}

func FuzzBits(f *testing.F) {
	f.Add([]byte{1, 2}, uint16(16))
	f.Add([]byte{0xff, 1}, uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		if v, ok := parseBits(b, int(n)); ok && !bytes.Equal(appendBits(nil, v, int(n)), b) {
			t.Fatal("bits changed")
		}
	})
}
