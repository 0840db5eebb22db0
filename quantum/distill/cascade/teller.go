package cascade

import (
	"encoding/binary"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// teller is a pass of which nothing is known but the bits as they were when it
// began. That is all that Alice needs, who answers for ranges of her bits; and Bob,
// as long as the pass has corrected nothing.
type teller struct {
	course
	before []uint64 // parity of all bits before a place, of 64 strands
	done   []search // searches that have ended, at places with an error
}

// begin takes the parities along the pass's order, and tells those of blocks.
func (t *teller) begin(g *group) {
	order := g.plan.order[g.stage]
	before := t.before
	sum := uint64(0)
	before[0] = 0
	if order == nil {
		for i, w := range g.words[:len(before)-1] {
			sum ^= w
			before[i+1] = sum
		}
	} else {
		words := g.words
		for i, x := range order[:len(before)-1] {
			sum ^= words[x]
			before[i+1] = sum
		}
	}
	for j := range t.blocks {
		lo, n := t.span(j)
		t.own.put(before[lo]^before[lo+n], g.width())
	}
}

// ask puts the parities of left halves of the searches from one on.
func (t *teller) ask(from int) {
	for _, s := range t.open[from:] {
		lo := s.lo()
		t.own.put((t.before[lo+s.left()]^t.before[lo])>>s.strand()&1, 1)
	}
}

// follow takes Bob's answers: each open search goes on in the half that is odd, and
// the parity of the next left half is put.
func (t *teller) follow(in *reader) {
	t.own.reset()
	t.done = slices.Grow(t.done[:0], len(t.open)+1)[:len(t.open)+1]
	own, open, done, before := &t.own, t.open, t.done, t.before
	acc, n := uint64(0), uint(0) // of own, which the compiler would keep in memory
	kept, ended := 0, 0
	for at := 0; at < len(open); at += 64 {
		part := open[at:min(at+64, len(open))]
		odd := in.take(uint(len(part)))
		for _, s := range part {
			s = s.half(odd & 1)
			odd >>= 1
			open[kept], done[ended] = s, s
			lo, going := s.lo(), s.going()
			x := before[lo+s.left()] ^ before[lo]
			acc |= x >> s.strand() & uint64(going) << (n & 63)
			if n += going; n == 64 {
				own.put(acc, 64)
				acc, n = 0, 0
			}
			kept += int(going)
			ended += int(1 - going)
		}
	}
	own.put(acc, n)
	t.open, t.done = open[:kept], done[:ended]
}

// begun opens the searches that Bob names.
func (t *teller) begun(records []byte, g *group) error {
	from := len(t.open)
	for ; len(records) > 0; records = records[searchLen:] {
		strand, lo, n := int(records[0]), int(binary.BigEndian.Uint16(records[1:])), int(binary.BigEndian.Uint16(records[3:]))
		if strand >= int(g.width()) || n < 2 || lo+n > t.n {
			return qsc.E("cascade.Reconcile", qsc.Corrupt, "", "a search in strand %d from %d over %d places, of %d strands of %d", strand, lo, n, g.width(), t.n)
		}
		t.open = append(t.open, newSearch(strand, lo, n))
	}
	t.ask(from)
	return nil
}
