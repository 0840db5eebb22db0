package qsc_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// Kinds travel as numbers.
func TestKindsAreFixed(t *testing.T) {
	for i, want := range []string{
		"error", "invalid input", "not found", "already exists", "denied", "key exhausted", "peer unreachable",
		"tampering detected", "corrupt data", "no space left", "not enough shares", "conflict", "busy", "timed out", "unsupported",
	} {
		if got := qsc.Kind(i).String(); got != want {
			t.Errorf("kind %d is %q, was %q: kinds are appended to, never moved", i, got, want)
		}
	}
	if got := qsc.Kind(200).String(); got != "kind 200" {
		t.Errorf("a kind from a newer peer prints as %q", got)
	}
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]error{
		"ledger.Reserve: ab: key exhausted: provision the link": qsc.E("ledger.Reserve", qsc.Exhausted, "ab", "provision %s", "the link"),
		"op: cause":      qsc.E("op", qsc.Other, "", "cause"),
		"op: timed out":  &qsc.Error{Op: "op", Kind: qsc.Timeout},
		"node: cause":    &qsc.Error{Node: "node", Err: errors.New("cause")},
		"outer: op: EOF": qsc.E("outer", qsc.Other, "", "%w", qsc.E("op", qsc.Other, "", "%w", io.EOF)),
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	tampered := qsc.E("in", qsc.Tampered, "site", "%w", io.ErrUnexpectedEOF)
	for _, c := range []struct {
		err  error
		kind qsc.Kind
	}{
		{nil, qsc.Other},
		{io.EOF, qsc.Other},
		{tampered, qsc.Tampered},
		{fmt.Errorf("around: %w", tampered), qsc.Tampered},
		{qsc.E("out", qsc.Other, "", "%w", tampered), qsc.Tampered},
		{qsc.E("out", qsc.Unreachable, "", "%w", tampered), qsc.Unreachable},
		{errors.Join(io.EOF, tampered), qsc.Tampered},
		{qsc.E("out", qsc.Other, "", "%w", io.EOF), qsc.Other},
	} {
		if got := qsc.KindOf(c.err); got != c.kind {
			t.Errorf("%v: kind %v, want %v", c.err, got, c.kind)
		}
		if qsc.IsKind(c.err, c.kind) != (c.err != nil) {
			t.Errorf("IsKind(%v, %v) disagrees", c.err, c.kind)
		}
	}
	if !errors.Is(tampered, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
}
