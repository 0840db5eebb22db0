// Package rate shares out the rate of links among flows: guaranteed minima
// first, then weighted max-min fair up to each flow's maximum, both by priority.
// It also says when a stock will run dry and which flows should leave the link
// before it does.
//
// It is pure: no clock, no I/O. It finds no paths (package route), enforces
// nothing and knows of no key: it is arithmetic on what others report.
package rate

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
)

// Flow is what one pair of nodes may take. At the delivered rate x it takes x of
// every link of every path.
type Flow struct {
	Links    []int32     // number of each link, once for every path that uses it; none: it has no path
	Min      qsc.BitRate // guaranteed, if there is enough
	Max      qsc.BitRate // 0: as much as there is
	Priority int         // larger goes first
	Weight   float64     // of its part against flows of its priority; 0: 1
}

// Share is how the rates came out.
type Share struct {
	Rates []qsc.BitRate // of each flow
	// Short lists, rising, the flows that get less than their minimum: the links
	// do not have it, or there is no path.
	Short []int
	// Stopped names for each flow the link that is used up and keeps it from
	// getting more; None when it has its maximum or no path.
	Stopped []int32
	Left    []qsc.BitRate // of each link
}

// None is no link.
const None int32 = -1

// Fair shares the capacities of links, in secret bits per second of both
// directions together, among flows:
//
//  1. minima, by falling priority; flows of one priority whose minima do not
//     all fit share what is there max-min fair, and those that get less are
//     listed in Short;
//  2. what is left, by falling priority: within one priority all rise together,
//     in proportion to their weights, each from where its minimum reaches, until
//     it has its maximum or a link of it is used up.
//
// So no flow can have more unless one of a higher priority, or one of its own
// that has no more than it (both by weight), gets less, or a minimum is broken.
// A minimum above the maximum counts as the maximum. The same input gives the
// same output.
//
// Errors: Invalid for a link number out of range and for rates, weights or
// capacities that are negative or not finite.
func Fair(capacity []qsc.BitRate, flows []Flow) (Share, error) {
	if err := check(capacity, flows); err != nil {
		return Share{}, err
	}
	f := newFill(capacity, flows)
	for _, level := range f.levels() {
		f.raise(level, f.guaranteed)
	}
	for _, level := range f.levels() {
		f.raise(level, f.most)
	}
	return f.share(), nil
}

func check(capacity []qsc.BitRate, flows []Flow) error {
	for l, c := range capacity {
		if bad(float64(c)) {
			return qsc.E("rate.Fair", qsc.Invalid, "", "link %d has the capacity %v", l, float64(c))
		}
	}
	for i, f := range flows {
		if bad(float64(f.Min)) || bad(float64(f.Max)) || bad(f.Weight) {
			return qsc.E("rate.Fair", qsc.Invalid, "", "flow %d has minimum %v, maximum %v, weight %v", i, float64(f.Min), float64(f.Max), f.Weight)
		}
		for _, l := range f.Links {
			if l < 0 || int(l) >= len(capacity) {
				return qsc.E("rate.Fair", qsc.Invalid, "", "flow %d uses link %d; there are %d", i, l, len(capacity))
			}
		}
	}
	return nil
}

func bad(x float64) bool { return x < 0 || math.IsNaN(x) || math.IsInf(x, 0) }
