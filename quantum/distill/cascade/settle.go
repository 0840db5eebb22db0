package cascade

import "slices"

// layOutBob parts the memory among the passes.
func (g *group) layOutBob() {
	row := (g.plan.n+63)/64 + 2 // the end is a place too, and a window has two words
	size, whole := row*int(g.width()), g.plan.n+1
	g.room(3*passes*size + whole)
	rest := g.memory
	cut := func(n int) []uint64 {
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	before := cut(whole) // for one pass after another
	odds := cut(passes * size)
	for i := range g.seek {
		t := &g.seek[i]
		t.row, t.busy = row, 0
		t.before, t.bits, t.splits = before, cut(size), cut(size)
		t.odds, t.odd, t.done = odds[i*size:(i+1)*size], t.odd[:0], t.done[:0]
	}
}

// answered takes where the parities of all of the group's questions differ, and
// corrects the errors that are found by them.
func (g *group) answered(in *reader) {
	if g.entering {
		g.entering = false
		g.entered(in)
		return
	}
	for i := range g.seek {
		t := &g.seek[i]
		t.follow(in)
	}
	var ended []search
	for i := range g.family {
		ended = g.family[i].follow(g, in, ended)
	}
	for i := range g.seek {
		g.settle(i, g.seek[i].done)
	}
	g.settle(passes, ended)
	g.age()
}

// age ends the youth of a pass whose first searches are over.
func (g *group) age() {
	if g.stage >= passes {
		return
	}
	if t := &g.seek[g.stage]; t.young && len(t.open) == 0 {
		t.age(g, g.plan.order[g.stage])
	}
}

// entered takes where parities of a stage's blocks or subsets differ.
func (g *group) entered(in *reader) {
	if g.stage < passes {
		t := &g.seek[g.stage]
		t.own.reset()
		t.enter(in, g.width())
		t.teller.ask(0)
		g.age()
		return
	}
	for i := range g.family {
		f := &g.family[i]
		f.own.reset()
		for s := range f.odd {
			f.odd[s] = in.take(g.width())
		}
	}
}

// settle notes errors that a pass has found, at its own places; those that the
// families have found are at positions. One short loop for each memory that is
// written, from its front to its back, so that its lines are fetched once.
func (g *group) settle(pass int, done []search) {
	if len(done) == 0 {
		return
	}
	if pass < passes {
		g.seek[pass].ended(done)
		done = g.moved(done, g.plan.order[pass])
	}
	for _, s := range done {
		g.words[s.lo()] ^= 1 << s.strand()
	}
	if g.stage == stageFamilies {
		g.settleFamilies(done)
	}
	for i := range min(g.stage+1, passes) {
		if i == pass {
			continue
		}
		t := &g.seek[i]
		for _, s := range g.moved(done, g.plan.place[i]) {
			t.flip(s.strand(), s.lo())
		}
	}
}

// moved puts searches that have ended to where an order has their places, front to
// back; nil leaves them as they are.
func (g *group) moved(done []search, to []uint16) []search {
	if to == nil {
		return done
	}
	out := slices.Grow(g.sorted[:0], len(done))[:len(done)]
	g.sorted = out
	if len(done) < worthSorting {
		for i, s := range done {
			out[i] = s&^0xffff | search(to[s.lo()])
		}
		return out
	}
	var at [1 << 16 >> coarse]uint32
	for _, s := range done {
		at[to[s.lo()]>>coarse]++
	}
	sum := uint32(0)
	for i, n := range at {
		at[i], sum = sum, sum+n
	}
	for _, s := range done {
		place := to[s.lo()]
		next := &at[place>>coarse]
		out[*next] = s&^0xffff | search(place)
		*next++
	}
	return out
}

const (
	worthSorting = 512 // searches
	coarse       = 6   // bits of a place that may lie in any order
)

// settleFamilies notes errors in the sums of the families.
func (g *group) settleFamilies(done []search) {
	for _, s := range done {
		place := int(g.plan.place[passes][s.lo()])
		for i := range g.family {
			g.family[i].mark(g.plan, s.strand(), g.plan.cellOf(i, place))
		}
	}
}

// plans gives strands without a search under way their next: in the first pass
// that has odd ranges, since these are the shortest. When there are none at all, the
// group enters the next stage.
//
// Searches of a strand thus never run in two passes at a time, where they could
// pay twice for the same error.
func (g *group) schedule(t *turn) error {
	t.reset()
	if g.stage < passes && g.seek[g.stage].young {
		return nil // one after another
	}
	free, left := g.all, maxSearches
	for i := range g.seek {
		free &^= g.seek[i].busy
	}
	for i := range g.family {
		for _, h := range g.family[i].open {
			free &^= 1 << h.strand
		}
	}
	for i := range min(g.stage+1, passes) {
		s := &g.seek[i]
		var err error
		if t.searches[i], err = s.search(free, left, t.searches[i]); err != nil {
			return err
		}
		left -= len(t.searches[i]) / searchLen
		free &^= s.busy
	}
	if g.stage == stageFamilies {
		for i := range g.family {
			free &^= g.family[i].search(g, free, t)
		}
	}
	if !g.searching() {
		t.enter = byte(g.stage + 1)
		g.enter(g.stage+1, true)
	}
	return nil
}
