package rate

import (
	"cmp"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// use is one link of a flow, or one flow of a link, and how many of the flow's
// paths take it.
type use struct {
	other int32
	times float64
}

// fill raises flows together, like water, and stops each where a link of it is
// used up. The level is the rate by weight that the rising flows have reached.
type fill struct {
	flows   []Flow
	weight  []float64
	rate    []float64 // what each flow has
	stopped []int32

	linksOf uses // by flow
	flowsOf uses // by link
	left    []float64
	grain   []float64 // of each link: what is too little to give

	// While raising:
	at      []float64 // of each link: the level up to which left is right
	slope   []float64 // of each link: what it loses per unit of level
	rises   []int32   // of each link: flows that rise on it
	steeper []int32   // links that flows have joined at this level
	queued  []bool    // of each link: it is in steeper
	rising  []bool    // of each flow
	cap     []float64 // of each flow: the rate at which it stops by itself
	events  events
}

const grain = 1e-9

// uses are the lists of use of all flows or links, one after the other.
type uses struct {
	first []int32
	all   []use
}

func (u uses) of(i int32) []use { return u.all[u.first[i]:u.first[i+1]] }

func newFill(capacity []qsc.BitRate, flows []Flow) *fill {
	n, m := len(flows), len(capacity)
	f := &fill{
		flows: flows, weight: make([]float64, n), rate: make([]float64, n), stopped: make([]int32, n),
		left: make([]float64, m), at: make([]float64, m), slope: make([]float64, m),
		rising: make([]bool, n), cap: make([]float64, n),
		rises: make([]int32, m), queued: make([]bool, m), grain: make([]float64, m),
	}
	for i, w := range flows {
		f.weight[i], f.stopped[i] = w.Weight, None
		if w.Weight == 0 {
			f.weight[i] = 1
		}
	}
	for l, c := range capacity {
		f.left[l], f.grain[l] = float64(c), float64(c)*grain
	}
	f.linksOf = gather(flows)
	f.flowsOf = f.linksOf.turned(m)
	return f
}

// gather counts how often each flow uses each link.
func gather(flows []Flow) uses {
	u := uses{first: make([]int32, 1, len(flows)+1)}
	var links []int32
	for _, f := range flows {
		links = append(links[:0], f.Links...)
		slices.Sort(links)
		for i, l := range links {
			if i > 0 && links[i-1] == l {
				u.all[len(u.all)-1].times++
				continue
			}
			u.all = append(u.all, use{l, 1})
		}
		u.first = append(u.first, int32(len(u.all)))
	}
	return u
}

// turned lists by link what u lists by flow.
func (u uses) turned(links int) uses {
	t := uses{first: make([]int32, links+1), all: make([]use, len(u.all))}
	for _, x := range u.all {
		t.first[x.other+1]++
	}
	for l := range links {
		t.first[l+1] += t.first[l]
	}
	next := slices.Clone(t.first)
	for i := range len(u.first) - 1 {
		for _, x := range u.of(int32(i)) {
			t.all[next[x.other]] = use{int32(i), x.times}
			next[x.other]++
		}
	}
	return t
}

// levels returns the flows that have a path, by falling priority.
func (f *fill) levels() [][]int32 {
	var all []int32
	for i := range f.flows {
		if len(f.flows[i].Links) > 0 {
			all = append(all, int32(i))
		}
	}
	slices.SortStableFunc(all, func(a, b int32) int { return cmp.Compare(f.flows[b].Priority, f.flows[a].Priority) })
	var levels [][]int32
	for begin := 0; begin < len(all); {
		end := begin + 1
		for end < len(all) && f.flows[all[end]].Priority == f.flows[all[begin]].Priority {
			end++
		}
		levels = append(levels, all[begin:end])
		begin = end
	}
	return levels
}

func (f *fill) most(i int32) float64 {
	if f.flows[i].Max == 0 {
		return math.Inf(1)
	}
	return float64(f.flows[i].Max)
}

func (f *fill) guaranteed(i int32) float64 { return min(float64(f.flows[i].Min), f.most(i)) }

// raise lets flows rise from what they have to their caps. A flow joins when the
// level reaches what it has, so one with a large minimum waits for the others.
func (f *fill) raise(which []int32, limit func(int32) float64) {
	for _, i := range which {
		f.cap[i], f.stopped[i] = limit(i), None
		if f.cap[i] > f.rate[i] {
			f.events.push(event{f.rate[i] / f.weight[i], joins, i})
		}
		for _, u := range f.linksOf.of(i) {
			f.at[u.other], f.slope[u.other] = 0, 0
		}
	}
	level := 0.0
	for len(f.events)+len(f.steeper) > 0 {
		// Joining comes first at its level; only then is it known how fast links run dry.
		if len(f.events) == 0 || f.events[0].level > level || f.events[0].what != joins {
			f.foresee(level)
		}
		if len(f.events) > 0 {
			e := f.events.pop()
			level = e.level
			f.handle(e)
		}
	}
}

// foresee says when the links will be dry that flows have joined.
func (f *fill) foresee(level float64) {
	for _, l := range f.steeper {
		f.settle(l, level)
		f.queued[l] = false
		if f.rises[l] > 0 {
			f.events.push(event{f.dryAt(l, level), dry, l})
		}
	}
	f.steeper = f.steeper[:0]
}

func (f *fill) handle(e event) {
	switch {
	case e.what == joins:
		f.join(e.who, e.level)
	case e.what == full && f.rising[e.who]:
		f.stop(e.who, e.level, f.cap[e.who], None)
	case e.what == dry && f.rises[e.who] > 0:
		f.settle(e.who, e.level)
		// A link that flows have left since runs dry later than was foreseen.
		if at := f.dryAt(e.who, e.level); at > e.level {
			f.events.push(event{at, dry, e.who})
			return
		}
		f.drain(e.who, e.level)
	}
}

// join lets a flow rise from the level on. One with a link that is used up stays
// where it is.
func (f *fill) join(i int32, level float64) {
	for _, u := range f.linksOf.of(i) {
		f.settle(u.other, level)
		if f.usedUp(u.other) {
			f.stopped[i] = u.other
			return
		}
	}
	f.rising[i] = true
	for _, u := range f.linksOf.of(i) {
		l := u.other
		f.slope[l] += float64(u.times * f.weight[i])
		f.rises[l]++
		if !f.queued[l] {
			f.queued[l], f.steeper = true, append(f.steeper, l)
		}
	}
	if !math.IsInf(f.cap[i], 1) {
		f.events.push(event{f.cap[i] / f.weight[i], full, i})
	}
}

// stop ends the rise of a flow at a rate.
func (f *fill) stop(i int32, level, rate float64, why int32) {
	f.rising[i], f.rate[i], f.stopped[i] = false, rate, why
	for _, u := range f.linksOf.of(i) {
		l := u.other
		f.settle(l, level)
		f.slope[l] -= float64(u.times * f.weight[i])
		if f.rises[l]--; f.rises[l] == 0 {
			f.slope[l] = 0 // and not what rounding left
		}
	}
}

// drain stops every flow that rises on a link that is used up.
func (f *fill) drain(l int32, level float64) {
	for _, u := range f.flowsOf.of(l) {
		if i := u.other; f.rising[i] {
			f.stop(i, level, max(f.rate[i], float64(level*f.weight[i])), l)
		}
	}
	f.left[l] = 0
}

// settle takes from a link what its flows have taken up to the level. The
// conversions keep every machine to the same rounding.
func (f *fill) settle(l int32, level float64) {
	if level > f.at[l] {
		f.left[l] = max(0, f.left[l]-float64(f.slope[l]*(level-f.at[l])))
		f.at[l] = level
	}
}

// usedUp allows for rounding: a link of which less than a billionth is left has
// nothing to give.
func (f *fill) usedUp(l int32) bool { return f.left[l] <= f.grain[l] }

// dryAt is the level at which a link will be used up. The link is settled.
func (f *fill) dryAt(l int32, level float64) float64 {
	if f.usedUp(l) {
		return level
	}
	return level + f.left[l]/f.slope[l]
}

// share hands out the result.
func (f *fill) share() Share {
	s := Share{Rates: make([]qsc.BitRate, len(f.rate)), Stopped: f.stopped, Left: make([]qsc.BitRate, len(f.left))}
	for i, x := range f.rate {
		s.Rates[i] = qsc.BitRate(x)
		if x < f.guaranteed(int32(i))*(1-grain) {
			s.Short = append(s.Short, i)
		}
	}
	for l, x := range f.left {
		s.Left[l] = qsc.BitRate(x)
	}
	return s
}
