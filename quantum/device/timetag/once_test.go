package timetag

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// A message forged on its way, which the round's tags would show only at its end, must
// not keep later rounds from coming about: of an epoch far ahead, before Bob's end has
// found the clocks' offset and after.
func TestForgedEpoch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Block = 4000
	r.write(t, campus, 10)
	ends, start := r.open(t), begin()
	for round, ahead := range []uint32{1 << 20, 1<<31 - 1} {
		forge(t, ends, start, ahead)
		start.At = start.At.Add(EpochTime)
		s, errs := sift(t, ends, start)
		if errs != [2]error{} {
			t.Fatalf("round %d, after a message of %d epochs ahead: %v", round, ahead, errs)
		}
		if q := float64(differ(s[0].Bits, s[1].Bits)) / float64(s[0].Bits.N); q > 0.04 {
			t.Errorf("round %d: %.1f %% of the bits differ", round, 100*q)
		}
		start.At = s[0].Until
	}
}

// forge has a round fail whose first message comes to Bob with another epoch.
func forge(t *testing.T, ends [2]distill.Protocol, start distill.Start, ahead uint32) {
	t.Helper()
	_, bob := distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
		if first := true; role == distill.Bob {
			w.Change = func(_ byte, msg []byte) []byte {
				if first {
					const at = 1 + 3*8 // of the epoch; in the packet it stands behind length and tag
					e := binary.BigEndian.Uint32(msg[at:]) + ahead
					binary.BigEndian.PutUint32(msg[at:], e)
					binary.LittleEndian.PutUint32(msg[at+4+4+4:], e)
				}
				first = false
				return msg
			}
		}
		_, err := ends[role].Sift(ctx, w, start)
		return err
	})
	if !qsc.IsKind(bob, qsc.Corrupt) {
		t.Fatal("two epochs in a row that are not:", bob)
	}
}

// An epoch is told once, whatever is asked for and whatever becomes of its round; and
// Bob's end answers about it once, though Alice's was opened anew and has forgotten.
func TestToldOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Block = 4000
	r.write(t, campus, 8)
	ends, told := r.open(t), map[Epoch]bool{}
	for round := range 4 {
		fails := round%2 == 1
		_, bob := distilltest.Both(t.Context(), func(ctx context.Context, role distill.Role, w *distilltest.Wire) error {
			if role == distill.Bob {
				w.Change = func(_ byte, msg []byte) []byte {
					if x, err := parseTold(msg); err == nil && x.verdict == goOn {
						if told[x.epoch] {
							t.Errorf("round %d: epoch %v is told again", round, x.epoch)
						}
						told[x.epoch] = true
					} else if fails {
						return nil // the last message is lost
					}
					return msg
				}
			}
			_, err := ends[role].Sift(ctx, w, begin())
			return err
		})
		if (bob != nil) != fails {
			t.Fatalf("round %d: %v", round, bob)
		}
	}
	if len(told) < 5 { // the first is spent on the search
		t.Errorf("%d epochs are told", len(told))
	}
	ends[0] = r.open(t)[0]
	if s, errs := sift(t, ends, begin()); !qsc.IsKind(errs[1], qsc.Corrupt) || s[1] != nil {
		t.Error("Bob answers about an epoch again:", errs)
	}
}

// An event of Bob's is matched once, whatever times he is told.
func TestMatchedOnce(t *testing.T) {
	e := EpochAt(time.Unix(1e9, 0))
	hers, window := []moment{e.start() + 1000, e.start() + 2000, e.start() + 3000}, int64(16)
	k := &tracker{locked: true, at: append([]moment(nil), hers...), basis: make([]uint8, 3), value: make([]uint8, 3)}
	for _, c := range []struct {
		told []moment
		want int
	}{{hers[:2], 2}, {hers[:2], 0}, {hers, 1}, {hers, 0}} {
		n := 0
		k.pair(c.told, e, window, func(int, int) { n++ })
		if n != c.want {
			t.Errorf("%d of %d times match, not %d", n, len(c.told), c.want)
		}
	}
}
