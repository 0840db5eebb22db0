// Package ldpc corrects errors by low-density parity-check codes: it makes codes
// of any length and rate, decodes them from soft values, and reconciles binary
// keys with few round trips (Reconciler).
//
// Codes are used in their source-coding form: Alice sends the syndrome of her
// bits and Bob decodes to that coset, so the bits need not be codewords. There
// is no encoder.
//
// The package does not verify: a decoder may, rarely, end in a word of the right
// syndrome that is not the sent one. It does not turn continuous values into
// soft bits, and it makes no claim of secrecy beyond counting what it discloses.
package ldpc

import (
	"sync"

	"github.com/quantum-secure-cloud/qsc"
)

// The bounds of a code's shape.
const (
	MinLength = 256     // bits
	MaxLength = 1 << 20 // bits
	minRate   = 50      // m ≥ n/minRate
)

// Code is a binary linear code given by its parity checks: N variables in blocks
// of z, M checks in rows of z, and for each edge of the base graph a cyclic shift
// by which a block meets a row. It is immutable, and the same for the same (n, m)
// on every machine: integers alone decide its shape.
type Code struct {
	n, m, z int
	cols    int   // blocks of variables; those beyond n are known to be 0
	rows    []row // all of z checks but perhaps the last
	edges   int   // of the base graph
}

// row is one row of the base graph: check j meets variable (j+shift) mod z of
// each edge's block.
type row struct {
	checks int
	edges  []edge
}

type edge struct{ col, shift int }

// cacheSize bounds the codes kept. A reconciler uses a handful, and a code costs
// some tens of kilobytes and milliseconds.
const cacheSize = 64

var cache = struct {
	sync.Mutex
	codes map[[2]int]*Code
	order [][2]int // oldest first
}{codes: map[[2]int]*Code{}}

// NewCode returns the code of n variables and m checks: n/50 ≤ m ≤ 49n/50,
// 256 ≤ n ≤ 2^20. The profile of its degrees follows m/n. Codes are kept, and
// shared by callers. Error: Invalid.
func NewCode(n, m int) (*Code, error) {
	if n < MinLength || n > MaxLength || m < (n+minRate-1)/minRate || m > n-n/minRate {
		return nil, qsc.E("ldpc.NewCode", qsc.Invalid, "", "no code of %d bits and %d checks: use %d to %d bits and from 1/%d to %d/%d checks for each",
			n, m, MinLength, MaxLength, minRate, minRate-1, minRate)
	}
	key := [2]int{n, m}
	cache.Lock()
	c := cache.codes[key]
	cache.Unlock()
	if c != nil {
		return c, nil
	}
	c = build(n, m)
	cache.Lock()
	defer cache.Unlock()
	if have := cache.codes[key]; have != nil {
		return have, nil
	}
	if len(cache.order) == cacheSize {
		delete(cache.codes, cache.order[0])
		cache.order = cache.order[1:]
	}
	cache.codes[key], cache.order = c, append(cache.order, key)
	return c, nil
}

// N returns the number of variables.
func (c *Code) N() int { return c.n }

// M returns the number of checks.
func (c *Code) M() int { return c.m }

// Syndrome writes the parities of the checks over bits to dst: bit i of either is
// word[i/64]>>(i%64)&1. dst has at least (M+63)/64 words, bits (N+63)/64; bits
// beyond N must be 0, and those of dst beyond M become 0.
func (c *Code) Syndrome(dst []uint64, bits []uint64) {
	w := (c.z + 63) / 64
	block, acc := make([]uint64, w), make([]uint64, w)
	clear(dst[:(c.m+63)/64])
	for r, row := range c.rows {
		clear(acc)
		for _, e := range row.edges {
			c.block(block, bits, e.col)
			xorRotated(acc, block, c.z, e.shift)
		}
		putBlock(dst, acc, r*c.z, row.checks)
	}
}

// block takes variables col*z to col*z+z out of bits; those beyond are 0.
func (c *Code) block(dst, bits []uint64, col int) {
	at := col * c.z
	if c.z < 64 {
		dst[0] = bits[at/64] >> (at % 64) & (1<<c.z - 1)
		return
	}
	clear(dst[copy(dst, bits[at/64:(c.n+63)/64]):])
}

// xorRotated adds v, z bits turned right by s, to acc.
func xorRotated(acc, v []uint64, z, s int) {
	if z < 64 {
		acc[0] ^= (v[0]>>s | v[0]<<(z-s)) & (1<<z - 1)
		return
	}
	w, k := len(v), s/64
	for i := range acc {
		lo, hi := v[(i+k)%w], v[(i+k+1)%w]
		acc[i] ^= lo>>(s%64) | hi<<(64-s%64) // a shift by 64 gives 0
	}
}

// putBlock stores the first count bits of v at bit at, which is clear before.
func putBlock(dst, v []uint64, at, count int) {
	for i := 0; i < count; i += 64 {
		x := v[i/64]
		if left := count - i; left < 64 {
			x &= 1<<left - 1
		}
		dst[(at+i)/64] |= x << (at % 64) // blocks below 64 bits divide a word
	}
}
