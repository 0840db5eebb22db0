package cascade

import "math/bits"

// group is up to 64 strands side by side: bit s of words[i] is bit i of strand s.
// All but the words and what is computed of them is the same at both ends after
// each message, because it follows from the answers alone.
type group struct {
	plan   *plan
	words  []uint64 // own bits; Bob's are corrected as errors are found
	pad    []uint64 // memory for words where they are not the caller's
	bob    bool
	all    uint64  // mask of strands
	states []state // memory of all tracks
	track  [passes]track
	family [families]family
	at     [passes + 2]uint64 // strands that wait for a pass; the families are one, then the end
	last   []uint64           // errors found since the families began, by position
}

// start begins with a group's words. The first questions are open after it.
func (g *group) start(p *plan, words []uint64, width int, k [passes]int, bob bool) {
	g.plan, g.words, g.bob, g.all = p, words, bob, ^uint64(0)>>(64-width)
	if size := passes * memory(p.n, width); len(g.states) < size {
		g.states = make([]state, size)
		advise(g.states)
	}
	rest := g.states
	for i := range g.track {
		rest = g.track[i].layOut(p.n, k[i], width, rest)
	}
	for i := range g.family {
		g.family[i].reset(i)
	}
	g.at, g.last = [passes + 2]uint64{g.all}, g.last[:0]
	g.schedule()
}

// ask puts the own parities of all open questions into p.
func (g *group) ask(p *packer) {
	for i := range g.track {
		g.track[i].ask(p)
	}
	for i := range g.family {
		g.family[i].ask(g, p)
	}
}

// follow takes the answers, where the two ends' parities differ.
func (g *group) follow(in *unpacker) {
	for i := range g.track {
		t := &g.track[i]
		t.follow(in)
		g.settle(t, g.plan.order[i])
	}
	for i := range g.family {
		g.family[i].follow(g, in)
	}
}

// schedule gives strands without a search under way their next: in the first pass
// that has odd blocks, since these are the shortest. A strand whose blocks are all
// even enters the next pass, the last one with all others of the group. It reports
// whether anything is left to do.
//
// Searches of a strand thus never run in two passes at a time, where they could
// pay twice for the same error.
func (g *group) schedule() (more bool) {
	free := g.all
	for i := range g.track {
		free &^= g.track[i].busy()
	}
	for i := range g.family {
		free &^= g.family[i].busy()
	}
	for i := range g.track {
		free &^= g.track[i].search(free)
	}
	for i := range g.family {
		free &^= g.family[i].search(g.plan, free)
	}
	if free&g.at[passes] != g.at[passes] || g.at[passes]|g.at[passes+1] != g.all {
		free &^= g.at[passes]
	}
	for i := passes; i >= 0; i-- {
		if strands := free & g.at[i]; strands != 0 {
			g.enter(i, strands)
			g.at[i] &^= strands
			g.at[i+1] |= strands
			free &^= strands
		}
	}
	return free != g.all
}

func (g *group) enter(pass int, strands uint64) {
	if pass == passes {
		g.last = zeroed(g.last, g.plan.n)
		g.sum()
		for i := range g.family {
			g.family[i].entering = strands
		}
		return
	}
	t := &g.track[pass]
	if !t.begun() {
		t.begin(g.words, g.plan.order[pass], uint32(g.width()))
	}
	t.entering = strands
}

// sum begins the families: the words as they are now, summed by cells.
func (g *group) sum() {
	m := cells(g.plan.n)
	for i := range g.family {
		f := &g.family[i]
		f.own, f.found = zeroed(f.own, m), zeroed(f.found, m)
	}
	near, far := g.family[0].own, g.family[1].own
	step := 0
	for i, at := range g.plan.order[passes] {
		w := g.words[at]
		near[i/cell] ^= w
		far[step] ^= w
		if step++; step == m {
			step = 0
		}
	}
}

// settle notes the errors that a track's searches have ended at. One short loop for
// each memory that is written, so that many far accesses are under way at a time.
func (g *group) settle(t *track, order []uint16) {
	for i, s := range t.leaves {
		if s.young() {
			t.note(s)
		}
		if order != nil {
			t.leaves[i] = s&^0xffff | search(order[s.lo()])
		}
	}
	if g.bob {
		for _, s := range t.leaves {
			g.words[s.lo()] ^= 1 << s.strand()
		}
	}
	for _, s := range t.leaves {
		g.track[0].mark(s.strand(), s.lo())
	}
	for i := 1; i < passes && g.track[i].begun(); i++ {
		other, place := &g.track[i], g.plan.place[i]
		for _, s := range t.leaves {
			other.mark(s.strand(), uint32(place[s.lo()]))
		}
	}
	if len(g.last) != 0 {
		for _, s := range t.leaves {
			g.settleLast(s.strand(), s.lo())
		}
	}
}

// settleLast notes an error in the families.
func (g *group) settleLast(strand, x uint32) {
	g.last[x] ^= 1 << strand
	place := int(g.plan.place[passes][x])
	for i := range g.family {
		g.family[i].mark(g.plan, strand, g.plan.cellOf(i, place))
	}
}

// correct notes an error at a position in every pass that has begun.
func (g *group) correct(strand, x uint32) {
	g.track[0].leaves = append(g.track[0].leaves[:0], newSearch(strand, x, x+1, false))
	g.settle(&g.track[0], nil)
}

// late is whether an error was found at a position since the families began.
func (g *group) late(x, strand uint32) uint64 { return g.last[x] >> strand & 1 }

// first is a bit as it was when the families began.
func (g *group) first(x, strand uint32) uint64 {
	b := g.words[x] >> strand & 1
	if g.bob {
		b ^= g.late(x, strand)
	}
	return b
}

// width is the number of strands.
func (g *group) width() int { return bits.OnesCount64(g.all) }
