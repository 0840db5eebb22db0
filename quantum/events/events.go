// Package events is what the simulated devices with a source or a station in the
// middle of the link have in common (twin-field, MDI, entangled pairs): random
// streams and settings that follow from one seed, detections drawn by geometric
// gaps, the device's clock, and the exchange in which Bob tells what was detected
// and Alice answers. What every simulated device needs stands here too: a target
// for attacks, waiting at the device's pace.
//
// Only Bob's end draws what physics does. Alice's settings at any pulse follow
// from the seed, so that his end can weigh each detection by them and hers can
// look them up; nothing that both ends must agree on rests on floating point.
//
// It knows no protocol, estimates nothing and makes no key.
package events

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Stream returns the world's random stream for a purpose: the same for the same
// purpose, unrelated for another.
func Stream(w quantum.World, purpose string) *rand.Rand {
	seed := w.Seed
	text := fmt.Appendf(nil, "%d/%d/%s", w.Epoch, len(purpose), purpose)
	for len(text) > 0 {
		n := min(len(text), len(seed))
		for i, c := range text[:n] {
			seed[i] ^= c
		}
		text = text[n:]
		_, _ = rand.NewChaCha8(seed).Read(seed[:]) // never fails
	}
	return rand.New(rand.NewChaCha8(seed))
}

// Settings are one party's random choices, computable at any pulse at the cost of
// a few multiplications.
type Settings struct{ a, b, c uint64 }

// NewSettings returns the choices of a party.
func NewSettings(w quantum.World, party string) Settings {
	r := Stream(w, "settings/"+party)
	return Settings{r.Uint64() | 1, r.Uint64(), r.Uint64()}
}

// Word returns 64 random bits for pulse i. It is a permutation of i under the
// party's key with the mixing steps of splitmix64, twice: good for statistics,
// not for secrets, of which a simulation has none.
func (s Settings) Word(i uint64) uint64 {
	return mix(mix(i*s.a+s.b) + s.c)
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Threshold turns a probability into the bound below which a random word of n
// bits lies with that probability, n ≤ 53.
func Threshold(p float64, n int) uint64 {
	return uint64(math.Round(min(max(p, 0), 1) * float64(uint64(1)<<n)))
}

// Gaps draws the distances between independent events of one probability, so
// that the cost follows the events and not the pulses.
type Gaps struct {
	r    *rand.Rand
	mean float64 // -1/ln(1-p)
}

// NewGaps draws from r events of probability p in each pulse, 0 ≤ p < 1.
func NewGaps(r *rand.Rand, p float64) Gaps { return Gaps{r, -1 / math.Log1p(-p)} }

// Next returns the first pulse from from on that has an event, to if there is
// none before to.
func (g Gaps) Next(from, to uint64) uint64 {
	gap := g.r.ExpFloat64() * g.mean
	if !(gap < float64(to-from)) {
		return to
	}
	return from + uint64(gap)
}

// PulseAt returns the number of the first pulse at or after a time since the
// world's start. It is exact, so that both ends find the same.
func PulseAt(clock uint64, since time.Duration) uint64 {
	if since <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(since), clock)
	lo, carry := bits.Add64(lo, uint64(time.Second)-1, 0)
	hi += carry
	if hi >= uint64(time.Second) {
		return math.MaxUint64
	}
	n, _ := bits.Div64(hi, lo, uint64(time.Second))
	return n
}

// TimeOf returns the time since the world's start at which pulse n begins.
func TimeOf(clock, n uint64) time.Duration {
	hi, lo := bits.Mul64(n, uint64(time.Second))
	if hi >= clock {
		return math.MaxInt64
	}
	d, _ := bits.Div64(hi, lo, clock)
	return time.Duration(min(d, math.MaxInt64))
}
