package cascade

import "math/bits"

// family is a part of the last pass: parities of random subsets of a strand, each
// a union of small cells. What passes with blocks leave lies in few cells, and half
// of the subsets part it. The sums of cells make a search in half of a strand
// cheap.
type family struct {
	id    int
	own   []uint64 // own bits, summed by cells, as they were when the pass began
	found []uint64 // errors found since, summed by cells
	odd   [subsets]uint64

	entered, entering uint64
	open              []hunt
}

// hunt is a search in a subset.
type hunt struct {
	set, strand uint8
	lo, hi      uint32 // places: cell by cell
}

// middle halves a range at a cell's border as long as it has more than one.
func (h hunt) middle() uint32 {
	if w := h.hi - h.lo; w > cell {
		return h.lo + (w/cell+1)/2*cell
	}
	return h.lo + (h.hi-h.lo+1)/2
}

// sum is the parities of a subset over the whole cells [lo, hi).
func (f *family) sum(p *plan, set uint8, sums []uint64, lo, hi uint32) (x uint64) {
	label := p.label[f.id][lo:hi]
	for i, w := range sums[lo:hi] {
		x ^= w & -uint64(label[i]>>set&1)
	}
	return x
}

// left is the parity of a hunt's left half: of sums for whole cells, of single
// bits inside a cell.
func (f *family) left(p *plan, h hunt, sums []uint64, bit func(x, strand uint32) uint64) (b uint64) {
	mid := h.middle()
	if h.hi-h.lo > cell {
		return f.sum(p, h.set, sums, h.lo/cell, mid/cell) >> h.strand & 1
	}
	for v := h.lo; v < mid; v++ {
		if at := p.position(f.id, int(v)); at < p.n {
			b ^= bit(uint32(at), uint32(h.strand))
		}
	}
	return b
}

func (f *family) ask(g *group, out *packer) {
	if f.entering != 0 {
		for s := range f.odd {
			out.put(f.sum(g.plan, uint8(s), f.own, 0, uint32(len(f.own))), f.entering)
		}
	}
	for _, h := range f.open {
		out.bit(f.left(g.plan, h, f.own, g.first), 1)
	}
}

// follow takes the answers, and returns the positions of errors found.
func (f *family) follow(g *group, in *unpacker) {
	if f.entering != 0 {
		for s := range f.odd {
			d := in.take(f.entering) ^ f.sum(g.plan, uint8(s), f.found, 0, uint32(len(f.found)))
			f.odd[s] |= d & f.entering
		}
		f.entered |= f.entering
		f.entering = 0
	}
	open := f.open
	f.open = f.open[:0]
	for _, h := range open {
		mid := h.middle()
		if in.bit(1)^f.left(g.plan, h, f.found, g.late) == 1 {
			h.hi = mid
		} else {
			h.lo = mid
		}
		if h.hi-h.lo > 1 {
			f.open = append(f.open, h)
		} else if x := g.plan.position(f.id, int(h.lo)); x < g.plan.n {
			g.correct(uint32(h.strand), uint32(x))
		}
	}
}

// mark notes an error found in a cell.
func (f *family) mark(p *plan, strand uint32, c int) {
	f.found[c] ^= 1 << strand
	for l := p.label[f.id][c]; l != 0; l &= l - 1 {
		f.odd[bits.TrailingZeros32(l)] ^= f.entered & (1 << strand)
	}
}

// search opens, for each strand of free, the first subset that is odd.
func (f *family) search(p *plan, free uint64) (busy uint64) {
	free &= f.entered
	for s, o := range f.odd {
		for o &= free &^ busy; o != 0; o &= o - 1 {
			strand := bits.TrailingZeros64(o)
			busy |= 1 << strand
			f.open = append(f.open, hunt{uint8(s), uint8(strand), 0, uint32(len(f.own) * cell)})
		}
	}
	return busy
}

func (f *family) busy() uint64 {
	b := f.entering
	for _, h := range f.open {
		b |= 1 << h.strand
	}
	return b
}

func (f *family) reset(id int) {
	*f = family{id: id, own: f.own[:0], found: f.found[:0], open: f.open[:0]}
}
