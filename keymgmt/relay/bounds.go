package relay

import (
	"cmp"
	"math/bits"
	"slices"
)

// load counts legs and what they hold.
type load struct{ legs, bytes int }

func (a load) plus(legs, bytes int) load { return load{a.legs + legs, a.bytes + bytes} }

// admit takes in a leg. When a bound is passed the oldest leg goes, of the same
// neighbour if it is that one's bound.
func (c *core) admit(l *leg) {
	c.seq++
	l.seq, l.tick = c.seq, c.tick
	c.legs[l.key] = l
	l.size = len(l.m.Fix) + len(l.m.Carried)
	c.count(l, 1, l.size)
	c.grow(l, l.m.Offer.size())
}

// grow counts more bytes for a leg.
func (c *core) grow(l *leg, n int) {
	l.size += n
	c.count(l, 0, n)
	from := l.key.From
	for beyond(c.byNode[from], c.bounds.neighbourLegs, c.bounds.neighbourBytes) && c.dropOldest(func(o *leg) bool { return o != l && o.key.From == from }) {
	}
	for beyond(c.total, c.bounds.legs, c.bounds.bytes) && c.dropOldest(func(o *leg) bool { return o != l }) {
	}
}

func beyond(a load, legs, bytes int) bool { return a.legs > legs || a.bytes > bytes }

func (c *core) count(l *leg, legs, bytes int) {
	c.total = c.total.plus(legs, bytes)
	if b := c.byNode[l.key.From].plus(legs, bytes); b.legs > 0 {
		c.byNode[l.key.From] = b
	} else {
		delete(c.byNode, l.key.From)
	}
}

// dropOldest gives up the oldest leg that may go and whose sub-key no check is
// reading; false when there is none.
func (c *core) dropOldest(may func(*leg) bool) bool {
	var low *leg
	for _, l := range c.legs {
		if may(l) && !l.checked() && (low == nil || l.seq < low.seq) {
			low = l
		}
	}
	if low != nil {
		c.status.Failed++
		c.gone(low)
	}
	return low != nil
}

// checked reports whether the check of its round reads the leg's sub-key now.
func (l *leg) checked() bool {
	return l.round != nil && l.round.stage == verifying && slices.Contains(l.round.set, l)
}

// gone forgets a leg. What it holds is given up, now or when the job that uses
// it ends; key that it was sent under and nobody has touched is consumed. Its
// round does without.
func (c *core) gone(l *leg) {
	if c.legs[l.key] != l {
		return
	}
	delete(c.legs, l.key)
	c.count(l, -1, -l.size)
	c.recent.add(l.key)
	if !l.burnt {
		c.do(jobBurn{l.key.From, l.m.In})
	}
	if l.job == 0 {
		c.drop(l.sub)
	}
	c.abandon(l.job, orphan{handles: []any{l.sub}, peer: l.next()})
	r := l.round
	if r == nil {
		return
	}
	r.legs = slices.DeleteFunc(r.legs, func(k *leg) bool { return k == l })
	r.sets = slices.DeleteFunc(r.sets, func(s []*leg) bool { return slices.Contains(s, l) })
	if r.stage == gathering && len(r.legs) == 0 && !r.failed {
		delete(c.rounds, r.id)
	}
}

// admitRound takes in a round; the oldest that is not at work goes for it.
func (c *core) admitRound(r *round) {
	c.seq++
	r.seq, r.tick = c.seq, c.tick
	c.rounds[r.id] = r
	if len(c.rounds) <= c.bounds.rounds {
		return
	}
	var low *round
	for _, o := range c.rounds {
		if o != r && !o.working() && (low == nil || o.seq < low.seq) {
			low = o
		}
	}
	if low != nil {
		c.dropRound(low)
	}
}

// working reports whether a check or the sink has the round now.
func (r *round) working() bool { return r.stage == verifying || r.stage == delivering }

// dropRound forgets a round and its legs. Paths that never came are counted.
func (c *core) dropRound(r *round) {
	switch r.stage {
	case accepted:
		c.status.Lost += int64(int(r.paths) - bits.OnesCount8(r.came))
	case gathering:
		c.status.Failed++
	}
	c.endLegs(r)
	c.ends.add(r.id)
	delete(c.rounds, r.id)
}

// age drops what has been here for too many ticks, the eldest first.
func (c *core) age() {
	c.tick++
	var rounds []*round
	for _, r := range c.rounds {
		if c.tick-r.tick >= c.bounds.ticks && !r.working() {
			rounds = append(rounds, r)
		}
	}
	slices.SortFunc(rounds, func(a, b *round) int { return cmp.Compare(a.seq, b.seq) })
	for _, r := range rounds {
		c.dropRound(r)
	}
	var legs []*leg
	for _, l := range c.legs {
		if c.tick-l.tick >= c.bounds.ticks && !l.checked() {
			legs = append(legs, l)
		}
	}
	slices.SortFunc(legs, func(a, b *leg) int { return cmp.Compare(a.seq, b.seq) })
	for _, l := range legs {
		c.status.Failed++
		c.gone(l)
	}
}

// recentSize is how many finished legs and rounds are remembered, so that an
// order that comes twice costs no key, and one that comes very late revives no
// round.
const recentSize = 1024

// recent remembers the last names that were added.
type recent[T comparable] struct {
	ring [recentSize]T
	next int
	set  map[T]bool
}

func (r *recent[T]) has(k T) bool { return r.set[k] }

func (r *recent[T]) add(k T) {
	if r.set == nil {
		r.set = map[T]bool{}
	}
	if r.set[k] {
		return
	}
	delete(r.set, r.ring[r.next])
	r.ring[r.next], r.set[k] = k, true
	r.next = (r.next + 1) % recentSize
}
