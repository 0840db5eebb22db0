package cascade

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

const (
	shortest     = 16 // positions of a strand; missing bits are 0 at both ends
	plansKept    = 4
	fewQuestions = 2048 // of a group: below it, groups go on together
	inBundle     = 8    // groups at most: bounds a message to 2.9 MB
	inFlight     = 4    // bundles at a time: an end works at one while messages of others are under way
)

// shape says how n bits lie in groups of strands. The bits fill words of width
// strands each, one word for each position; a call of few bits has less than 64
// strands, because a strand that is too short loses more by Cascade.
func shape(n, frame int) (width, groups, length int) {
	width = 64
	for width > 1 && n < width*frame/2 {
		width /= 2
	}
	words := (n + width - 1) / width
	groups = (words + frame - 1) / frame
	return width, groups, max((words+groups-1)/groups, shortest)
}

// open lays bits out in groups. They start when their turn comes: what is laid out
// then is still in the processor's caches when it is used.
func (r *Reconciler) open(b distill.Bits, first int, role distill.Role) *call {
	width, count, length := shape(b.N, r.frame)
	c := &call{plan: r.draw(length), first: lengths(first, length), role: role, limit: int64(b.N) + slack, groups: r.take(count)}
	for i, g := range c.groups {
		g.lay(b, width, i*length, length)
	}
	return c
}

// lay finds the words of a group whose first position is at: the caller's own
// where they are there in full.
func (g *group) lay(b distill.Bits, width, at, length int) {
	g.stage, g.all = stageNone, ^uint64(0)>>(64-width)
	if width == 64 && at+length <= len(b.W) {
		g.words = b.W[at : at+length]
		return
	}
	g.pad = zeroed(g.pad, length)
	mask := ^uint64(0) >> (64 - width)
	for i := range g.pad {
		bit := (at + i) * width
		if bit >= b.N {
			break
		}
		g.pad[i] = b.W[bit/64] >> (bit % 64) & mask
	}
	g.words = g.pad
}

// collect brings home what is not the caller's own words.
func (c *call) collect(b distill.Bits) {
	for i, g := range c.groups {
		width, at := int(g.width()), i*c.plan.n
		if width == 64 && at+c.plan.n <= len(b.W) {
			continue
		}
		for j, x := range g.words {
			if bit := (at + j) * width; bit < b.N {
				mask := g.all << (bit % 64)
				b.W[bit/64] = b.W[bit/64]&^mask | x<<(bit%64)
			}
		}
	}
	if over := b.N % 64; over != 0 {
		b.W[len(b.W)-1] &= 1<<over - 1
	}
}

// bundles parts groups, up to so many together.
func bundles(groups []*group, together int) (all []*bundle) {
	for part := range slices.Chunk(groups, together) {
		all = append(all, &bundle{groups: slices.Clone(part)})
	}
	return all
}

// draw returns the plan for strands of n bits.
func (r *Reconciler) draw(n int) *plan {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.plans {
		if p.n == n {
			return p
		}
	}
	p := newPlan(n)
	if len(r.plans) == plansKept {
		r.plans = slices.Delete(r.plans, 0, 1)
	}
	r.plans = append(r.plans, p)
	return p
}

func (r *Reconciler) take(count int) []*group {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := max(len(r.free)-count, 0)
	out := slices.Clone(r.free[kept:])
	r.free = r.free[:kept]
	for len(out) < count {
		out = append(out, new(group))
	}
	return out
}

// close erases what tells of the bits and keeps the memory.
func (r *Reconciler) close(c *call) {
	for _, g := range c.groups {
		g.words = nil
		clear(g.pad[:cap(g.pad)])
		clear(g.memory)
		for i := range g.family {
			clear(g.family[i].sums)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, c.groups...)
}
