package events

import (
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// What is gathered comes back bit by bit, and nothing of it stays where it was before
// it was moved to make room, or once it is erased.
func TestCollectorErases(t *testing.T) {
	var c Collector
	var places [][]uint64
	const n = 64 * 300
	bit := func(i int) uint64 { return uint64(i*i>>3) & 1 }
	for i := range n {
		c.Add(bit(i))
		if w := c.Bits().W; len(places) == 0 || &places[len(places)-1][0] != &w[0] {
			places = append(places, w[:cap(w)])
		}
	}
	for i := range n {
		if c.Bits().Bit(i) != bit(i) {
			t.Fatalf("bit %d is another", i)
		}
	}
	if c.Len() != n || len(places) < 3 {
		t.Fatalf("%d bits, %d times moved", c.Len(), len(places)-1)
	}
	c.Zeroise()
	for i, w := range places {
		if slices.ContainsFunc(w, func(x uint64) bool { return x != 0 }) {
			t.Errorf("bits are left in place %d of %d", i, len(places))
		}
	}
}

// A batch that is full ends behind its last detection, and the next begins there:
// nothing is lost between.
func TestFullBatchEndsEarly(t *testing.T) {
	every := func(from, to uint64) (uint64, bool) { // third pulse
		from = (from + 2) / 3 * 3
		return from, from < to
	}
	const end = 10 * MaxEvents
	b, seen := Batch{To: end}, uint64(0)
	for rounds := 0; ; rounds++ {
		b.Draw(every)
		for _, s := range b.Slots {
			if s != seen {
				t.Fatalf("a detection at %d, not %d", s, seen)
			}
			seen += 3
		}
		if b.To == end {
			if rounds != 3 || seen < end-3 {
				t.Errorf("%d batches, until %d", rounds+1, seen)
			}
			return
		}
		if len(b.Slots) != MaxEvents || b.To != b.Slots[MaxEvents-1]+1 {
			t.Fatalf("a batch of %d until %d", len(b.Slots), b.To)
		}
		b = Batch{From: b.To, To: end}
	}
}

func TestTally(t *testing.T) {
	mine, theirs := Tally{0, 0, 0}, Tally{5, 0, 1 << 40}
	if err := mine.Take(theirs.Report()); err != nil || !slices.Equal(mine, theirs) {
		t.Errorf("%v comes as %v (%v)", theirs, mine, err)
	}
	for name, report := range map[string][]byte{
		"a count that falls": Tally{4, 0, 1 << 40}.Report(), "an absurd one": Tally{5, 1 << 62, 1 << 40}.Report(), "a negative one": Tally{5, -1, 1 << 40}.Report(),
		"one too few": Tally{5, 0}.Report(), "one too many": Tally{5, 0, 1 << 40, 0}.Report(), "none": nil,
	} {
		if err := slices.Clone(mine).Take(report); !qsc.IsKind(err, qsc.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []struct {
		wrong, tests int64
		qber         float64
		hopeless     bool
	}{{0, 0, 0, false}, {10, 19, 10.0 / 19, false}, {10, 20, 0.5, true}, {5, 20, 0.25, false}} {
		s := Limit{QBER: 0.25, Tests: 20}.State(3, 7, c.wrong, c.tests)
		if s != (State{Have: 3, Want: 7, QBER: c.qber, Hopeless: c.hopeless}) {
			t.Errorf("%d of %d: %+v", c.wrong, c.tests, s)
		}
	}
}
