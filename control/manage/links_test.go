package manage

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/control/route"
)

// A link that makes no key and holds too little for a round is one to stay off,
// however small its ring; one that makes key fills by itself.
func TestLinkTooEmptyForARoundIsDry(t *testing.T) {
	const KiB, MiB = 1 << 10, 1 << 20
	for _, c := range []struct {
		name  string
		state route.State
		dry   bool
	}{
		{"small ring, half full, no key", route.State{Size: 32 * KiB, Stock: [2]int64{16 * KiB, 16 * KiB}}, true},
		{"small ring, full, no key", route.State{Size: 32 * KiB, Stock: [2]int64{32 * KiB, 32 * KiB}}, false},
		{"small ring, half full, key", route.State{Size: 32 * KiB, Stock: [2]int64{16 * KiB, 16 * KiB}, Rate: 1}, false},
		{"ring of 1 MiB, a tenth, no key", route.State{Size: MiB, Stock: [2]int64{100 * KiB, 100 * KiB}}, true},
		{"ring of 1 MiB, enough for a round", route.State{Size: MiB, Stock: [2]int64{useless, useless}}, false},
		{"large ring, a sixth, no key", route.State{Size: 64 * MiB, Stock: [2]int64{10 * MiB, 10 * MiB}}, false},
		{"large ring, a 64th, key", route.State{Size: 64 * MiB, Stock: [2]int64{MiB, MiB}, Rate: 1}, true},
		{"down", route.State{Size: 32 * KiB}, false},
	} {
		c.state.Up = c.name != "down"
		l := link{state: c.state}
		for dir := range 2 {
			if got := l.dry(time.Second, dir, false, time.Minute); got != c.dry {
				t.Errorf("%s, direction %d: dry %t", c.name, dir, got)
			}
		}
	}
}
