package cascade

import (
	"math/bits"
	"slices"
)

// The stages of a group: none before it starts, one for each pass with blocks, then
// the families, then the end.
const (
	stageNone     = -1
	stageFamilies = passes
	stageEnd      = passes + 1
)

// group is up to 64 strands side by side: bit s of words[i] is bit i of strand s.
// An end uses tell or seek, as its role is.
type group struct {
	plan  *plan
	words []uint64 // own bits; Bob's are corrected as errors are found
	pad   []uint64 // memory for words where they are not the caller's
	all   uint64   // mask of strands

	stage    int
	entering bool // the parities of a stage's blocks or subsets are being told
	tell     [passes]teller
	seek     [passes]seeker
	family   [families]family
	sorted   []search
	memory   []uint64 // of all tellers or seekers
}

// start begins with a group's words. The first questions are open after it.
func (g *group) start(p *plan, k [passes]int, bob bool) {
	g.plan = p
	for i := range g.family {
		g.family[i].reset(i)
	}
	for i, k := range k {
		g.tell[i].lay(p.n, k)
		g.seek[i].lay(p.n, k)
	}
	if bob {
		g.layOutBob()
	} else {
		g.layOutAlice()
	}
	g.enter(0, bob)
}

// enter begins a stage with all strands.
func (g *group) enter(stage int, bob bool) {
	g.stage, g.entering = stage, stage < stageEnd
	switch {
	case stage >= stageEnd:
	case stage == stageFamilies:
		g.sum()
	case bob:
		g.seek[stage].begin(g)
	default:
		g.tell[stage].begin(g)
	}
}

// sum begins the families: the words as they are now, summed by cells.
func (g *group) sum() {
	m := cells(g.plan.n)
	for i := range g.family {
		g.family[i].sums = zeroed(g.family[i].sums, m)
	}
	near, far := g.family[0].sums, g.family[1].sums
	step := 0
	for i, at := range g.plan.order[passes] {
		w := g.words[at]
		near[i/cell] ^= w
		far[step] ^= w
		if step++; step == m {
			step = 0
		}
	}
	for i := range g.family {
		g.family[i].enter(g)
	}
}

// searching says whether a search is open.
func (g *group) searching() bool {
	n := 0
	for i := range g.tell {
		n += len(g.tell[i].open) + len(g.seek[i].open)
	}
	for i := range g.family {
		n += len(g.family[i].open)
	}
	return n > 0
}

// width is the number of strands.
func (g *group) width() uint { return uint(bits.OnesCount64(g.all)) }

// room makes n words of memory ready for tracks. They are 0.
func (g *group) room(n int) {
	if len(g.memory) < n {
		g.memory = allocate(n)
	}
}

// zeroed returns n zero values, in s where it is large enough.
func zeroed[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}
