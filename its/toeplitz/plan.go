package toeplitz

import "sync"

// row is four elements, one in each lane of 16 bytes. Element r + lane·rows of a
// transform lies in row r.
type row [8]uint64

// constants are what one pass needs besides the factors of its blocks: what the
// lanes add to them, for the upper and the lower of its layers, and v_1, by which
// the factors of neighbouring blocks of the lower layer differ. The assembly
// knows the layout.
type constants struct {
	laneA, laneB [4]row
	v1           row
}

// laneConstants are those of the two layers within rows: twice two steps, each
// of which adds to a row its words in another order, times a factor.
type laneConstants struct {
	index  [2]row
	factor [4]row
}

// step is a pass over the data: one or two layers of butterflies, from depth on.
type step struct {
	depth, layers int
	kind          int           // words of the pattern in use: 1, 2, 4
	constants     [2]*constants // plain, and with the halves of butterflies swapped
}

// plan is the transform of 2^log points.
type plan struct {
	log   int
	steps []step
	lanes [2][2]*laneConstants // up, swapped
	twids []pattern            // of block b at any depth: the point 2b
}

const (
	minLog = 3
	one    = 0x01010101 // the pattern of 1, in GF(2^8)
)

var plans [maxLog + 1]struct {
	sync.Once
	*plan
}

func planFor(log int) *plan {
	p := &plans[log]
	p.Do(func() { p.plan = makePlan(log) })
	return p.plan
}

func makePlan(log int) *plan {
	t := theTower()
	p := &plan{log: log, twids: make([]pattern, 1<<(log-minLog))}
	for i := range log - minLog {
		for b := range 1 << i {
			p.twids[1<<i|b] = p.twids[b].xor(t.cantor[i+1])
		}
	}
	for depth := 2; depth < log; {
		s := step{depth: depth, layers: 2, kind: kindAt(depth + 1)}
		if (log-depth)%2 == 1 {
			s.layers, s.kind = 1, kindAt(depth)
		}
		for swap := range s.constants {
			s.constants[swap] = makeConstants(t, depth, s.layers, swap == 1)
		}
		p.steps = append(p.steps, s)
		depth += s.layers
	}
	for up := range p.lanes {
		for swap := range p.lanes[up] {
			p.lanes[up][swap] = makeLanes(t, up == 1, swap)
		}
	}
	return p
}

// kindAt says in which field the factors at a depth lie: v_1 to v_depth.
func kindAt(depth int) int {
	switch {
	case depth < 8:
		return 1
	case depth < 16:
		return 2
	}
	return 4
}

func makeConstants(t *tower, depth, layers int, swap bool) *constants {
	c := new(constants)
	fill(&c.v1, 0, t.cantor[1][0])
	fill(&c.v1, 1, t.cantor[1][0])
	fill(&c.v1, 2, t.cantor[1][0])
	fill(&c.v1, 3, t.cantor[1][0])
	for lane := range 4 {
		laneFactor(&c.laneA, t, depth, lane)
		if layers == 2 {
			laneFactor(&c.laneB, t, depth+1, lane)
		}
	}
	if swap {
		c.laneB[0].add(&c.v1)
	}
	return c
}

// laneFactor sets what a lane, the highest two bits of a block's number, adds.
func laneFactor(rows *[4]row, t *tower, depth, lane int) {
	var p pattern
	for i := range 2 {
		if lane>>i&1 == 1 {
			p = p.xor(t.cantor[depth-1+i])
		}
	}
	for r := range rows {
		fill(&rows[r], lane, p[r])
	}
}

func fill(r *row, lane int, word uint32) {
	w := uint64(word)<<32 | uint64(word)
	r[2*lane], r[2*lane+1] = w, w
}

// makeLanes writes depths 0 and 1: at depth 0 the factor is 0, at depth 1 it is 0
// in the first block and v_1 in the second.
func makeLanes(t *tower, up bool, swap int) *laneConstants {
	c := new(laneConstants)
	first, second := 0, 1 // the depths' places
	if up {
		first, second = 1, 0
	}
	for i := range 8 {
		c.index[first][i] = uint64(i ^ 4)
		c.index[second][i] = uint64(i ^ 2)
	}
	mul, add := 0, 1 // the order of a butterfly's steps
	if up {
		mul, add = 1, 0
		swap ^= 1 // the transposed butterfly adds to the upper half
	}
	for lane := range 4 {
		if lane^2*swap >= 2 {
			fill(&c.factor[2*first+add], lane, one)
		}
		if (lane^swap)&1 == 1 {
			fill(&c.factor[2*second+add], lane, one)
		} else if lane >= 2 {
			fill(&c.factor[2*second+mul], lane, t.cantor[1][0])
		}
	}
	return c
}
