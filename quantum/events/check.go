package events

import (
	"math"
	"strings"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Ranges are the names of parameters that are out of range.
type Ranges []string

// Want notes a parameter that is not as it must be.
func (r *Ranges) Want(ok bool, name string) {
	if !ok {
		*r = append(*r, name)
	}
}

// WantChannel notes a channel that cannot be. A great loss is none: nothing arrives.
func (r *Ranges) WantChannel(ch quantum.Channel) {
	r.Want(ch.Loss >= 0 && ch.Loss <= 1000 && ch.Distance >= 0 && !math.IsInf(ch.Distance, 1), "the channel")
}

// Loss is a channel's in dB: as given, or by its length; at most 1,000, so that
// transmittances stay above 0.
func Loss(ch quantum.Channel, perKM float64) float64 {
	if ch.Loss > 0 {
		return min(ch.Loss, 1000)
	}
	return min(ch.Distance*perKM, 1000)
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
