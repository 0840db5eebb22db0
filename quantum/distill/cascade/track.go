package cascade

import (
	"math/bits"
	"slices"
)

// search is a range of a pass's order in which a strand has an odd number of
// errors. Until it is of one bit, each round trip halves it. Packed, from the
// lowest bit: first place 16, places 16, strand 8, then whether the left half's
// parity is asked, whether that half is odd, as far as it is known, and whether the
// search is young: begun when nothing was found yet, so that nothing is to be looked
// up, and kept in short.
type search uint64

const (
	searchWant  = 40
	searchLeft  = 41
	searchYoung = 42
)

func newSearch(strand, lo, hi uint32, young bool) search {
	s := search(lo) | search(hi-lo)<<16 | search(strand)<<32
	if young {
		s |= 1 << searchYoung
	}
	return s
}

func (s search) young() bool { return s>>searchYoung&1 == 1 }

func (s search) lo() uint32     { return uint32(s & 0xffff) }
func (s search) n() uint32      { return uint32(s >> 16 & 0xffff) }
func (s search) strand() uint32 { return uint32(s >> 32 & 63) }

// middle is the first place of the right half.
func (s search) middle() uint32 { return s.lo() + (s.n()+1)/2 }

// state is of 64 places of a strand, a bit each, and the same at both ends. Known
// and differ are of the parity left of a place, back to the beginning of the only
// range that is ever halved there.
type state struct {
	known  uint64 // the other end's was told
	differ uint64 // the two ends' differed when the pass began
	found  uint64 // errors found at the places since
}

// track is one pass over a group of strands, in the pass's own order. What is kept
// of a strand lies together: a search touches two or three lines of the cache.
type track struct {
	n, k   uint32 // places; length of blocks, the last may be longer, up to 2k-1
	blocks uint32
	recip  uint64   // 2³²/k, rounded up
	own    []uint64 // parity of own bits before a place, as they were when the pass began
	state  []state  // of the same places, strand by strand
	width  uint32   // words of own and states of a strand
	first  []uint16 // by strand and block: 1 + where in it a young search ended, 0: none
	odd    []uint64 // blocks with an odd number of errors, strand by strand, a bit each
	row    uint32   // words of odd of a strand

	entered  uint64 // strands whose blocks' parities were told
	entering uint64 // being told in this round trip
	fresh    bool   // nothing was found since the pass began
	open     []search
	leaves   []search // searches that have ended, at places with an error
}

// memory is how many states layOut takes.
func memory(n, strands int) int {
	size := (n/64 + 1) * strands
	return size + (size+2)/3
}

// layOut makes the track ready for strands of n bits in blocks of k. It takes
// memory from the front of s, and returns the rest.
func (t *track) layOut(n, k, strands int, s []state) []state {
	*t = track{
		n: uint32(n), k: uint32(k), blocks: uint32(max(n/k, 1)), recip: (1<<32 + uint64(k) - 1) / uint64(k),
		width: uint32(n/64 + 1), fresh: true,
		first: t.first, odd: t.odd, open: t.open[:0], leaves: t.leaves[:0],
	}
	t.row = (t.blocks + 63) / 64
	t.odd = zeroed(t.odd, int(t.row)*strands)
	t.first = zeroed(t.first, int(t.blocks)*strands)
	size := int(t.width) * strands
	end := memory(n, strands)
	t.state, t.own = s[:size:size], asWords(s[size:end])[:size]
	return s[end:]
}

// begin turns the words as they are now into parities along an order, strand by
// strand; nil is their own order.
func (t *track) begin(words []uint64, order []uint16, strands uint32) {
	clear(t.state)
	var m [64]uint64
	var before [64]uint64 // all ones where the parity is odd
	for w := range t.width {
		gather(&m, words, order, int(w)*64)
		transpose(&m)
		for s := range strands {
			x := m[s&63]
			x ^= x << 1
			x ^= x << 2
			x ^= x << 4
			x ^= x << 8
			x ^= x << 16
			x ^= x << 32
			t.own[s*t.width+w] = x<<1 ^ before[s&63]
			before[s&63] ^= -(x >> 63)
		}
	}
}

func (t *track) block(place uint32) uint32 {
	return min(uint32(uint64(place)*t.recip>>32), t.blocks-1)
}

// span is the range of block j.
func (t *track) span(j uint32) (lo, hi uint32) {
	if lo = j * t.k; j == t.blocks-1 {
		return lo, t.n
	}
	return lo, lo + t.k
}

// of is a strand's part of the states.
func (t *track) of(strand uint32) []state { return t.state[strand*t.width:][:t.width] }

// mended is the parity of the errors found in a range of a strand.
func mended(s []state, lo, hi uint32) uint64 {
	a, b := lo>>6, hi>>6
	x := s[b].found&(1<<(hi&63)-1) ^ s[a].found&(1<<(lo&63)-1)
	x ^= s[a].found & -uint64(min(b-a, 1)) // no branch: short ranges may cross a border or not
	for a++; a < b; a++ {
		x ^= s[a].found
	}
	return uint64(bits.OnesCount64(x) & 1)
}

// parity is that of own bits in a range of a strand.
func (t *track) parity(strand, lo, hi uint32) uint64 {
	own := t.own[strand*t.width:][:t.width]
	return (own[hi>>6]>>(hi&63) ^ own[lo>>6]>>(lo&63)) & 1
}

