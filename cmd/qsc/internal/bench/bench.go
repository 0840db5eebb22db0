// Package bench measures what users and developers ask for, each figure beside a
// yardstick of the same run.
//
// It judges nothing: what a figure should be is written in docs/perf.
package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
)

// Row is one figure. Names are kept for good.
type Row struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Ratio  float64 `json:"ratio"`
	Versus string  `json:"versus"`
}

// Write prints rows as a table or, for programs, as one JSON array.
func Write(w io.Writer, rows []Row, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(rows)
	}
	t := show.NewTable("NAME", "VALUE", "UNIT", "RATIO", "VERSUS")
	for _, r := range rows {
		t.Row(r.Name, fmt.Sprintf("%.4g", r.Value), r.Unit, fmt.Sprintf("%.3g", r.Ratio), r.Versus)
	}
	return t.Write(w, "")
}

// rounds is how often a figure is taken; its median counts.
const rounds = 7

// window is how long one taking lasts, at least.
const window = 40 * time.Millisecond

// rate calls fn, which handles n bytes, for a window at a time and returns the
// speed of every window in bytes per second.
func rate(n int, fn func()) float64 {
	fn() // warm
	count, start := 0, time.Now()
	for time.Since(start) < window {
		for range 8 {
			fn()
		}
		count += 8
	}
	return float64(count) * float64(n) / time.Since(start).Seconds()
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
