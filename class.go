package qsc

import "strings"

// Class is the security class of a stored object, a key or a channel. The zero
// value is information-theoretic; every bit that is set names one thing on the
// path that is weaker. The class of a path is the OR of its parts, so the
// weakest part always shows.
type Class uint8

// The things that take a path out of the information-theoretic class. The bits
// are written to disk and to the wire and are never reordered.
const (
	// ITS is information-theoretic security: nothing computational is on the path.
	ITS Class = 0
	// OSRandom marks bits drawn from the operating system's generator, which is
	// computational.
	OSRandom Class = 1 << 0
	// Simulated marks key made by a simulated link. It protects nothing.
	Simulated Class = 1 << 1
	// Computational marks a cipher, a signature or another computational
	// assumption on the path.
	Computational Class = 1 << 2
)

// Weakest returns the class of a path made of c and others.
func (c Class) Weakest(others ...Class) Class {
	for _, o := range others {
		c |= o
	}
	return c
}

// Level returns the single word for the class: "its" or "computational".
func (c Class) Level() string {
	if c == ITS {
		return "its"
	}
	return "computational"
}

// String returns the level and, behind it, every reason for not being its:
// "its", "computational (os-random)", "computational (os-random, simulated)".
func (c Class) String() string {
	if c == ITS {
		return "its"
	}
	var why []string
	if c&OSRandom != 0 {
		why = append(why, "os-random")
	}
	if c&Simulated != 0 {
		why = append(why, "simulated")
	}
	if c&Computational != 0 {
		why = append(why, "cipher")
	}
	if c&^(OSRandom|Simulated|Computational) != 0 {
		why = append(why, "unknown")
	}
	return "computational (" + strings.Join(why, ", ") + ")"
}

// MarshalText writes String, for JSON.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes; an unknown reason is kept as
// Computational, never dropped.
func (c *Class) UnmarshalText(b []byte) error {
	s := string(b)
	*c = ITS
	if s == "its" {
		return nil
	}
	if strings.Contains(s, "os-random") {
		*c |= OSRandom
	}
	if strings.Contains(s, "simulated") {
		*c |= Simulated
	}
	if strings.Contains(s, "cipher") || *c == ITS {
		*c |= Computational
	}
	return nil
}
