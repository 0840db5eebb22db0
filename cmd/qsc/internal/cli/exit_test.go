package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// Every Kind has exactly one code, and the codes are these for good.
func TestExitCodesAreKept(t *testing.T) {
	want := map[qsc.Kind]int{
		qsc.Other: 1, qsc.Invalid: 2, qsc.NotFound: 3, qsc.Exists: 4, qsc.Exhausted: 5, qsc.Unreachable: 6, qsc.Tampered: 7,
		qsc.Corrupt: 7, qsc.NoSpace: 8, qsc.Insufficient: 9, qsc.Denied: 10, qsc.Conflict: 11, qsc.Busy: 12, qsc.Timeout: 13, qsc.Unsupported: 14,
		qsc.Scarce: 15, qsc.Noisy: 15, qsc.Keyless: 15, qsc.Replayed: 15,
	}
	for k := qsc.Other; !strings.HasPrefix(k.String(), "kind "); k++ {
		got := codeOf(t.Context(), fmt.Errorf("wrapped: %w", qsc.E("x", k, "", "y")))
		if got != want[k] {
			t.Errorf("%s: exit code %d, want %d", k, got, want[k])
		}
	}
	if got := codeOf(t.Context(), nil); got != 0 {
		t.Errorf("no error: %d", got)
	}
	if got := codeOf(t.Context(), usage{errors.New("x")}); got != 2 {
		t.Errorf("usage: %d", got)
	}
	if got := codeOf(t.Context(), fmt.Errorf("write: %w", syscall.EPIPE)); got != 141 {
		t.Errorf("a reader that went away: %d", got)
	}
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 143} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(interrupted{sig})
		if got := codeOf(ctx, qsc.E("x", qsc.Timeout, "", "y")); got != code {
			t.Errorf("%v: %d, want %d", sig, got, code)
		}
	}
}

func TestComplaintIsOneLineOrOneObject(t *testing.T) {
	err := qsc.E("vault.Get", qsc.Insufficient, "home", "few: %w", errors.Join(errors.New("a"), errors.New("b")))
	var b bytes.Buffer
	complain(&b, false, err, 9)
	if want := "qsc: home: not enough shares: few: a; b\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	complain(&b, true, err, 9)
	if want := `{"error":{"code":9,"kind":"not enough shares","node":"home","text":"home: not enough shares: few: a; b"}}` + "\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	complain(&b, false, syscall.EPIPE, exitPipe)
	if b.Len() > 0 {
		t.Errorf("said %q to nobody", b.String())
	}
}
