// Package toeplitz is privacy amplification: it hashes n partly secret bits to l
// bits by the modified Toeplitz matrix (I | T), through a product of polynomials
// over GF(2) that takes n·log n steps.
//
//	out_i = x_i + sum over j < n-l of T_ij · x_(l+j)    for i < l
//	T_ij  = seed bit i - j + (n-l-1)
//
// The seed's n-1 bits are public and uniform; they must be independent of x and
// known to nobody before x is fixed. The family is 2-universal (dual universal
// too): two inputs collide for a fraction of at most 2^-l of the seeds.
//
// The package draws no randomness, decides no length and says nothing of what is
// secret in x: that is the bound's duty. Formats and figures are in
// docs/design/amplification.md.
package toeplitz

import "github.com/quantum-secure-cloud/qsc"

// MaxBits is the greatest number of input bits.
const MaxBits = 1 << 27

// Seed is a seed made ready: its transform is kept, so that hashing a block costs
// two transforms and not three. It holds nothing secret and takes 3 to 6 bits of
// memory for each input bit, the higher figure just above a power of two.
//
// Reuse is the caller's decision. By the union bound, m blocks hashed with one
// seed are together within m·eps of ideal where each alone is within eps,
// provided that the seed was public only after all m blocks were fixed; where an
// adversary sees the seed before he is done with a later block, no bound holds.
//
// A Seed is not changed between NewSeed and Release: any number of goroutines may
// hash with it.
type Seed struct {
	n, l int
	tail int // chunks of the tail, and of the seed under one output chunk
	out  int // output chunks
	done int // of these, by the transform; at most one is left
	log  int // of the points
	*kept
}

// NewSeed makes a seed of n-1 bits ready for inputs of n bits and outputs of l:
// 1 ≤ l ≤ n ≤ MaxBits. Bit i is bits[i/64]>>(i%64)&1; there are exactly
// ceil((n-1)/64) words, and bits beyond n-1 are ignored. bits is the caller's
// again after the call. Error: Invalid.
func NewSeed(bits []uint64, n, l int) (*Seed, error) {
	const op = "toeplitz.NewSeed"
	if n < 1 || n > MaxBits || l < 1 || l > n {
		return nil, qsc.E(op, qsc.Invalid, "", "cannot hash %d bits to %d: give 1 ≤ l ≤ n ≤ %d", n, l, MaxBits)
	}
	if len(bits) != words(n-1) {
		return nil, qsc.E(op, qsc.Invalid, "", "a seed for %d bits has %d words, not %d: give n-1 bits", n, words(n-1), len(bits))
	}
	s := &Seed{n: n, l: l, log: minLog}
	if l == n {
		return s, nil
	}
	s.tail, s.out = words(n-l-1)+1, words(l)
	for 1<<s.log < s.out+s.tail-2 {
		s.log++
	}
	s.kept = keep(s.log)
	s.bits = s.bits[:len(bits)+1]
	s.bits[copy(s.bits, bits)] = 0
	mask(s.bits, n-1)
	s.done = min(s.out, 1<<s.log-s.tail+1)
	if s.done > 0 {
		s.transform()
	}
	return s, nil
}

// Release gives the seed's memory to the next NewSeed, which spares the operating
// system that of large blocks. The seed must not be used afterwards: hashing with
// it panics. Calling Release is never necessary.
func (s *Seed) Release() {
	if s.kept != nil {
		keeps[s.log].Put(s.kept)
	}
	*s = Seed{}
}

// transform keeps what the transposed product multiplies by.
func (s *Seed) transform() {
	k, p, b := choice.Active(), planFor(s.log), borrow(s.log)
	clear(b.lo[copy(b.lo, s.bits):])
	b.convert(k, b.lo, inverseTranspose)
	p.evaluate(k, s.product, b.lo, inverseTranspose)
	pools[b.log].Put(b) // holds the seed only, which is public
}

// Hash sets dst's l bits to the hash of src's n bits, both as in NewSeed; bits of
// src beyond n are ignored, those of dst beyond l set to 0. dst may be src or its
// beginning. Scratch memory of 4 to 8 bits for each input bit is kept for the
// next call and erased before Hash returns. Hash panics when dst has not exactly
// ceil(l/64) words or src not exactly ceil(n/64).
func (s *Seed) Hash(dst, src []uint64) {
	if len(dst) != words(s.l) || len(src) != words(s.n) {
		panic("toeplitz: Hash of a wrong number of words")
	}
	if s.l == s.n {
		copy(dst, src)
		mask(dst, s.l)
		return
	}
	k, b := choice.Active(), borrow(s.log)
	defer b.giveBack()
	tail := b.lo[:s.tail] // one chunk more than there are points, where the transform does nothing
	s.reverseTail(tail, src)
	clear(b.lo[min(s.tail, len(b.lo)):])
	// Below the first output chunk, and above the last if it finds no place.
	before := k.dot(tail[1:s.tail], s.bits).hi
	var last elem
	if s.done < s.out {
		seed := s.bits[min(s.out-1, len(s.bits)):]
		last = k.dot(tail[:min(s.tail, len(seed))], seed)
	}
	if s.done > 0 {
		s.correlate(k, b)
	}
	s.collect(dst, src, b, before, last)
	mask(dst, s.l)
}

// reverseTail sets chunk j to bits n-1-64j and the 63 above it of src, of which
// only those from l to n-1 are wanted.
func (s *Seed) reverseTail(tail, src []uint64) {
	last := len(tail) - 1
	at := s.n - 1
	tail[0] = src[at/64] >> (at % 64) & 1
	at -= 64
	shift := at & 63
	for j := 1; j < last; j++ {
		i := at >> 6
		tail[j] = src[i]>>shift | src[i+1]<<1<<(63-shift)
		at -= 64
	}
	if last == 0 {
		return
	}
	// The last chunk ends at bit l of src, maybe before its beginning.
	tail[last] = 0
	for i := range 64 {
		if b := at + i; b >= s.l {
			tail[last] |= src[b/64] >> (b % 64) & 1 << i
		}
	}
}

// correlate leaves the sums of tail chunk j times seed chunk k+j in b.lo and b.hi.
func (s *Seed) correlate(k kernel, b *scratch) {
	b.convert(k, b.lo, forward)
	planFor(s.log).multiply(k, b, s.product, transpose)
	b.convert(k, b.lo, transpose)
	b.convert(k, b.hi, transpose)
}

// collect adds each chunk's low half, the high half of the chunk before, and x.
func (s *Seed) collect(dst, src []uint64, b *scratch, before uint64, last elem) {
	if s.done > 0 {
		dst[0] = src[0] ^ b.lo[0] ^ before
		lo, hi := b.lo[:s.done], b.hi[:s.done]
		for i := 1; i < s.done; i++ {
			dst[i] = src[i] ^ lo[i] ^ hi[i-1]
		}
		before = hi[s.done-1]
	}
	if s.done < s.out {
		dst[s.out-1] = src[s.out-1] ^ last.lo ^ before
	}
}

// words is the number of words that hold n bits.
func words(n int) int { return (n + 63) / 64 }

// mask erases the bits of w from n on.
func mask(w []uint64, n int) {
	if n%64 != 0 {
		w[n/64] &= 1<<(n%64) - 1
		n += 64 - n%64
	}
	clear(w[n/64:])
}
