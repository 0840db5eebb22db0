package cvqkd

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Words for the streams of the world, eight bytes each.
const (
	forModulation = "cv-modul" // the sender's quadratures
	forNoise      = "cv-noise" // vacuum, excess and electronic noise
	forChoice     = "cv-choic" // the receiver's: quadratures, tests
	forTap        = "cv-tap--" // the eavesdropper's choices and noise
	forBits       = "cv-rbits" // the receiver's raw key bits
)

// stream returns the random stream for a purpose in a batch of a round: the
// seed, with the purpose, epoch, batch, round and beginning mixed into its 32
// bytes, so that no two are alike.
func stream(w quantum.World, purpose string, s distill.Start, batch int) *rand.ChaCha8 {
	var mix [32]byte
	copy(mix[:8], purpose)
	binary.BigEndian.PutUint32(mix[8:], w.Epoch)
	binary.BigEndian.PutUint32(mix[12:], uint32(batch))
	binary.BigEndian.PutUint64(mix[16:], s.Round)
	binary.BigEndian.PutUint64(mix[24:], uint64(s.At.UnixNano()))
	for i := range mix {
		mix[i] ^= w.Seed[i]
	}
	return rand.NewChaCha8(mix)
}

// normals fills dst, of even length, with independent normal values of variance
// 1 (Box and Muller). Every pair takes two words of the stream whatever they are,
// so that the ends stay in step even where their floating point rounds otherwise.
func normals(dst []float32, c *rand.ChaCha8) {
	for i := 0; i+1 < len(dst); i += 2 {
		u := (float64(c.Uint64()>>11) + 0.5) * 0x1p-53
		r := math.Sqrt(-2 * math.Log(u))
		sin, cos := math.Sincos(2 * math.Pi * float64(c.Uint64()>>11) * 0x1p-53)
		dst[i], dst[i+1] = float32(r*cos), float32(r*sin)
	}
}

// coins sets each of n bits with a probability, in steps of 2⁻¹⁶.
func coins(n int, probability float64, c *rand.ChaCha8) []uint64 {
	threshold := uint64(math.Round(probability * 0x1p16))
	bits := make([]uint64, (n+63)/64)
	for i := 0; i < n; i += 4 {
		for w, j := c.Uint64(), i; j < min(i+4, n); w, j = w>>16, j+1 {
			if w&0xffff < threshold {
				bits[j>>6] |= 1 << (j & 63)
			}
		}
	}
	return bits
}

func bit(b []uint64, i int) int { return int(b[i>>6] >> (i & 63) & 1) }

// convert is the receiver's analogue-to-digital converter: 1/256 of the root of
// a shot-noise unit a step, 16 bits.
func convert(y float64) int16 {
	return int16(max(min(math.Round(y*stepsPerUnit), math.MaxInt16), math.MinInt16))
}

const stepsPerUnit = 256

func value(y int16) float64 { return float64(y) / stepsPerUnit }
