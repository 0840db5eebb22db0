package bb84

import "github.com/quantum-secure-cloud/qsc/quantum/distill"

// block is what one end has of the block that is filling.
type block struct {
	key     packer
	sifted  int         // bits of the key, once handed over
	counts  [2][3]int64 // kept clicks by basis, 1 the key basis, and intensity
	wrong   [3]int64    // errors in the test basis
	first   uint64      // pulse
	next    uint64      // pulse after the last that was sifted
	clicked int64
}

// bits hands the sifted key over: the block keeps its length only.
func (b *block) bits() distill.Bits {
	out := distill.Bits{W: b.key.full, N: b.key.len()}
	if b.key.n > 0 {
		out.W = append(out.W, b.key.word)
	}
	b.sifted, b.key = out.N, packer{}
	return out
}

// observed are the block's counts as a bound wants them.
func (b *block) observed(d Device) Counts {
	c := d.none()
	for k := range 3 {
		c.Key[k], c.Test[k] = float64(b.counts[1][k]), float64(b.counts[0][k])
		c.TestErr[k] = float64(b.wrong[k])
	}
	return c
}

// sender is Alice's side of sifting: she keeps the clicks whose bases agree.
type sender struct {
	src source
	kept
	block
}

// take sifts a message of clicks and leaves the answers in s.kept.
func (s *sender) take(h *heard) error {
	s.kept.reset()
	err := h.each(func(i int, pulse uint64) {
		w := s.src.word(pulse)
		basis := s.src.isKey(w)
		if h.basis.bit(i) != basis {
			s.mask.put(0, 1)
			return
		}
		k := s.src.intensity(w)
		s.mask.put(1, 1)
		s.level.put(k, 2)
		s.counts[basis][k]++
		if basis == 1 {
			s.key.put(bitOf(w), 1)
		} else {
			s.test.put(bitOf(w), 1)
		}
	})
	s.clicked += int64(h.n)
	s.next = h.to
	return err
}

// listener is Bob's side: he keeps what Alice says and counts errors.
type listener struct{ block }

// take sifts the answer to his clicks. The third intensity exists with two decoys
// only.
func (l *listener) take(c *clicks, a *answer, decoys int) error {
	kept, tested := 0, 0
	for i := range a.n {
		if a.mask.bit(i) == 0 {
			continue
		}
		k, basis := a.level.pair(kept), c.basis.bit(i)
		if k > uint64(decoys) {
			return corrupt("intensity %d with %d decoys", k, decoys)
		}
		kept++
		l.counts[basis][k]++
		if basis == 1 {
			l.key.put(c.value.bit(i), 1)
			continue
		}
		if tested>>3 >= len(a.test) {
			return corrupt("%d bytes of test bits", len(a.test))
		}
		l.wrong[k] += int64(c.value.bit(i) ^ a.test.bit(tested))
		tested++
	}
	if len(a.test) != packedLen(tested) || !a.test.clean(tested) {
		return corrupt("%d bytes of test bits for %d", len(a.test), tested)
	}
	l.clicked += int64(a.n)
	l.next = c.to
	return nil
}
