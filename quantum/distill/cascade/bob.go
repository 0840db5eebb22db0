package cascade

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// seeker is Bob's part of a pass. Where parities were told, a strand is split in
// ranges, at first the blocks. The two ends' parities of a range between two splits
// are equal, but for those noted as odd: an error was found there by another pass.
type seeker struct {
	teller
	young  bool     // nothing is laid out yet, the searches are those of blocks
	first  []uint16 // by block and strand: 1 + where in it such a search has ended, 0: none
	recip  uint64   // 2³²/k, rounded up
	row    int      // words of a strand
	bits   []uint64 // own bits as they are now, strand by strand
	splits []uint64 // of the same places: a range begins here
	odds   []uint64 // it has an odd number of errors, and is not being searched
	odd    []search // ranges to search, by strand and first place, as far as they still are odd
	busy   uint64   // strands with an open search
}

// begin puts the parities of blocks.
func (t *seeker) begin(g *group) {
	t.young, t.recip = true, (1<<32+uint64(t.k)-1)/uint64(t.k)
	t.first = zeroed(t.first, t.blocks*64)
	t.teller.begin(g)
}

// age lays out own bits along the pass's order, when the searches of its blocks
// are over.
func (t *seeker) age(g *group, order []uint16) {
	t.young = false
	var m [64]uint64
	for w := range t.row - 2 {
		gather(&m, g.words, order, w*64)
		transpose(&m)
		for s := range g.width() {
			t.bits[int(s)*t.row+w] = m[s&63]
		}
	}
	first := t.splits[:t.row]
	for w := range first {
		first[w] = t.borders(w * 64)
	}
	for s := range int(g.width()) {
		clear(t.bits[(s+1)*t.row-2:][:2])
		copy(t.splits[s*t.row:][:t.row], first)
	}
}

func (t *seeker) block(place uint) int {
	return min(int(uint64(place)*t.recip>>32), t.blocks-1)
}

// note keeps where a young search has ended.
func (t *seeker) note(s search) {
	j := t.block(s.lo())
	t.first[j*64+int(s.strand())] = uint16(int(s.lo()) - j*t.k + 1)
}

// ended corrects the bits at which the pass's own searches have ended.
func (t *seeker) ended(done []search) {
	for _, s := range done {
		if t.young {
			t.note(s)
		} else {
			t.bits[int(s.strand())*t.row+int(s.lo()>>6)] ^= 1 << (s.lo() & 63)
		}
	}
}

// recall splits a block where the young search in it did, if there was one.
func (t *seeker) recall(strand, place uint) {
	j := t.block(place)
	first := &t.first[j*64+int(strand)]
	if *first == 0 {
		return
	}
	lo, n := t.span(j)
	end := uint(lo) + uint(*first) - 1
	*first = 0
	of := t.split(strand)
	for s := newSearch(0, lo, n); s.n() > 1; {
		mid := s.lo() + s.left()
		of[mid>>6] |= 1 << (mid & 63)
		s = s.half(uint64(end-mid) >> 63)
	}
}

// borders are the beginnings of blocks among 64 places, and the end of all.
func (t *seeker) borders(at int) (x uint64) {
	for j := (at + t.k - 1) / t.k; j < t.blocks && j*t.k < at+64; j++ {
		x |= 1 << (j*t.k - at)
	}
	if t.n>>6 == at>>6 {
		x |= 1 << (t.n & 63)
	}
	return x
}

// of is a strand's own bits.
func (t *seeker) of(strand uint) []uint64 { return t.bits[int(strand)*t.row:][:t.row] }

// split are a strand's splits.
func (t *seeker) split(strand uint) []uint64 { return t.splits[int(strand)*t.row:][:t.row] }

// parity is that of n places from one on.
func parity(of []uint64, lo, n uint) uint64 {
	var x uint64
	for ; n > 64; n -= 64 {
		x ^= window(of, lo)
		lo += 64
	}
	x ^= window(of, lo) & (1<<n - 1)
	return uint64(bits.OnesCount64(x) & 1)
}

// window is 64 bits from a place on.
func window(of []uint64, lo uint) uint64 {
	w, s := lo>>6, lo&63
	return of[w]>>s | of[w+1]<<1<<(63-s)
}

