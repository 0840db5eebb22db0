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
//
// The bytes lie behind a pointer, so that not even %p or the printing of an
// enclosing struct's hidden field walks down to them.
type Secret struct{ b *[]byte }

// NewSecret takes ownership of b.
func NewSecret(b []byte) Secret { return Secret{&b} }

// Expose returns the bytes themselves, not a copy. The caller must not keep
// them beyond the secret's life.
func (s Secret) Expose() []byte {
	if s.b == nil {
		return nil
	}
	return *s.b
}

// Len returns the length in bytes.
func (s Secret) Len() int { return len(s.Expose()) }

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(o Secret) bool { return subtle.ConstantTimeCompare(s.Expose(), o.Expose()) == 1 }

// Zeroise overwrites the bytes in place. The garbage collector may have left
// no other copy only if nobody copied them.
func (s Secret) Zeroise() { clear(s.Expose()) }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps encoders from reaching the bytes.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
