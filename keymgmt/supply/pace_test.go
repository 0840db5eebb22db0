package supply

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A stream that was told to wait for hours, while its route had next to no key, goes
// on as soon as its pace is a better one.
func TestPaceChanges(t *testing.T) {
	pace := qsc.BitRate(4)
	s := &Supply{cfg: Config{Node: "a", Pace: func(qsc.NodeID, keymgmt.Protection) qsc.BitRate { return pace }}}
	began := time.Unix(1000, 0)
	st := &stream{streamDesc: streamDesc{peer: "b"}}
	st.demand.from, st.demand.booked = began, 4096
	for _, c := range []struct {
		pace qsc.BitRate
		wait time.Duration
	}{{4, time.Hour}, {32768, time.Second}, {0, 0}, {8192, 4 * time.Second}} {
		pace = c.pace
		if got := s.due(st).Sub(began); got != c.wait {
			t.Errorf("at %v the next round is due after %v, not %v", c.pace, got, c.wait)
		}
	}
}
