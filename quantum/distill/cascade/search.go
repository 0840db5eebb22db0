package cascade

import "math/bits"

// search is a range of a pass's order in which a strand has an odd number of
// errors. Until it is of one bit, each round trip halves it. Packed, from the
// lowest bit: first place 16, places 16, strand 8.
type search uint64

func newSearch(strand, lo, n int) search {
	return search(lo) | search(n)<<16 | search(strand)<<32
}

func (s search) lo() uint     { return uint(s & 0xffff) }
func (s search) n() uint      { return uint(s >> 16 & 0xffff) }
func (s search) strand() uint { return uint(s >> 32 & 63) }

// left is how many places the left half has.
func (s search) left() uint { return (s.n() + 1) / 2 }

// going is 1 until the search has ended.
func (s search) going() uint { return (1 - s.n()) >> 63 }

// half is the search in the left half where odd is 1, in the right one where it is
// 0. It takes no decision on the bit, which no processor could foresee.
func (s search) half(odd uint64) search {
	n, h := s.n(), s.left()
	right := uint(odd) - 1 // all ones or 0
	n = h - (2*h-n)&right
	return s&^(0xffff<<16) + search(h&right) | search(n)<<16
}

// course is one pass over a group's strands, in an order of its own, at either end.
type course struct {
	n, k, blocks int // places; length of blocks, the last may be longer, up to 2k-1
	open         []search
	own          packer // parities of own bits: those of all blocks, or of the left halves of open
}

func (c *course) lay(n, k int) {
	*c = course{n: n, k: k, blocks: max(n/k, 1), open: c.open[:0], own: c.own}
	c.own.reset()
}

// span is the first place of block j, and its length.
func (c *course) span(j int) (lo, n int) {
	if lo = j * c.k; j == c.blocks-1 {
		return lo, c.n - lo
	}
	return lo, c.k
}

// enter opens the searches in the blocks that are odd.
func (c *course) enter(in *reader, width uint) {
	for j := range c.blocks {
		lo, n := c.span(j)
		odd := in.take(width)
		for ; odd != 0; odd &= odd - 1 {
			c.open = append(c.open, newSearch(bits.TrailingZeros64(odd), lo, n))
		}
	}
}