// mark notes an error found at a place.
func (t *track) mark(strand, place uint32) {
	t.fresh = false
	t.state[strand*t.width+place>>6].found ^= 1 << (place & 63)
	j := t.block(place)
	t.odd[strand*t.row+j>>6] ^= t.entered >> strand & 1 << (j & 63)
}

// ask puts the own parities of this round trip's questions into p: of all blocks
// for the strands that enter, and of the left half of every open range, where it
// is not known.
func (t *track) ask(p *packer) {
	w := *p
	for m := t.entering; m != 0; m &= m - 1 {
		strand := uint32(bits.TrailingZeros64(m))
		for j := range t.blocks {
			lo, hi := t.span(j)
			w.bit(t.parity(strand, lo, hi), 1)
		}
	}
	for i, s := range t.open {
		strand, lo, mid := s.strand(), s.lo(), s.middle()
		want := uint64(1)
		if !s.young() {
			of := t.of(strand)
			at := &of[mid>>6]
			want = at.known>>(mid&63)&1 ^ 1
			left := at.differ>>(mid&63)&1 ^ mended(of, lo, mid)
			s = s&^(1<<searchLeft) | search(left)<<searchLeft
		}
		t.open[i] = s&^(1<<searchWant) | search(want)<<searchWant
		w.bit(t.parity(strand, lo, mid), want)
	}
	*p = w
}

// follow takes the answers: each open range becomes the half that is odd. Those of
// one bit are moved to leaves. The loop takes no decisions on the bits, which no
// processor could foresee.
func (t *track) follow(in *unpacker) {
	t.enter(in)
	open := t.open
	t.leaves = slices.Grow(t.leaves[:0], len(open)+1)[:len(open)+1]
	leaves, state, width := t.leaves, t.state, t.width
	kept, ended := 0, 0
	u := *in
	for _, s := range open {
		lo, n, mid := s.lo(), s.n(), s.middle()
		want := uint64(s >> searchWant & 1)
		d := u.bit(want)
		if !s.young() {
			at := &state[s.strand()*width+mid>>6]
			at.known |= want << (mid & 63)
			at.differ |= d << (mid & 63)
		}
		right := uint32(s>>searchLeft&1) ^ uint32(d) ^ 1
		half := mid - lo
		lo += half & -right
		n = half - (2*half-n)&-right
		one := int((n - 2) >> 31)
		s = s>>32<<32 | search(n<<16|lo)
		open[kept] = s
		leaves[ended] = s
		kept += 1 - one
		ended += one
	}
	t.open, t.leaves = open[:kept], leaves[:ended]
	*in = u
}

// enter takes the answers on whole blocks.
func (t *track) enter(in *unpacker) {
	for m := t.entering; m != 0; m &= m - 1 {
		strand := uint32(bits.TrailingZeros64(m))
		odd := t.odd[strand*t.row:][:t.row]
		for j := range t.blocks {
			d := in.bit(1)
			if !t.fresh {
				lo, hi := t.span(j)
				d ^= mended(t.of(strand), lo, hi)
			}
			odd[j>>6] |= d << (j & 63)
		}
	}
	t.entered |= t.entering
	t.entering = 0
}

// search opens the odd blocks of those strands of free that have one, and returns
// these strands.
func (t *track) search(free uint64) (busy uint64) {
	for m := free & t.entered; m != 0; m &= m - 1 {
		strand := uint32(bits.TrailingZeros64(m))
		for i, o := range t.odd[strand*t.row:][:t.row] {
			for ; o != 0; o &= o - 1 {
				j := uint32(i*64 + bits.TrailingZeros64(o))
				lo, hi := t.span(j)
				if !t.fresh {
					t.recall(strand, j)
				}
				t.open = append(t.open, newSearch(strand, lo, hi, t.fresh))
				busy |= 1 << strand
			}
		}
	}
	return busy
}

// note keeps where a young search ended.
func (t *track) note(s search) {
	j := t.block(s.lo())
	lo, _ := t.span(j)
	t.first[s.strand()*t.blocks+j] = uint16(s.lo() - lo + 1)
}

// recall writes out what a young search of a block was told: a half was odd if and
// only if it holds the place where the search ended.
func (t *track) recall(strand, j uint32) {
	first := &t.first[strand*t.blocks+j]
	if *first == 0 {
		return
	}
	lo, hi := t.span(j)
	end := lo + uint32(*first) - 1
	*first = 0
	for of := t.of(strand); hi-lo > 1; {
		mid := lo + (hi-lo+1)/2
		at := &of[mid>>6]
		at.known |= 1 << (mid & 63)
		if end < mid {
			at.differ |= 1 << (mid & 63)
			hi = mid
		} else {
			lo = mid
		}
	}
}

// begun says whether a strand has come to the pass.
func (t *track) begun() bool { return t.entered|t.entering != 0 }

// busy are the strands with a search or an entry under way.
func (t *track) busy() uint64 {
	b := t.entering
	for _, s := range t.open {
		b |= 1 << s.strand()
	}
	return b
}

// zeroed returns n zero values, in s where it is large enough.
func zeroed[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}
