package bench

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc/sim/measure"
)

// Plan measures how long a plan of a hundred nodes with three kinds of link, a
// satellite and ten thousand terminals takes, beside the plan of a city's twelve and a satellite.
func Plan(ctx context.Context, runs int) ([]Row, error) {
	seconds := func(nodes, terminals int) (float64, error) {
		return repeat(runs, func() (float64, error) {
			start := time.Now()
			err := measure.Plan(ctx, nodes, terminals)
			return time.Since(start).Seconds(), err
		})
	}
	small, err := seconds(13, 1300)
	if err != nil {
		return nil, err
	}
	large, err := seconds(100, 10_000)
	if err != nil {
		return nil, err
	}
	return []Row{{"plan-100nodes-10000terminals", large, "s", large / small, "a plan of 13 nodes and 1300 terminals"}}, nil
}
