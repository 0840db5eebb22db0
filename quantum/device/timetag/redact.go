package timetag

import "fmt"

// Which detector clicked is the key before it is sifted: it has no printed form.

const redacted = "[secret]"

// Format implements fmt.Formatter for every verb.
func (e Event) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// Format implements fmt.Formatter for every verb.
func (r Raw) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// Format implements fmt.Formatter for every verb.
func (v Values) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText keeps encoders from reaching an event.
func (e Event) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText keeps encoders from reaching the events.
func (r Raw) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalText keeps encoders from reaching the values.
func (v Values) MarshalText() ([]byte, error) { return []byte(redacted), nil }
