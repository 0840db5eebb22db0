package mdi

import (
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// hopeless is an error rate of the sample at which nothing is left, seen on enough
// bits.
var hopeless = events.Limit{QBER: 0.15, Tests: 200}

// The counts that Bob makes of what both have told, in the order in which they
// travel, u64 each.
const (
	cVacuum = iota
	cA1
	cA2
	cB1
	cB2
	cWeak
	cWeakErrors
	cStrong
	cSample
	cSampleErrors
	tallies
)

// half is one end's sifting of a block.
type half struct {
	p   *Protocol
	key events.Collector
	n   [tallies]int64
}

// State implements events.Observer and events.Answerer.
func (h *half) State() events.State {
	return hopeless.State(h.key.Len(), h.p.d.Block, h.n[cSampleErrors], h.n[cSample])
}

// counts returns what was counted in a number of pulses.
func (h *half) counts(pulses uint64) Counts {
	f := func(i int) float64 { return float64(h.n[i]) }
	return Counts{
		Pulses: float64(pulses), Vacuum: f(cVacuum), A1: f(cA1), A2: f(cA2), B1: f(cB1), B2: f(cB2),
		Weak: f(cWeak), WeakErrors: f(cWeakErrors), Strong: f(cStrong),
		Key: float64(h.key.Len()), Sample: f(cSample), SampleErrors: f(cSampleErrors),
	}
}

func corrupt(format string, args ...any) error {
	return qsc.E("mdi.Sift", qsc.Corrupt, "", format, args...)
}

// Bob says of each coincidence, in one byte: bit 0 whether both clicks were in one
// detector, bits 1 and 2 his source.

func detail(same bool, s source) byte {
	b := byte(s) << 1
	if same {
		b |= 1
	}
	return b
}

// Alice answers each with one byte: bits 0 and 1 her source, bit 2 whether her bit
// is disclosed, bit 3 that bit. Disclosed are the sample of signals, and where both
// sent the weaker decoy.

const (
	open   = 1 << 2
	openBy = 3
)

// discloses reports whether Alice's bit is told.
func discloses(alice choice, bob source) bool {
	return alice.source == bob && (bob == weak || (bob == signal && alice.sample))
}

// aliceHalf answers.
type aliceHalf struct{ *half }

// Answer implements events.Answerer.
func (h aliceHalf) Answer(b *events.Batch) ([]byte, error) {
	if len(b.Detail) != len(b.Slots) {
		return nil, corrupt("%d bytes of detail for %d coincidences", len(b.Detail), len(b.Slots))
	}
	answer := make([]byte, len(b.Slots))
	for i, pulse := range b.Slots {
		his := source(b.Detail[i] >> 1)
		if his >= sources {
			return nil, corrupt("no source %d", his)
		}
		mine := h.p.alice.at(pulse)
		answer[i] = byte(mine.source)
		switch {
		case discloses(mine, his):
			answer[i] |= open | mine.bit<<openBy
		case mine.source == signal && his == signal:
			h.key.Add(uint64(mine.bit))
		}
	}
	return answer, nil
}

// Report implements events.Answerer: Bob's counts, of which none falls.
func (h aliceHalf) Report(report []byte) error {
	if err := events.Tally(h.n[:]).Take(report); err != nil {
		return err
	}
	if h.n[cWeakErrors] > h.n[cWeak] || h.n[cSampleErrors] > h.n[cSample] {
		return corrupt("more errors than coincidences")
	}
	return nil
}

// bobHalf draws what the station announces and counts.
type bobHalf struct {
	*half
	r       *rand.Rand
	station *station
	under   quantum.Attack // that the station was opened for
	seen    []coincidence  // of the batch
}

// Observe implements events.Observer.
func (h *bobHalf) Observe(b *events.Batch) {
	if attack := h.p.Attacked(); h.station == nil || attack != h.under {
		h.under = attack
		h.station = newStation(h.p.d, h.p.e, h.p.alice, h.p.bob, h.r, attack)
	}
	h.seen, b.Detail = h.seen[:0], b.Detail[:0]
	b.Draw(func(from, to uint64) (uint64, bool) {
		c, ok := h.station.next(from, to)
		if ok {
			h.seen, b.Detail = append(h.seen, c), append(b.Detail, detail(c.same, c.bob.source))
		}
		return c.pulse, ok
	})
}

// Answered implements events.Observer.
func (h *bobHalf) Answered(_ *events.Batch, answer []byte) error {
	if len(answer) != len(h.seen) {
		return corrupt("%d bytes of answer to %d coincidences", len(answer), len(h.seen))
	}
	for i := range h.seen {
		c, hers := &h.seen[i], source(answer[i]&3)
		opened := answer[i]&open != 0
		switch {
		case answer[i]>>(openBy+1) != 0 || opened && (hers != c.bob.source || hers == vacuum || hers == strong):
			return corrupt("an answer of %#x to source %d", answer[i], c.bob.source)
		case opened:
			h.test(hers, c.mine() != answer[i]>>openBy)
		case hers == signal && c.bob.source == signal:
			h.key.Add(uint64(c.mine()))
		default:
			h.count(hers, c.bob.source)
		}
	}
	return nil
}

// mine is Bob's bit as it should be Alice's: turned in Z, where a coincidence tells
// that the bits differ, and in X where the clicks were in two detectors.
func (c *coincidence) mine() byte {
	b := c.bob.bit
	if c.bob.source == signal || !c.same {
		b ^= 1
	}
	if c.flip {
		b ^= 1
	}
	return b
}

// test takes a disclosed bit.
func (h *bobHalf) test(s source, wrong bool) {
	at := cWeak
	if s == signal {
		at = cSample
	}
	h.n[at]++
	if wrong {
		h.n[at+1]++
	}
}

// tally is where a coincidence of decoys is counted, by both sources; 0 for those
// that tell nothing, and one more than the count's place for the others.
var tally = [sources][sources]int{
	vacuum: {vacuum: cVacuum + 1, weak: cB1 + 1, strong: cB2 + 1},
	weak:   {vacuum: cA1 + 1},
	strong: {vacuum: cA2 + 1, strong: cStrong + 1},
}

// count takes a coincidence of decoys.
func (h *bobHalf) count(a, b source) {
	if at := tally[a][b]; at > 0 {
		h.n[at-1]++
	}
}

// Report implements events.Observer.
func (h *bobHalf) Report() []byte { return events.Tally(h.n[:]).Report() }
