package cascade

import (
	"math/bits"

	"github.com/quantum-secure-cloud/qsc"
)

// family is a part of the last pass: parities of random subsets of a strand, each
// a union of small cells. What passes with blocks leave lies in few cells, and half
// of the subsets part it. The sums of cells make a search in half of a strand
// cheap.
type family struct {
	id   int
	sums []uint64        // own bits as they are now, summed by cells
	odd  [subsets]uint64 // strands with an odd number of errors in a subset; Bob's
	open []hunt
	own  packer
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

func (f *family) reset(id int) {
	*f = family{id: id, sums: f.sums[:0], open: f.open[:0], own: f.own}
	f.own.reset()
}

// enter puts the parities of all subsets.
func (f *family) enter(g *group) {
	for s := range f.odd {
		f.own.put(f.sum(g.plan, uint8(s), 0, uint32(len(f.sums)))&g.all, g.width())
	}
}

// sum is the parities of a subset over the whole cells [lo, hi).
func (f *family) sum(p *plan, set uint8, lo, hi uint32) (x uint64) {
	label := p.label[f.id][lo:hi]
	for i, w := range f.sums[lo:hi] {
		x ^= w & -uint64(label[i]>>set&1)
	}
	return x
}

// left is the parity of a hunt's left half: of sums for whole cells, of single
// bits inside a cell.
func (f *family) left(g *group, h hunt) (b uint64) {
	mid := h.middle()
	if h.hi-h.lo > cell {
		return f.sum(g.plan, h.set, h.lo/cell, mid/cell) >> h.strand & 1
	}
	for v := h.lo; v < mid; v++ {
		if at := g.plan.position(f.id, int(v)); at < g.plan.n {
			b ^= g.words[at] >> h.strand & 1
		}
	}
	return b
}

// begin opens a hunt and puts its first question.
func (f *family) begin(g *group, set, strand uint8) {
	h := hunt{set, strand, 0, uint32(len(f.sums) * cell)}
	f.open = append(f.open, h)
	f.own.put(f.left(g, h), 1)
}

// follow takes the answers, puts the next questions, and appends the positions
// of errors found to ended.
func (f *family) follow(g *group, in *reader, ended []search) []search {
	open := f.open
	f.open = f.open[:0]
	f.own.reset()
	for _, h := range open {
		if mid := h.middle(); in.take(1) == 1 {
			h.hi = mid
		} else {
			h.lo = mid
		}
		if h.hi-h.lo > 1 {
			f.open = append(f.open, h)
			f.own.put(f.left(g, h), 1)
		} else if x := g.plan.position(f.id, int(h.lo)); x < g.plan.n {
			ended = append(ended, newSearch(int(h.strand), x, 1))
		}
	}
	return ended
}

// mark notes an error found in a cell.
func (f *family) mark(p *plan, strand uint, c int) {
	f.sums[c] ^= 1 << strand
	for l := p.label[f.id][c]; l != 0; l &= l - 1 {
		f.odd[bits.TrailingZeros32(l)] ^= 1 << strand
	}
}

// search begins, for each strand of free, a hunt in the first subset that is odd.
func (f *family) search(g *group, free uint64, t *turn) (busy uint64) {
	for s, o := range f.odd {
		for o &= free &^ busy; o != 0; o &= o - 1 {
			strand := bits.TrailingZeros64(o)
			busy |= 1 << strand
			f.begin(g, uint8(s), uint8(strand))
			t.hunts = append(t.hunts, byte(f.id*subsets+s), byte(strand))
		}
	}
	return busy
}

// hunt begins the hunts that Bob names.
func (g *group) hunt(records []byte) error {
	for ; len(records) > 0; records = records[huntLen:] {
		set, strand := records[0], records[1]
		if set >= families*subsets || uint(strand) >= g.width() {
			return qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a search in subset %d of strand %d", set, strand)
		}
		g.family[set/subsets].begin(g, set%subsets, strand)
	}
	return nil
}
