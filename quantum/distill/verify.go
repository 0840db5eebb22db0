package distill

import (
	"context"
	"io"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// verifyBits is the length of a frame's verification hash: a polynomial hash over
// GF(2^128) under a public key drawn after reconciliation, truncated.
const verifyBits = 64

// collision bounds the probability that two different frames of so many bits hash
// alike: their difference is a polynomial of degree m, the number of blocks, the
// length block included; each of the 2^64 values of the full hash that agree where
// it is cut off is taken by at most m keys of 2^128.
func collision(frame int) float64 {
	return float64((frame+127)/128+1) / (1 << 32) / (1 << 32)
}

// frames splits n bits.
func frames(n, frame int) int { return (n + frame - 1) / frame }

// sums hashes every frame but the failed ones.
func sums(b Bits, frame int, failed []int, key [16]byte) []uint64 {
	k := uhash.NewKey(key)
	list := make([]uint64, frames(b.N, frame))
	var buf [4 << 10]byte
	for i := range list {
		if _, skip := slices.BinarySearch(failed, i); !skip {
			list[i] = sum(k, b, i*frame, min((i+1)*frame, b.N), &buf)
		}
	}
	return list
}

// sum hashes the bits from from up to to.
func sum(k *uhash.Key, b Bits, from, to int, buf *[4 << 10]byte) uint64 {
	h := k.Start(nil)
	var words [len(buf) / 8]uint64
	for from < to {
		n := min(to-from, 64*len(words))
		w := words[:(n+63)/64]
		for i := range w {
			w[i] = b.word(from + 64*i)
		}
		if n%64 != 0 {
			w[len(w)-1] &= 1<<(n%64) - 1
		}
		toBytes(buf[:], w)
		h.Write(buf[:8*len(w)])
		from += n
	}
	t := h.Tag(new([uhash.Size]byte))
	var out [1]uint64
	toWords(out[:], t[:8])
	return out[0]
}

// verify drops the frames that differ, at both ends, and returns what is left with
// its account. before is Bob's raw key.
func (s *session) verify(ctx context.Context, x *Sifted, c Corrected, before Bits) (Bits, Outcome, error) {
	o := Outcome{Sifted: int64(x.Bits.N), Leak: x.Leak + c.Leak}
	if c.Bits.N < 1 || c.Bits.N > maxBits || c.Frame < 1 || frames(c.Bits.N, c.Frame) > maxFrames || !ordered(c.Failed, frames(c.Bits.N, c.Frame)) {
		return c.Bits, o, qsc.E("distill.Verify", qsc.Invalid, "", "%d bits in frames of %d cannot be verified", c.Bits.N, c.Frame)
	}
	o.Frames = frames(c.Bits.N, c.Frame)
	o.Verify = verifyBits * int64(o.Frames-len(c.Failed))
	var differing bad
	var err error
	if s.l.cfg.Role == Alice {
		differing, err = s.askVerify(ctx, c)
	} else {
		differing, err = s.answerVerify(ctx, c, before)
	}
	if err != nil {
		return c.Bits, o, err
	}
	drop := union(c.Failed, differing.frames)
	kept := compact(c.Bits, c.Frame, drop)
	o.Kept, o.Dropped, o.Errors = int64(kept.N), len(drop), differing.errors
	if x.Agreed {
		o.Errors = x.Errors
	}
	if o.Errors < 0 || o.Errors > o.Kept {
		return kept, o, corrupt("%d errors corrected in %d bits", o.Errors, o.Kept)
	}
	o.EpsCor = float64(o.Frames-len(drop)) * collision(c.Frame)
	return kept, o, nil
}

func ordered(list []int, below int) bool {
	for i, v := range list {
		if v < 0 || v >= below || i > 0 && list[i-1] >= v {
			return false
		}
	}
	return true
}

func (s *session) askVerify(ctx context.Context, c Corrected) (bad, error) {
	m := hashes{bits: uint64(c.Bits.N), frame: uint64(c.Frame)}
	if _, err := io.ReadFull(s.l.cfg.Random, m.key[:]); err != nil {
		return bad{}, noRandom(err)
	}
	m.sums = sums(c.Bits, c.Frame, c.Failed, m.key)
	if err := s.c.Send(ctx, typeHashes, m.encode()); err != nil {
		return bad{}, err
	}
	return hear(ctx, s.c, typeBad, 12+4*len(m.sums), func(b []byte) (bad, error) { return parseBad(b, len(m.sums)) })
}

func (s *session) answerVerify(ctx context.Context, c Corrected, before Bits) (bad, error) {
	m, err := hear(ctx, s.c, typeHashes, MaxMessage, parseHashes)
	if err != nil {
		return bad{}, err
	}
	mine := sums(c.Bits, c.Frame, c.Failed, m.key)
	if m.bits != uint64(c.Bits.N) || m.frame != uint64(c.Frame) || len(m.sums) != len(mine) {
		return bad{}, corrupt("the other end has %d bits in frames of %d, this one %d in frames of %d", m.bits, m.frame, c.Bits.N, c.Frame)
	}
	var answer bad
	for i := range mine {
		from, to := i*c.Frame, min((i+1)*c.Frame, c.Bits.N)
		if _, failed := slices.BinarySearch(c.Failed, i); failed {
			continue
		}
		if mine[i] != m.sums[i] {
			answer.frames = append(answer.frames, i)
		} else if before.N == c.Bits.N {
			answer.errors += differ(before, c.Bits, from, to)
		}
	}
	return answer, s.c.Send(ctx, typeBad, answer.encode())
}

// union merges two rising lists.
func union(a, b []int) []int {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

// compact removes frames.
func compact(b Bits, frame int, drop []int) Bits {
	if len(drop) == 0 {
		return b
	}
	to := 0
	for i := range frames(b.N, frame) {
		from, n := i*frame, min(frame, b.N-i*frame)
		if _, gone := slices.BinarySearch(drop, i); gone {
			continue
		}
		if to != from {
			b.move(to, from, n)
		}
		to += n
	}
	return b.cut(to)
}

func noRandom(err error) error {
	return qsc.E("distill", qsc.Other, "", "the source of random bytes has failed: %w", err)
}
