package flow

import (
	"cmp"
	"slices"
)

// group is the demands of one source.
type group struct {
	source  int
	to      []int
	amounts []float64
	order   []int32 // in which the last tree reached the nodes
}

// groupBySource joins equal pairs and gives each to that end which has more of
// them, so that few trees serve all.
func groupBySource(nodes int, demands []Demand) []group {
	pairs := joined(demands)
	partners := make([]int, nodes)
	for _, p := range pairs {
		partners[p.From]++
		partners[p.To]++
	}
	at := make([]group, nodes)
	for _, p := range pairs {
		from, to := p.From, p.To
		if partners[to] > partners[from] {
			from, to = to, from
		}
		at[from].source = from
		at[from].to = append(at[from].to, to)
		at[from].amounts = append(at[from].amounts, p.Amount)
	}
	return slices.DeleteFunc(at, func(g group) bool { return len(g.to) == 0 })
}

// joined returns the demands in order, one for each pair, From below To.
func joined(demands []Demand) []Demand {
	out := make([]Demand, 0, len(demands))
	for _, d := range demands {
		if d.From != d.To && d.Amount > 0 {
			out = append(out, Demand{min(d.From, d.To), max(d.From, d.To), d.Amount})
		}
	}
	byPair := func(a, b Demand) int { return cmp.Or(a.From-b.From, a.To-b.To) }
	if !slices.IsSortedFunc(out, byPair) {
		slices.SortStableFunc(out, byPair)
	}
	n := 0
	for i, d := range out {
		if i > 0 && byPair(out[n-1], d) == 0 {
			out[n-1].Amount += d.Amount
			continue
		}
		out[n] = d
		n++
	}
	return out[:n]
}
