package plan

import (
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Pass is one pass of a satellite over a ground station at which key can be made.
type Pass struct {
	Link      qsc.LinkID `json:"link"`
	Station   qsc.NodeID `json:"station"`
	Rise      time.Time  `json:"rise"`
	Top       time.Time  `json:"culmination"`
	Set       time.Time  `json:"set"`
	Elevation float64    `json:"elevation_deg"` // the highest
	Clear     bool       `json:"clear"`         // by the calendar's weather
	Bits      int64      `json:"bits"`          // of secret key; 0 under cloud
}

func (m *maker) calendar() error { return nil }

// WithKey counts the passes that yield key.
func WithKey(passes []Pass) (n int) {
	for _, p := range passes {
		if p.Bits > 0 {
			n++
		}
	}
	return n
}
