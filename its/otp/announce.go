package otp

import (
	"crypto/subtle"

	"github.com/quantum-secure-cloud/qsc"
)

// Announce writes the XOR of two stretches of key to dst: the concatenation of
// in, shared with one neighbour, and that of out, shared with another. Whoever
// knows one stretch learns the other from it; whoever knows neither learns
// nothing of either. The parts of in and of out may be cut at different places;
// each side is len(dst) bytes in all.
//
// It goes once over both. Neither stretch is ever copied, each is overwritten
// right after its use, and all pads are spent. Received pads must be marked with
// Ledger.Consume before.
//
// Errors: Invalid for wrong lengths, a pad of less than Align bytes or a dst
// that overlaps a pad; Conflict for a pad that is not fresh, is erased in part,
// or shares bytes with another. In all cases nothing was written or spent.
func Announce(dst []byte, in, out []*Pad) error {
	const op = "otp.Announce"
	if err := claim(op, dst, in, out); err != nil {
		return err
	}
	a, b := stretch{pads: in}, stretch{pads: out}
	for len(dst) > 0 {
		x, y := a.next(), b.next()
		c := min(tile, len(x), len(y))
		subtle.XORBytes(dst[:c], x[:c], y[:c])
		a.used(c)
		b.used(c)
		dst = dst[c:]
	}
	return nil
}

// Release writes the concatenation of pads to dst, as key: it becomes the
// caller's secret. Each stretch is overwritten right after it was copied, and all
// pads are spent. dst is exactly as long as they are together. Received pads must
// be marked with Ledger.Consume before. Errors as Announce.
func Release(dst []byte, pads []*Pad) error {
	const op = "otp.Release"
	if err := claim(op, dst, pads); err != nil {
		return err
	}
	a := stretch{pads: pads}
	for len(dst) > 0 {
		c := copy(dst, a.next()[:min(tile, len(a.next()))])
		a.used(c)
		dst = dst[c:]
	}
	return nil
}

// stretch is what is left of a sequence of busy pads.
type stretch struct {
	pads []*Pad
	done int // bytes used of the first
}

// next returns the unused bytes of the first pad.
func (s *stretch) next() []byte { return s.pads[0].life.key[s.done:] }

// used erases the next n bytes; a pad that is used up is spent.
func (s *stretch) used(n int) {
	l := s.pads[0].life
	clear(l.key[s.done : s.done+n])
	if s.done += n; s.done == len(l.key) {
		l.spend(s.done)
		s.pads, s.done = s.pads[1:], 0
	}
}

// claim makes every pad busy, or none and says why.
func claim(op string, dst []byte, sides ...[]*Pad) error {
	var all []*Pad
	for _, side := range sides {
		if err := checkSide(op, dst, side); err != nil {
			return err
		}
		all = append(all, side...)
	}
	for i, p := range all {
		if err := p.claim(op, all[:i]); err != nil {
			for _, q := range all[:i] {
				q.life.state.Store(fresh)
			}
			return err
		}
	}
	return nil
}

// claim makes one pad busy. Bytes that it shares with a pad before it would be
// read as zeros the second time, and what is added to them would leave in clear;
// likewise where there is a hole in it.
func (p *Pad) claim(op string, before []*Pad) error {
	for _, q := range before {
		if overlap(q.life.key, p.life.key) {
			return p.conflict(op)
		}
	}
	if err := p.takeLong(op, fresh, Align); err != nil {
		return err
	}
	for at := 0; at+Align <= len(p.life.key); at += page {
		if zero(p.life.key[at : at+Align]) {
			p.life.state.Store(fresh)
			return qsc.E(op, qsc.Conflict, "", "the pad at %d is erased in part: its bytes were used before and are never used again", p.pos)
		}
	}
	return nil
}

// page is the size of the smallest hole that a file may have.
const page = 4096

func checkSide(op string, dst []byte, side []*Pad) error {
	n := 0
	for _, p := range side {
		if p == nil || p.Len() < Align {
			return qsc.E(op, qsc.Invalid, "", "a pad of less than %d bytes: reserve longer ones from the key ledger", Align)
		}
		if overlap(dst, p.life.key) {
			return qsc.E(op, qsc.Invalid, "", "buffer and pad overlap: write into a buffer of its own")
		}
		n += p.Len()
	}
	if n != len(dst) {
		return qsc.E(op, qsc.Invalid, "", "pads of %d bytes for a buffer of %d: both sides must be exactly as long as the buffer", n, len(dst))
	}
	return nil
}
