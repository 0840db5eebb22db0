package events

import (
	"math"

	"github.com/quantum-secure-cloud/qsc/internal/wire"
)

// Tally are counts that Bob makes and tells Alice. None ever falls.
type Tally []int64

// Report returns them as they travel: u64 each.
func (t Tally) Report() []byte {
	w := wire.Writer{}
	for _, n := range t {
		w.U64(uint64(n))
	}
	return w.B
}

// Take takes the other end's report of as many counts. Error: Corrupt where one
// falls, or is absurd.
func (t Tally) Take(report []byte) error {
	r := wire.NewReader(report)
	for i := range t {
		n := r.U64()
		if r.Err() == nil && (n < uint64(t[i]) || n > math.MaxInt64/4) {
			return corrupt("a count falls or is absurd")
		}
		t[i] = int64(n)
	}
	return r.Done()
}

// Limit is an error rate at which nothing is left, once it is seen on enough tests.
type Limit struct {
	QBER  float64
	Tests int64
}

// State is that of a block with have of want bits, and wrong ones among its tests.
func (l Limit) State(have, want int, wrong, tests int64) State {
	s := State{Have: have, Want: want}
	if tests > 0 {
		s.QBER = float64(wrong) / float64(tests)
	}
	s.Hopeless = tests >= l.Tests && s.QBER > l.QBER
	return s
}
