package bbm92

import (
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// The two bases are told by a bit: set for X, the test basis.

// Counts is what one block's sifting has counted.
type Counts struct {
	Coincidences int64
	Tests        int64 // both in X, disclosed
	Errors       int64 // of those that differ
}

// Estimate is the error rate to begin reconciliation with: that of the test basis,
// and not so low that a first guess would be a bad one.
func (c Counts) Estimate() float64 {
	return max(float64(c.Errors+1)/float64(c.Tests+2), 1e-3)
}

// hopeless is an error rate at which no proof leaves key, seen on enough bits.
var hopeless = events.Limit{QBER: 0.15, Tests: 100}

// half is one end's sifting of a block.
type half struct {
	p   *Protocol
	pz  uint64 // threshold of 32 bits
	key events.Collector
	c   Counts
}

// State implements events.Observer and events.Answerer.
func (h *half) State() events.State {
	return hopeless.State(h.key.Len(), h.p.link.Block, h.c.Errors, h.c.Tests)
}

// inX reads the basis from a party's word of a pulse, and bit the bit it measured.
func (h *half) inX(word uint64) bool { return word&(1<<32-1) >= h.pz }
func bit(word uint64) uint64         { return word >> 63 }

// aliceHalf answers with her bases and, where both measured in X, her bits.
type aliceHalf struct{ *half }

// Answer implements events.Answerer: her bases, one bit each, then her bits of the
// test basis, one bit each.
func (h aliceHalf) Answer(b *events.Batch) ([]byte, error) {
	if len(b.Detail) != (len(b.Slots)+7)/8 {
		return nil, qsc.E("bbm92.Sift", qsc.Corrupt, "", "%d bytes of bases for %d coincidences", len(b.Detail), len(b.Slots))
	}
	words := make([]uint64, len(b.Slots))
	var tests []uint64
	for i, pulse := range b.Slots {
		words[i] = h.p.alice.Word(pulse)
		switch mine, his := h.inX(words[i]), events.Packed(b.Detail, i); {
		case mine && his:
			tests = append(tests, bit(words[i]))
		case !mine && !his:
			h.key.Add(bit(words[i]))
		}
	}
	h.c.Coincidences += int64(len(b.Slots))
	h.c.Tests += int64(len(tests))
	answer := events.Pack(nil, len(words), func(i int) bool { return h.inX(words[i]) })
	return events.Pack(answer, len(tests), func(i int) bool { return tests[i] == 1 }), nil
}

// Report implements events.Answerer: Bob's counts must be hers, but for the errors
// that only he sees.
func (h aliceHalf) Report(report []byte) error {
	r := wire.NewReader(report)
	c := Counts{int64(r.U64()), int64(r.U64()), int64(r.U64())}
	if err := r.Done(); err != nil {
		return err
	}
	if c.Coincidences != h.c.Coincidences || c.Tests != h.c.Tests || c.Errors < h.c.Errors || c.Errors > c.Tests {
		return qsc.E("bbm92.Sift", qsc.Corrupt, "", "the other end counts otherwise")
	}
	h.c.Errors = c.Errors
	return nil
}

// bobHalf draws the coincidences.
type bobHalf struct {
	*half
	r      *rand.Rand
	source PairSource
	under  quantum.Attack // that the source was opened for
	words  []uint64       // Bob's settings of the batch
	differ []bool         // whether his bit differs from hers
}

// Observe implements events.Observer.
func (h *bobHalf) Observe(b *events.Batch) {
	attack := h.p.Attacked()
	if h.source == nil || attack != h.under {
		noise := 0.0
		if attack.Kind == quantum.Noise {
			noise = attack.Strength / 100
		}
		h.source, h.under = h.p.link.Source(h.r, noise), attack
	}
	h.words, h.differ = h.words[:0], h.differ[:0]
	b.Draw(func(from, to uint64) (uint64, bool) {
		pulse, errZ, errX, ok := h.source.Next(from, to)
		if ok {
			h.draw(pulse, errZ, errX)
		}
		return pulse, ok
	})
	b.Detail = events.Pack(nil, len(h.words), func(i int) bool { return h.inX(h.words[i]) })
}

// draw takes one coincidence.
func (h *bobHalf) draw(pulse uint64, errZ, errX float64) {
	word, e := h.p.bob.Word(pulse), errZ
	if h.inX(word) {
		e = errX
	}
	if h.under.Kind == quantum.InterceptResend && h.r.Float64() < h.under.Strength {
		e = e/2 + 0.25 // in half of the cases Eve's basis is another, and the bit random
	}
	h.words = append(h.words, word)
	h.differ = append(h.differ, h.r.Float64() < e)
}

// Answered implements events.Observer.
func (h *bobHalf) Answered(b *events.Batch, answer []byte) error {
	n := len(b.Slots)
	short := func() error {
		return qsc.E("bbm92.Sift", qsc.Corrupt, "", "%d bytes of answer to %d coincidences", len(answer), n)
	}
	if len(answer) < (n+7)/8 {
		return short()
	}
	bases, bits := answer[:(n+7)/8], answer[(n+7)/8:]
	tests := 0
	for i, pulse := range b.Slots {
		hers := bit(h.p.alice.Word(pulse))
		mine := hers
		if h.differ[i] {
			mine ^= 1
		}
		switch alice, bob := events.Packed(bases, i), h.inX(h.words[i]); {
		case alice && bob:
			if tests>>3 >= len(bits) {
				return short()
			}
			if events.Packed(bits, tests) != (mine == 1) {
				h.c.Errors++
			}
			tests++
		case !alice && !bob:
			h.key.Add(mine)
		}
	}
	h.c.Coincidences += int64(n)
	h.c.Tests += int64(tests)
	if len(bits) != (tests+7)/8 {
		return short()
	}
	return nil
}

// Report implements events.Observer: coincidences, tests and errors, u64 each.
func (h *bobHalf) Report() []byte {
	w := wire.Writer{}
	return w.U64(uint64(h.c.Coincidences)).U64(uint64(h.c.Tests)).U64(uint64(h.c.Errors)).B
}
