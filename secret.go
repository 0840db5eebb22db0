package qsc

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[secret]"

// Secret is key, pad or share material. It has no printable form: every way of
// formatting, logging or marshalling it yields "[secret]". The bytes are
// reached only through Expose.
type Secret struct{ b []byte }

// NewSecret takes ownership of b.
func NewSecret(b []byte) Secret { return Secret{b} }

// Expose returns the bytes themselves, not a copy. The caller must not keep
// them beyond the secret's life.
func (s Secret) Expose() []byte { return s.b }

// Len returns the length in bytes.
func (s Secret) Len() int { return len(s.b) }

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s.b, o.b) == 1 }

// Zeroise overwrites the bytes in place. The garbage collector may have left
// no other copy only if nobody copied them.
func (s Secret) Zeroise() { clear(s.b) }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps encoders from reaching the bytes.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
