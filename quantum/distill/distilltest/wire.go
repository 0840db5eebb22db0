// Package distilltest is for tests of protocols and reconcilers: doubles, such as a
// pair of wires in memory, rounds between two ends, and what their results are
// compared with. It is imported by tests only.
package distilltest

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

type message struct {
	typ  byte
	body []byte
}

// Wire is one end of a wire in memory.
type Wire struct {
	in, out chan message
	cut     chan struct{}
	once    *sync.Once

	// Change, when set, sees every message received and may change it in place
	// or return another.
	Change func(typ byte, msg []byte) []byte

	mu       sync.Mutex
	messages int
	bytes    int64
}

// Pair returns the two ends of a wire that holds many messages on their way.
func Pair() (a, b *Wire) {
	x, y, cut, once := make(chan message, 1<<12), make(chan message, 1<<12), make(chan struct{}), new(sync.Once)
	return &Wire{in: x, out: y, cut: cut, once: once}, &Wire{in: y, out: x, cut: cut, once: once}
}

// Cut breaks the wire at both ends for good.
func (w *Wire) Cut() { w.once.Do(func() { close(w.cut) }) }

// Sent is what this end has sent.
func (w *Wire) Sent() (messages int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages, w.bytes
}

// Send implements distill.Wire.
func (w *Wire) Send(ctx context.Context, typ byte, msg []byte) error {
	if len(msg) > distill.MaxMessage {
		return qsc.E("distilltest.Send", qsc.Invalid, "", "a message of %d bytes: send it in parts", len(msg))
	}
	w.mu.Lock()
	w.messages++
	w.bytes += int64(len(msg))
	w.mu.Unlock()
	if ctx.Err() != nil { // before select chooses by lot
		return qsc.E("distilltest.Send", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
	select {
	case <-w.cut:
		return qsc.E("distilltest.Send", qsc.Unreachable, "", "the wire is cut")
	default:
	}
	select {
	case w.out <- message{typ, slices.Clone(msg)}:
		return nil
	case <-w.cut:
		return qsc.E("distilltest.Send", qsc.Unreachable, "", "the wire is cut")
	case <-ctx.Done():
		return qsc.E("distilltest.Send", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
}

// Receive implements distill.Wire. What came before the context's end or a cut is still
// received, and of the two the context's end is told: the other end may have cut the wire
// because of it.
func (w *Wire) Receive(ctx context.Context, typ byte, max int) ([]byte, error) {
	select {
	case m := <-w.in:
		return w.take(m, typ, max)
	default:
	}
	select {
	case m := <-w.in:
		return w.take(m, typ, max)
	case <-w.cut:
		select { // select chooses by lot: a message may have come before the cut
		case m := <-w.in:
			return w.take(m, typ, max)
		default:
		}
		if ctx.Err() != nil {
			return nil, qsc.E("distilltest.Receive", qsc.Timeout, "", "%w", context.Cause(ctx))
		}
		return nil, qsc.E("distilltest.Receive", qsc.Unreachable, "", "the wire is cut")
	case <-ctx.Done():
		return nil, qsc.E("distilltest.Receive", qsc.Timeout, "", "%w", context.Cause(ctx))
	}
}

func (w *Wire) take(m message, typ byte, max int) ([]byte, error) {
	if w.Change != nil {
		m.body = w.Change(m.typ, m.body)
	}
	if m.typ != typ || len(m.body) > max {
		return nil, qsc.E("distilltest.Receive", qsc.Corrupt, "", "message of type %#x and %d bytes, not of type %#x and at most %d", m.typ, len(m.body), typ, max)
	}
	return m.body, nil
}

// Both runs the two ends side by side and returns the error of each. When one
// fails the wire is cut, so that the other does not wait for ever.
func Both(ctx context.Context, run func(ctx context.Context, role distill.Role, w *Wire) error) (alice, bob error) {
	var errs [2]error
	var g errgroup.Group
	a, b := Pair()
	for i, w := range []*Wire{a, b} {
		g.Go(func() error {
			if errs[i] = run(ctx, distill.Role(i), w); errs[i] != nil {
				w.Cut()
			}
			return nil
		})
	}
	_ = g.Wait()
	return errs[0], errs[1]
}

// Sift runs a round's Sift at both ends.
func Sift(ctx context.Context, ends [2]distill.Protocol, start distill.Start) (sifted [2]*distill.Sifted, errs [2]error) {
	errs[0], errs[1] = Both(ctx, func(ctx context.Context, role distill.Role, w *Wire) (err error) {
		sifted[role], err = ends[role].Sift(ctx, w, start)
		return err
	})
	return sifted, errs
}

// Fail reports whether both ends failed alike.
func Fail(errs [2]error, kind qsc.Kind) bool {
	return qsc.IsKind(errs[0], kind) && qsc.IsKind(errs[1], kind)
}

// At is a fixed beginning of rounds.
func At(after time.Duration) distill.Start {
	return distill.Start{At: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).Add(after)}
}
