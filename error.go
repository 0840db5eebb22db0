package qsc

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure an Error is. Kinds travel on the wire as
// numbers: they are only ever appended to, never reordered.
type Kind uint8

// The kinds of failure.
const (
	Other        Kind = iota // anything without a kind of its own
	Invalid                  // the request or the input is malformed
	NotFound                 // no such object, link, node or key
	Exists                   // the name is taken
	Denied                   // the caller may not do this
	Exhausted                // no key left; it may come again
	Unreachable              // the peer does not answer
	Tampered                 // a tag failed: somebody changed the bytes
	Corrupt                  // stored bytes are damaged or cut short
	NoSpace                  // a disk or a quota is full
	Insufficient             // fewer live shares or sites than are needed
	Conflict                 // two states disagree: versions, epochs, burn maps
	Busy                     // somebody else holds the directory or the lock
	Timeout                  // the deadline passed or the caller went away
	Unsupported              // known, but not offered here
	Scarce                   // too few counts to say anything
	Noisy                    // the error rate is too high
	Keyless                  // what was measured leaves no secret key
	Replayed                 // a message of another time
	kindCount
)

var kindText = [kindCount]string{
	"error", "invalid input", "not found", "already exists", "denied",
	"key exhausted", "peer unreachable", "tampering detected", "corrupt data",
	"no space left", "not enough shares", "conflict", "busy", "timed out",
	"unsupported", "too few counts", "error rate too high", "no secret key",
	"replayed message",
}

// String returns the kind in words.
func (k Kind) String() string {
	if k < kindCount {
		return kindText[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is the error of every floor. Its text never holds key, pad, share or
// patient data.
type Error struct {
	Op   string // the operation, "ledger.Reserve"
	Kind Kind
	Node string // the node, site or link concerned, if any
	Err  error  // the cause, in words that say what to do next
}

// E makes an Error. The message is formatted as by fmt.Errorf, %w included.
func E(op string, kind Kind, node string, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Node: node, Err: fmt.Errorf(format, args...)}
}

// Error prints "op: node: kind: cause".
func (e *Error) Error() string {
	var parts []string
	for _, s := range []string{e.Op, e.Node} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Kind != Other {
		parts = append(parts, e.Kind.String())
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain that has one,
// and Other when there is none.
func KindOf(err error) Kind {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return Other
		}
		if e.Kind != Other {
			return e.Kind
		}
		err = e.Err
	}
	return Other
}

// IsKind reports whether err is of kind k.
func IsKind(err error, k Kind) bool { return err != nil && KindOf(err) == k }
