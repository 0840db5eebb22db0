package algebra

import (
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc/its/gf"
)

func TestSpan(t *testing.T) {
	var s Span
	for _, c := range []struct {
		row []byte
		add bool
	}{
		{[]byte{1, 1}, true}, {[]byte{0, 1, 1}, true}, {[]byte{1, 0, 1}, false}, {[]byte{0, 0, 0}, false}, {[]byte{0, 0, 0, 2}, true},
	} {
		if got := s.Add(c.row); got != c.add {
			t.Errorf("Add(%v) = %t", c.row, got)
		}
	}
	if s.Rank() != 3 || s.Knows(Unit(0)) || !s.Knows([]byte{7, 7}) || !s.Knows(Unit(3)) || s.Knows(Unit(9)) {
		t.Errorf("rank %d, or the span knows the wrong rows", s.Rank())
	}
	c := s.Clone()
	if !c.Add(Unit(1)) || !c.Knows(Unit(0)) || s.Knows(Unit(0)) {
		t.Error("a clone is not a span of its own")
	}
}

// Any combination of known rows is known, and a span of fewer rows than there
// are variables does not know all variables.
func TestSpanOfRandomRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 2 + r.IntN(10)
		var s Span
		mix := make([]byte, n)
		for range 1 + r.IntN(n-1) {
			row := make([]byte, n)
			for i := range row {
				row[i] = byte(r.Uint32())
			}
			s.Add(row)
			factor := byte(r.Uint32())
			for i := range mix {
				mix[i] ^= gf.Mul(factor, row[i])
			}
		}
		if !s.Knows(mix) {
			t.Fatal("a combination of the rows is not in their span")
		}
		known := 0
		for i := range n {
			if s.Knows(Unit(i)) {
				known++
			}
		}
		if known == n {
			t.Fatalf("rank %d of %d, and every variable is known", s.Rank(), n)
		}
	}
}
