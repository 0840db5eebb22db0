package transport

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func TestSendErrors(t *testing.T) {
	w := newHearingWorld(t, 1<<20, nil, nil) // nobody hears: dropped
	for range 100 {
		if err := say(t.Context(), w.a, "b", make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.a.Send(t.Context(), "nobody"); !qsc.IsKind(err, qsc.NotFound) {
		t.Error("got", err)
	}
	if err := w.a.Send(t.Context(), "b", make([]byte, MaxPublic), []byte{1}); !qsc.IsKind(err, qsc.Invalid) {
		t.Error("got", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := w.a.Send(ctx, "b", nil); !qsc.IsKind(err, qsc.Timeout) {
		t.Error("got", err)
	}
	_ = w.wire.l.Close()
	_ = w.b.Close()
	for err := error(nil); !qsc.IsKind(err, qsc.Unreachable); {
		if err = w.a.Send(t.Context(), "b", make([]byte, 1000)); err != nil && !qsc.IsKind(err, qsc.Unreachable) {
			t.Fatal("got", err)
		}
	}
	_ = w.a.Close()
	if err := w.a.Send(t.Context(), "b", nil); !qsc.IsKind(err, qsc.Unreachable) {
		t.Error("got", err)
	}
}

// A sender that waits for the window learns of the session's end, and so does the
// receiver.
func TestSessionEndsUnderMessages(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	w := newHearingWorld(t, 8<<20, nil, func(ctx context.Context, _ qsc.NodeID, _ []byte) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
	})
	if err := say(t.Context(), w.a, "b", nil); err != nil {
		t.Fatal(err)
	}
	<-began
	const fit = publicWindow/(1<<20) - 1
	for range fit {
		if err := w.a.Send(t.Context(), "b", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- w.a.Send(t.Context(), "b", make([]byte, 1<<20)) }()
	a, _, _ := w.a.links[0].current()
	b, _, _ := w.b.links[0].current()
	for len(a.pub.turn) == 0 { // it waits for the window
		time.Sleep(time.Millisecond)
	}
	for _, s := range []*session{b, a} {
		s.fail(qsc.E("test", qsc.Exhausted, "", "a frame that cannot be opened"))
	}
	if err := <-done; !qsc.IsKind(err, qsc.Unreachable) {
		t.Error("got", err)
	}
	if err := <-ended; err == nil {
		t.Error("the receiver's context did not end")
	}
}

// Of two connections whose handshakes overlap at B only one carries the session.
func TestHandshakesOverlap(t *testing.T) {
	w := newWorld(t, 8<<20)
	if err := echo(t.Context(), w.a, "b", nil, noise(1, 1000)); err != nil {
		t.Fatal(err)
	}
	seen := func() uint64 { return w.lb.Marks().Lanes[keymgmt.RecvControl(1)].Pos }
	soon := func(done func() bool) {
		for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it never came so far")
			}
		}
	}
	held, release := make(chan struct{}), make(chan struct{})
	w.lb.mu.Lock()
	w.lb.hold = func() { close(held); <-release }
	w.lb.mu.Unlock()
	w.wire.cut()
	<-held // the first handshake
	first := seen()
	w.wire.cut()
	soon(func() bool { return seen() > first }) // the second
	close(release)
	if err := echo(t.Context(), w.a, "b", nil, noise(2, 1000)); err != nil {
		t.Fatal(err)
	}
	if !w.b.Status()[0].Up {
		t.Error("the session is carried, and its link counts as down")
	}
}
