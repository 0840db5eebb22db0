package bb84

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// stream returns the world's random numbers for one purpose. The purpose and two
// numbers are laid over the seed, so that each has a stream of its own.
func stream(w quantum.World, purpose string, at uint64) *rand.ChaCha8 {
	seed := w.Seed
	for i := range min(len(purpose), 16) {
		seed[i] ^= purpose[i]
	}
	var b [12]byte
	binary.BigEndian.PutUint32(b[:], w.Epoch)
	binary.BigEndian.PutUint64(b[4:], at)
	for i, x := range b {
		seed[20+i] ^= x
	}
	return rand.NewChaCha8(seed)
}

// source is the transmitter: bit, basis and intensity of any pulse, computed from
// its number in no order, so that the work goes with clicks and not with pulses.
type source struct {
	a, b, c  uint64 // the key, from the world
	key      uint64 // below this in 31 bits: key basis
	one, two uint64 // below these in 32 bits: signal, first decoy
}

func newSource(w quantum.World, d Device) source {
	r := stream(w, "bb84 pulses", 0)
	p := d.p()
	return source{
		a: r.Uint64(), b: r.Uint64() | 1<<63 | 1, c: r.Uint64(),
		key: events.Threshold(d.PX, 31), one: events.Threshold(p[0], 32), two: events.Threshold(p[0]+p[1], 32),
	}
}

// word is the random word of a pulse: its number through two folded 128-bit
// products with the key. It need not be secret, only without pattern: who has the
// world has the key.
func (s *source) word(pulse uint64) uint64 {
	return fold(fold(pulse^s.a, s.b)^s.c, s.b)
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

const low31, low32 = 1<<31 - 1, 1<<32 - 1

// bit, isKey and intensity read a pulse's word: bit 0, bits 1 to 31, bits 32 to 63.
func bitOf(w uint64) uint64 { return w & 1 }

func (s *source) isKey(w uint64) uint64 { return below(w>>1&low31, s.key) }

func (s *source) intensity(w uint64) uint64 {
	u := w >> 32
	return 2 - below(u, s.one) - below(u, s.two)
}

// below is 1 if a < b, else 0, for numbers under 2^63.
func below(a, b uint64) uint64 { return (a - b) >> 63 }
