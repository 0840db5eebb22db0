package distilltest

import (
	"context"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// What one end sent before it cut the wire reaches the other end: both see the
// same messages, whatever the scheduler does.
func TestCutAfterMessages(t *testing.T) {
	for range 200 {
		a, b := Pair()
		if err := a.Send(t.Context(), 1, []byte("last words")); err != nil {
			t.Fatal(err)
		}
		a.Cut()
		if m, err := b.Receive(t.Context(), 1, 100); err != nil || string(m) != "last words" {
			t.Fatalf("%q, %v: the message came before the cut", m, err)
		}
		if _, err := b.Receive(t.Context(), 1, 100); !qsc.IsKind(err, qsc.Unreachable) {
			t.Fatal("behind the last message:", err)
		}
	}
}

// Where the context has ended and the wire is cut because of it, the end of the context
// is told, each time; nothing is sent any more.
func TestContextEndsBeforeACut(t *testing.T) {
	for range 200 {
		a, b := Pair()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Send(ctx, 1, nil); !qsc.IsKind(err, qsc.Timeout) {
			t.Fatal("sent:", err)
		}
		a.Cut()
		if _, err := b.Receive(ctx, 1, 100); !qsc.IsKind(err, qsc.Timeout) {
			t.Fatal("received:", err)
		}
	}
}
