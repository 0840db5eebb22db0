package bb84

import (
	"math/bits"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

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

// take sifts a message of clicks, 64 at a time, and leaves the answers in s.kept.
func (s *sender) take(h *heard) error {
	s.kept.reset()
	var pulses [64]uint64
	for left := h.n; left > 0; left -= 64 {
		n := min(left, 64)
		if err := h.next(&pulses, n); err != nil {
			return err
		}
		s.batch(pulses[:n], h.basis.take(n))
	}
	s.clicked += int64(h.n)
	s.next = h.to
	return h.end()
}

// batch sifts up to 64 clicks that Bob measured in some bases.
func (s *sender) batch(pulses []uint64, bob uint64) {
	var basis, bit, low, high uint64
	for i, pulse := range pulses {
		w := s.src.word(pulse)
		k := s.src.intensity(w)
		basis |= s.src.isKey(w) << i
		bit |= bitOf(w) << i
		low |= k & 1 << i
		high |= k >> 1 << i
	}
	mask := ^(basis ^ bob) & ones(len(pulses))
	s.mask.put(mask, uint(len(pulses)))
	all := newSqueeze(mask)
	n := uint(bits.OnesCount64(mask))
	s.low.put(all.of(low), n)
	s.high.put(all.of(high), n)
	s.count(1, mask&basis, low, high)
	s.count(0, mask&^basis, low, high)
	key := newSqueeze(mask & basis)
	s.key.put(key.of(bit), uint(bits.OnesCount64(mask&basis)))
	for m := mask &^ basis; m != 0; m &= m - 1 {
		s.test.put(bit>>bits.TrailingZeros64(m)&1, 1)
	}
}

// count counts clicks of a basis by intensity.
func (b *block) count(basis int, at, low, high uint64) {
	c := &b.counts[basis]
	c[0] += int64(bits.OnesCount64(at &^ (low | high)))
	c[1] += int64(bits.OnesCount64(at & low))
	c[2] += int64(bits.OnesCount64(at & high))
}

// listener is Bob's side: he keeps what Alice says and counts errors.
type listener struct{ block }

// take sifts the answer to his clicks, 64 at a time.
func (l *listener) take(c *clicks, a *answer, decoys int) error {
	var t trial
	n := len(c.pulse)
	for i := 0; i < n; i += 64 {
		mask := a.mask.take(min(n-i, 64))
		basis, value := c.basis.at(i>>6), c.value.at(i>>6)
		kept := bits.OnesCount64(mask)
		low, high := a.low.take(kept), a.high.take(kept)
		if low&high != 0 || high != 0 && decoys == 1 {
			return corrupt("an intensity that the transmitter does not have")
		}
		all, key := newSqueeze(mask), newSqueeze(mask&basis)
		inKey := all.of(basis)
		l.count(1, inKey, low, high)
		l.count(0, ones(kept)&^inKey, low, high)
		l.key.put(key.of(value), uint(bits.OnesCount64(mask&basis)))
		t.add(all.of(value), low, high, ones(kept)&^inKey)
	}
	l.clicked += int64(n)
	l.next = c.to
	return t.compare(a.test, &l.wrong)
}

// trial are Bob's bits of the test basis, with their intensities, until Alice's are
// read, which stand at the end of her message.
type trial struct{ bit, low, high packer }

func (t *trial) add(bit, low, high, at uint64) {
	s, n := newSqueeze(at), uint(bits.OnesCount64(at))
	t.bit.put(s.of(bit), n)
	t.low.put(s.of(low), n)
	t.high.put(s.of(high), n)
}

// compare counts the errors by intensity.
func (t *trial) compare(msg []byte, wrong *[3]int64) error {
	n := t.bit.len()
	alice, rest, err := cut(msg, n)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return corrupt("%d bytes behind the last test bit", len(rest))
	}
	for i := 0; i < n; i += 64 {
		diff := t.bit.at(i>>6) ^ alice.take(min(n-i, 64))
		low, high := t.low.at(i>>6), t.high.at(i>>6)
		wrong[0] += int64(bits.OnesCount64(diff &^ (low | high)))
		wrong[1] += int64(bits.OnesCount64(diff & low))
		wrong[2] += int64(bits.OnesCount64(diff & high))
	}
	return nil
}
