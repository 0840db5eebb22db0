package cascade

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// The measures of a strand and of what is drawn over it.
const (
	minStrand = 1 << 10 // of Config.Frame; a short call has shorter ones
	maxStrand = 1 << 16 // positions are 16 bits
	minBlock  = 4
	passes    = 2  // searches in blocks, each pass in its own order
	cell      = 16 // positions in a cell of a family of subsets
	families  = 2
	subsets   = 12 // of a family
)

// plan is what both ends know beforehand about strands of n bits: orders of
// their positions and random sets of them. All of it is public.
type plan struct {
	n     int
	order [passes + 1][]uint16 // the position at a place of the order; nil: the same
	place [passes + 1][]uint16 // the place of a position
	label [families][]uint32   // of each cell: bit s says that it is in subset s
}

// newPlan draws a plan. The draws are the same wherever and whenever it is done:
// they stand in for a book of random numbers that both ends have.
func newPlan(n int) *plan {
	seed := [32]byte([]byte("qsc cascade: orders and subsets1"))
	src := rand.NewChaCha8(seed)
	p := &plan{n: n}
	for i := 1; i <= passes; i++ {
		p.order[i], p.place[i] = shuffle(src, n)
	}
	for f := range p.label {
		p.label[f] = make([]uint32, cells(n))
		for i := range p.label[f] {
			p.label[f][i] = uint32(src.Uint64()) & (1<<subsets - 1)
		}
	}
	return p
}

func shuffle(src *rand.ChaCha8, n int) (order, place []uint16) {
	order, place = make([]uint16, n), make([]uint16, n)
	for i := range order {
		j, _ := bits.Mul64(src.Uint64(), uint64(i+1))
		order[i] = order[j]
		order[j] = uint16(i)
	}
	for i, x := range order {
		place[x] = uint16(i)
	}
	return order, place
}

// cells is how many cells a family has over n positions.
func cells(n int) int { return (n + cell - 1) / cell }

// position is the bit at place v of a family, cell by cell, or n and more where
// the place is empty. The first family's cells are neighbours in the last order,
// the second's lie as far apart as can be, so that no two bits share both.
func (p *plan) position(family, v int) int {
	at := v
	if family == 1 {
		at = v/cell + v%cell*cells(p.n)
	}
	if at >= p.n {
		return p.n
	}
	return int(p.order[passes][at])
}

// cellOf is the cell of a family that holds the bit at a place of the last order.
func (p *plan) cellOf(family int, place int) int {
	if family == 1 {
		return place % cells(p.n)
	}
	return place / cell
}

// firstBlock is the length of the first pass's blocks, 0 where qber leaves no hope.
// It is a power of two, since other ranges do not halve evenly, which costs more
// than being off the best length.
func firstBlock(qber float64) uint32 {
	if !(qber <= maxQBER) {
		return 0
	}
	return 1 << int(math.Round(math.Log2(max(firstErrors/max(qber, leastQBER), minBlock))))
}

const (
	firstErrors = 0.85  // in a block of the first pass; 0.6 to 1.2 once the length is rounded
	leastQBER   = 0.002 // an estimate below it is taken for it, since it may be wrong
)

// lengths are those of each pass's blocks over strands of n bits.
func lengths(first, n int) (k [passes]int) {
	k[0] = min(first, max(n/8, 1))
	k[1] = min(4*k[0], max(n/4, 1))
	return k
}
