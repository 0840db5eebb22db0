// Package plan reckons a network before it is built, from the same description
// that runs it: what every link yields by the physics of its devices, what two
// nodes get of each other over relays and over disjoint paths, whether that meets
// a demand and for how long the stocks last, what the loss of any node or link
// costs, when satellites pass, and what to add where.
//
// Rates are averages by closed formulas and flows are fractional: a plan says what
// is possible, the controller does what it can. It runs nothing and asks nobody's
// price.
package plan

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// Config says what to plan. Network is needed.
type Config struct {
	Network   *topology.Network
	Terminals int           // applications placed over the nodes; 0: 100 for each node, 10,000 at most
	PerPair   qsc.BitRate   // what each pair of terminals wants; 0: the mixture of package topology
	Paths     int           // disjoint paths of an end-to-end secret; 0: 3
	Seed      uint64        // of who talks to whom, and of the weather
	From      time.Time     // when the calendar begins; zero: now, to the hour
	Days      int           // of the calendar; 0: 7
	Courier   time.Duration // how often couriered stock is brought anew; 0: 30 days
}

// Plan is the whole reckoning. Rates are in bits per second.
type Plan struct {
	Network   string     `json:"network"`
	Title     string     `json:"title,omitempty"`
	Nodes     int        `json:"nodes"`
	Terminals int        `json:"terminals"`
	Links     []Link     `json:"links"`
	Pairs     []Pair     `json:"pairs"`
	PairCount int        `json:"pair_count"` // Pairs may be cut short
	Demand    Demand     `json:"demand"`
	Losses    []Loss     `json:"losses"` // the dearest first
	Passes    []Pass     `json:"passes"`
	Weather   string     `json:"weather,omitempty"` // what the calendar assumes
	Curves    []Curve    `json:"curves"`
	Crossings []Crossing `json:"crossings"`
	Advice    []Advice   `json:"advice"`
	Seconds   float64    `json:"seconds"` // that the plan took

	net *topology.Network
}

// Make reckons. Errors: Invalid for presets and parameters that do not fit and
// for numbers out of range, Unsupported for a network without links.
func Make(ctx context.Context, c Config) (*Plan, error) {
	start := time.Now()
	if err := c.fill(); err != nil {
		return nil, err
	}
	m := &maker{Config: c, plan: &Plan{Network: c.Network.Name, Title: c.Network.Title, Nodes: len(c.Network.Nodes), net: c.Network}}
	for _, step := range []func() error{m.index, m.links, m.pairs, m.demand, m.losses, m.calendar, m.curves, m.advise} {
		if err := step(); err != nil {
			return nil, err
		}
		if err := context.Cause(ctx); err != nil {
			return nil, qsc.E("plan.Make", qsc.Timeout, c.Network.Name, "%w", err)
		}
	}
	m.plan.Seconds = time.Since(start).Seconds()
	return m.plan, nil
}

// effort is how much of what grows with the square of the nodes is done: all of it
// up to two hundred nodes.
func (m *maker) effort() float64 {
	n := float64(len(m.Network.Nodes)) / 200
	return min(1, 1/(n*n))
}

// part is so much of a number as the effort allows, at least.
func (m *maker) part(whole, least int) int { return max(least, int(float64(whole)*m.effort())) }

// phases is the same for a solver's phases, of which small networks may have more.
func (m *maker) phases(whole, least int) int {
	return m.part(whole, least) * max(1, min(20, 100/len(m.Network.Nodes)))
}

// Limits of a plan.
const (
	maxDays  = 3660
	maxPairs = 100 // of Plan.Pairs: the best and the worst
)

func (c *Config) fill() error {
	bad := func(format string, args ...any) error {
		return qsc.E("plan.Make", qsc.Invalid, c.Network.Name, format, args...)
	}
	if len(c.Network.Links) == 0 || len(c.Network.Nodes) < 2 {
		return qsc.E("plan.Make", qsc.Unsupported, c.Network.Name, "a network without links has nothing to plan")
	}
	if c.Terminals == 0 {
		c.Terminals = min(100*len(c.Network.Nodes), 10_000)
	}
	if c.Paths == 0 {
		c.Paths = 3
	}
	if c.Days == 0 {
		c.Days = 7
	}
	if c.Courier == 0 {
		c.Courier = 30 * 24 * time.Hour
	}
	if c.From.IsZero() {
		c.From = time.Now().UTC().Truncate(time.Hour)
	}
	switch {
	case c.Terminals < 2 || c.Terminals > topology.MaxApplications:
		return bad("%d terminals; from 2 to %d can be planned for", c.Terminals, topology.MaxApplications)
	case c.Paths < 1 || c.Paths > 8:
		return bad("%d disjoint paths; from 1 to 8 can be asked for", c.Paths)
	case c.Days < 1 || c.Days > maxDays:
		return bad("a calendar of %d days; from 1 to %d can be made", c.Days, maxDays)
	case !(c.PerPair >= 0) || c.PerPair > topology.MaxRate || c.Courier < time.Hour:
		return bad("a demand of %v for each pair, stock brought every %v: neither may be below nothing, the second not below an hour", c.PerPair, c.Courier)
	}
	return nil
}
