package events

import (
	"math"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Ranges are the names of parameters that are out of range.
type Ranges []string

// Want notes a parameter that is not as it must be.
func (r *Ranges) Want(ok bool, name string) {
	if !ok {
		*r = append(*r, name)
	}
}

// Err names them all, as Invalid; nil where there are none.
func (r Ranges) Err(op string) error {
	if len(r) == 0 {
		return nil
	}
	return qsc.E(op, qsc.Invalid, "", "out of range: %s", strings.Join(r, ", "))
}

// Seconds is a duration that does not overflow: at most some 285 years, as which NaN
// counts too.
func Seconds(s float64) time.Duration {
	const most = 9e9
	if !(s < most) {
		s = most
	}
	return time.Duration(math.Max(s, -most) * float64(time.Second))
}
