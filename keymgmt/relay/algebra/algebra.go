// Package algebra is what the rank proof of the relay counts with: the span of
// public announcements over GF(2^8). A row gives the coefficients of one
// announcement in the variables, which are link keys, uniform and independent.
// A combination of the variables that lies in the span of what somebody knows is
// known to him; one that does not is uniform to him.
//
// XOR-only rows have coefficients 0 and 1, and GF(2) is a subfield: whether such
// a row lies in the span of others is the same over both.
//
// The package is for proofs: it is not constant-time and meets no key.
package algebra

import (
	"maps"

	"github.com/quantum-secure-cloud/qsc/its/gf"
)

// Span is the space that some rows span. The zero value is the space of nothing.
type Span struct {
	rows map[int][]byte // by the index of their first coefficient, which is 1
}

// Add takes a row in, without keeping it, and reports whether it was new to the
// span. Missing coefficients at the end of a row are zero.
func (s *Span) Add(row []byte) bool {
	rest := s.reduce(row)
	lead := first(rest)
	if lead < 0 {
		return false
	}
	inverse := gf.Inv(rest[lead])
	for i, x := range rest {
		rest[i] = gf.Mul(x, inverse)
	}
	if s.rows == nil {
		s.rows = map[int][]byte{}
	}
	s.rows[lead] = rest
	return true
}

// Knows reports whether a row lies in the span.
func (s *Span) Knows(row []byte) bool { return first(s.reduce(row)) < 0 }

// Rank returns the dimension of the span.
func (s *Span) Rank() int { return len(s.rows) }

// Clone returns a span of its own that holds the same.
func (s *Span) Clone() *Span {
	c := &Span{rows: map[int][]byte{}}
	maps.Copy(c.rows, s.rows) // a row is never changed
	return c
}

// Unit is the row of one variable alone.
func Unit(variable int) []byte {
	row := make([]byte, variable+1)
	row[variable] = 1
	return row
}

// reduce returns what is left of a row after all that the span has of it.
func (s *Span) reduce(row []byte) []byte {
	rest := append([]byte(nil), row...)
	for i := 0; i < len(rest); i++ {
		base, ok := s.rows[i]
		if rest[i] == 0 || !ok {
			continue
		}
		for len(rest) < len(base) {
			rest = append(rest, 0)
		}
		factor := rest[i]
		for j := i; j < len(base); j++ {
			rest[j] ^= gf.Mul(factor, base[j])
		}
	}
	return rest
}

// first returns the index of the first coefficient that is not zero, or -1.
func first(row []byte) int {
	for i, x := range row {
		if x != 0 {
			return i
		}
	}
	return -1
}
