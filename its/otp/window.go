package otp

import (
	"math"
	"slices"
	"sort"

	"github.com/quantum-secure-cloud/qsc"
)

// Span is the stretch [From, To) of a lane's pad stream.
type Span struct{ From, To uint64 }

// Window is a receiver's memory of what it consumed of one lane: a floor, below
// which everything is refused, and a bounded number of disjoint spans above it.
// Below each span lies a gap, key whose frame has not come. It is not safe for
// concurrent use.
type Window struct {
	floor uint64
	gaps  int // allowed
	spans []Span
}

// NewWindow makes the memory of a lane of which everything below floor is
// consumed. It holds at most gaps gaps, at least one.
func NewWindow(floor uint64, gaps int) *Window {
	gaps = max(gaps, 1)
	return &Window{floor: floor, gaps: gaps, spans: make([]Span, 0, gaps+1)}
}

// Floor returns the position below which everything is refused.
func (w *Window) Floor() uint64 { return w.floor }

// Next returns the position above everything consumed.
func (w *Window) Next() uint64 {
	if len(w.spans) == 0 {
		return w.floor
	}
	return w.spans[len(w.spans)-1].To
}

// Spans appends the spans consumed above the floor to dst, rising and never
// touching each other or the floor.
func (w *Window) Spans(dst []Span) []Span { return append(dst, w.spans...) }

// Check reports whether Add would accept the n bytes from pos, changing nothing.
// Errors: Conflict when any of them was consumed or lies below the floor;
// Invalid when n is not positive or the end is beyond every stream.
func (w *Window) Check(pos uint64, n int) error {
	_, err := w.find("otp.Window.Check", pos, n)
	return err
}

// Add records the n bytes from pos as consumed. If that makes one gap too many,
// the lowest is given up: its bytes count as consumed from now on, and their
// number is returned as burnt, for the ledger's account. Errors as Check; then
// nothing changed.
func (w *Window) Add(pos uint64, n int) (burnt uint64, err error) {
	i, err := w.find("otp.Window.Add", pos, n)
	if err != nil {
		return 0, err
	}
	s := Span{pos, pos + uint64(n)}
	left := i > 0 && w.spans[i-1].To == s.From
	right := i < len(w.spans) && w.spans[i].From == s.To
	switch {
	case left && right:
		w.spans[i-1].To = w.spans[i].To
		w.spans = slices.Delete(w.spans, i, i+1)
	case left:
		w.spans[i-1].To = s.To
	case right:
		w.spans[i].From = s.From
	default:
		w.spans = slices.Insert(w.spans, i, s)
	}
	return w.settle(), nil
}

// Raise gives up everything below floor and returns how many bytes of it had
// not been consumed. A floor below the present one changes nothing.
func (w *Window) Raise(floor uint64) (burnt uint64) {
	for len(w.spans) > 0 && w.spans[0].From <= floor {
		burnt += w.drop()
	}
	if floor > w.floor {
		burnt += floor - w.floor
		w.floor = floor
		burnt += w.settle()
	}
	return burnt
}

// find returns where in the spans a new stretch belongs.
func (w *Window) find(op string, pos uint64, n int) (int, error) {
	if n <= 0 || pos > math.MaxUint64-uint64(n) {
		return 0, qsc.E(op, qsc.Invalid, "", "%d bytes at %d are no stretch of a stream", n, pos)
	}
	if pos < w.floor {
		return 0, qsc.E(op, qsc.Conflict, "", "replayed: position %d lies below the floor %d, drop the frame", pos, w.floor)
	}
	i := sort.Search(len(w.spans), func(i int) bool { return w.spans[i].To > pos })
	if i < len(w.spans) && w.spans[i].From < pos+uint64(n) {
		return 0, qsc.E(op, qsc.Conflict, "", "replayed: %d bytes at %d overlap what was consumed, drop the frame", n, pos)
	}
	return i, nil
}

// settle absorbs spans that touch the floor and keeps to the allowed gaps.
func (w *Window) settle() (burnt uint64) {
	for len(w.spans) > 0 && (w.spans[0].From == w.floor || len(w.spans) > w.gaps) {
		burnt += w.drop()
	}
	return burnt
}

// drop moves the floor above the lowest span and returns the gap's length.
func (w *Window) drop() (burnt uint64) {
	burnt = w.spans[0].From - w.floor
	w.floor = w.spans[0].To
	w.spans = slices.Delete(w.spans, 0, 1)
	return burnt
}