// ask puts the parities of the left halves of the searches from one on.
func (t *seeker) ask(from int) {
	for _, s := range t.open[from:] {
		of, lo, n := t.of(s.strand()), s.lo(), s.left()
		mid := lo + n
		t.split(s.strand())[mid>>6] |= 1 << (mid & 63)
		t.own.put(parity(of, lo, n), 1)
	}
}

// follow takes where parities differ: each open search goes on in the half that is
// odd, and the parity of the next left half is put. Those of one bit are done.
func (t *seeker) follow(in *reader) {
	if t.young {
		t.teller.follow(in)
		return
	}
	t.own.reset()
	t.busy = 0
	if len(t.open) == 0 {
		t.done = t.done[:0]
		return
	}
	t.done = slices.Grow(t.done[:0], len(t.open)+1)[:len(t.open)+1]
	own, open, done := &t.own, t.open, t.done
	acc, fill := uint64(0), uint(0)
	words, splits, row := t.bits, t.splits, uint(t.row)
	kept, ended, busy := 0, 0, uint64(0)
	for at := 0; at < len(open); at += 64 {
		part := open[at:min(at+64, len(open))]
		odd := in.take(uint(len(part)))
		for _, s := range part {
			s = s.half(odd & 1)
			odd >>= 1
			open[kept], done[ended] = s, s
			going, strand, lo, n := s.going(), s.strand(), s.lo(), s.left()
			base, mid := strand*row, lo+n
			splits[base+mid>>6] |= uint64(going) << (mid & 63)
			x := words[base+lo>>6]>>(lo&63) | words[base+lo>>6+1]<<1<<(^lo&63)
			if n > 63 {
				x = parity(words[base:], lo, n)
				n = 1
			}
			x = uint64(bits.OnesCount64(x&(1<<(n&63)-1))) & uint64(going)
			acc |= x << (fill & 63)
			if fill += going; fill == 64 {
				own.put(acc, 64)
				acc, fill = 0, 0
			}
			busy |= uint64(going) << strand
			kept += int(going)
			ended += int(1 - going)
		}
	}
	own.put(acc, fill)
	t.open, t.done, t.busy = open[:kept], done[:ended], busy
}

// flip corrects a bit of which another pass has found that it is wrong: the range
// that holds it becomes odd, or even again.
func (t *seeker) flip(strand, place uint) {
	t.recall(strand, place)
	base, w := strand*uint(t.row), place>>6
	t.bits[base+w] ^= 1 << (place & 63)
	split := t.splits[base+w] & (2<<(place&63) - 1)
	for split == 0 {
		w--
		split = t.splits[base+w]
	}
	b := uint(63 - bits.LeadingZeros64(split))
	t.odds[base+w] ^= 1 << b
	t.odd = append(t.odd, newSearch(int(strand), int(w<<6|b), 0))
}

// search opens the odd ranges of the strands that are free, as many as there is
// room for, and names them to Alice.
func (t *seeker) search(free uint64, room int, records []byte) ([]byte, error) {
	from, left := len(t.open), t.odd[:0]
	for _, s := range t.odd {
		strand, lo := s.strand(), s.lo()
		if free>>strand&1 == 0 || room == 0 {
			left = append(left, s)
			continue
		}
		odd := &t.odds[strand*uint(t.row)+lo>>6]
		if *odd>>(lo&63)&1 == 0 {
			continue
		}
		*odd &^= 1 << (lo & 63)
		n := end(t.split(strand), lo) - lo
		if n < 2 {
			return nil, qsc.E("cascade.Reconcile", qsc.Corrupt, "", "the other end's parities contradict each other")
		}
		t.open = append(t.open, newSearch(int(strand), int(lo), int(n)))
		t.busy |= 1 << strand
		room--
		records = append(records, byte(strand))
		records = binary.BigEndian.AppendUint16(records, uint16(lo))
		records = binary.BigEndian.AppendUint16(records, uint16(n))
	}
	t.odd = left
	t.ask(from)
	return records, nil
}

// end is where the range that begins at a place ends.
func end(of []uint64, lo uint) uint {
	w := lo >> 6
	x := of[w] &^ (2<<(lo&63) - 1)
	for x == 0 {
		w++
		x = of[w]
	}
	return w<<6 | uint(bits.TrailingZeros64(x))
}
