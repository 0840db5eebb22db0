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
	all    uint64 // mask of strands
	track  [passes]track
	family [families]family
	at     [passes + 2]uint64 // strands that wait for a pass; the families are one, then the end
	last   []uint64           // errors found since the families began, by position
}

// start begins with a group's words. The first questions are open after it.
func (g *group) start(p *plan, words []uint64, width int, k [passes]int, bob bool) {
	g.plan, g.words, g.bob, g.all = p, words, bob, ^uint64(0)>>(64-width)
	for i := range g.track {
		g.track[i].layOut(p.n, k[i], width)
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
		t, order := &g.track[i], g.plan.order[i]
		t.follow(in)
		for _, s := range t.leaves {
			if s.young() {
				t.note(s)
			}
			x := s.lo()
			if order != nil {
				x = uint32(order[x])
			}
			g.correct(s.strand(), x)
		}
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
		for i := range g.family {
			g.family[i].begin(g.plan, g.words)
			g.family[i].entering = strands
		}
		return
	}
	t := &g.track[pass]
	if t.entered == 0 {
		t.begin(g.words, g.plan.order[pass], uint32(g.width()))
	}
	t.entering = strands
}

// correct notes an error at a position in every pass that has begun.
func (g *group) correct(strand, x uint32) {
	if g.bob {
		g.words[x] ^= 1 << strand
	}
	g.track[0].mark(strand, x)
	for i := 1; i < passes && g.track[i].entered|g.track[i].entering != 0; i++ {
		g.track[i].mark(strand, uint32(g.plan.place[i][x]))
	}
	if len(g.last) == 0 {
		return
	}
	g.last[x] ^= 1 << strand
	place := int(g.plan.place[passes][x])
	for i := range g.family {
		g.family[i].mark(g.plan, strand, g.plan.cellOf(i, place))
	}
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
