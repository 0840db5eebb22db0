package twinfield

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
)

// hopeless is a share of wrong detectors at close phases at which nothing is left,
// seen on enough windows.
var hopeless = events.Limit{QBER: 0.3, Tests: 200}

// The counts that Bob makes of what both have told, in the order in which they
// travel, u64 each.
const (
	cVacuum = iota
	cA1
	cA2
	cB1
	cB2
	cSlice
	cSliceErrors
	cZeros
	cOnes
	tallies
)

// half is one end's sifting of a block.
type half struct {
	p     *Protocol
	width int // of the slice, in steps of the phase
	raw   events.Collector
	n     [tallies]int64
}

func newHalf(p *Protocol) *half {
	return &half{p: p, width: p.d.width()}
}

// State implements events.Observer and events.Answerer.
func (h *half) State() events.State {
	return hopeless.State(h.raw.Len(), h.p.d.Block, h.n[cSliceErrors], h.n[cSlice])
}

// counts returns what was counted in a number of windows.
func (h *half) counts(windows uint64) Counts {
	f := func(i int) float64 { return float64(h.n[i]) }
	return Counts{
		Windows: float64(windows), Vacuum: f(cVacuum), A1: f(cA1), A2: f(cA2), B1: f(cB1), B2: f(cB2),
		Slice: f(cSlice), SliceErrors: f(cSliceErrors), Zeros: f(cZeros), Ones: f(cOnes),
	}
}

func corrupt(format string, args ...any) error {
	return qsc.E("twinfield.Sift", qsc.Corrupt, "", format, args...)
}

// Bob says of each announced window, in one byte: bit 0 the detector, bits 1 to 3
// his source, signal for both kinds of signal windows.

func detail(detector byte, s source) byte { return detector | byte(min(s, signal))<<1 }

func readDetail(b byte) (detector byte, s source, ok bool) {
	s = source(b >> 1)
	return b & 1, s, s <= signal
}

// aliceHalf answers each with one byte, her source (signal where Bob's was one as
// well), followed by her phases, u16 each, of the windows in which both sent the
// weaker decoy.
type aliceHalf struct{ *half }

// Answer implements events.Answerer.
func (h aliceHalf) Answer(b *events.Batch) ([]byte, error) {
	if len(b.Detail) != len(b.Slots) {
		return nil, corrupt("%d bytes of detail for %d windows", len(b.Detail), len(b.Slots))
	}
	answer := make([]byte, 0, 2*len(b.Slots))
	var told []byte
	for i, window := range b.Slots {
		_, his, ok := readDetail(b.Detail[i])
		if !ok {
			return nil, corrupt("no source %d", his)
		}
		mine, phase := h.p.alice.at(window)
		switch {
		case mine.isSignal() && his.isSignal():
			h.raw.Add(uint64(mine - silent)) // a one where she sent
			mine = signal
		case mine == weak && his == weak:
			told = binary.BigEndian.AppendUint16(told, phase)
		}
		answer = append(answer, byte(mine))
	}
	return append(answer, told...), nil
}

// Report implements events.Answerer: Bob's counts. None falls, and his raw bits are
// as many as hers.
func (h aliceHalf) Report(report []byte) error {
	if err := events.Tally(h.n[:]).Take(report); err != nil {
		return err
	}
	if h.n[cZeros]+h.n[cOnes] != int64(h.raw.Len()) || h.n[cSliceErrors] > h.n[cSlice] {
		return corrupt("the other end counts otherwise")
	}
	return nil
}

// bobHalf draws what the station announces and counts.
type bobHalf struct {
	*half
	r       *rand.Rand
	station *station
	under   quantum.Attack // that the station was opened for
	clicks  []click        // of the batch
}

// Observe implements events.Observer.
func (h *bobHalf) Observe(b *events.Batch) {
	if attack := h.p.Attacked(); h.station == nil || attack != h.under {
		h.under = attack
		h.station = newStation(h.p.d, h.p.e, h.p.alice, h.p.bob, h.r, attack)
	}
	h.clicks, b.Detail = h.clicks[:0], b.Detail[:0]
	b.Draw(func(from, to uint64) (uint64, bool) {
		c, ok := h.station.next(from, to)
		if ok {
			h.clicks, b.Detail = append(h.clicks, c), append(b.Detail, detail(c.detector, c.bob))
		}
		return c.window, ok
	})
}

// Answered implements events.Observer.
func (h *bobHalf) Answered(b *events.Batch, answer []byte) error {
	n := len(h.clicks)
	if len(answer) < n {
		return corrupt("%d bytes of answer to %d windows", len(answer), n)
	}
	told := answer[n:]
	for i := range h.clicks {
		hers := source(answer[i])
		c := &h.clicks[i]
		switch {
		case hers >= sources:
			return corrupt("no source %d", hers)
		case hers == signal && c.bob.isSignal():
			h.keep(c.bob)
		case hers == weak && c.bob == weak:
			if len(told) < 2 {
				return corrupt("a phase is missing")
			}
			h.test(c, binary.BigEndian.Uint16(told))
			told = told[2:]
		default:
			h.count(hers, c.bob)
		}
	}
	if len(told) > 0 {
		return corrupt("%d bytes too many", len(told))
	}
	return nil
}

// keep takes a raw bit: a one where he did not send.
func (h *bobHalf) keep(s source) {
	if s == sent {
		h.raw.Add(0)
		h.n[cZeros]++
	} else {
		h.raw.Add(1)
		h.n[cOnes]++
	}
}

// test looks at a window in which both sent the weaker decoy.
func (h *bobHalf) test(c *click, hers uint16) {
	in, right := slice(hers, c.phaseB, h.width)
	if !in {
		return
	}
	h.n[cSlice]++
	if c.detector != right {
		h.n[cSliceErrors]++
	}
}

// count takes a window in which at most one end sent a decoy.
func (h *bobHalf) count(a, b source) {
	switch {
	case a.nothing() && b.nothing():
		h.n[cVacuum]++
	case b.nothing() && a == weak:
		h.n[cA1]++
	case b.nothing() && a == strong:
		h.n[cA2]++
	case a.nothing() && b == weak:
		h.n[cB1]++
	case a.nothing() && b == strong:
		h.n[cB2]++
	}
}

// Report implements events.Observer.
func (h *bobHalf) Report() []byte { return events.Tally(h.n[:]).Report() }
