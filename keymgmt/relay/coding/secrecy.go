package coding

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
)

// Learns reports whether nodes that pool all they have learn anything of the
// group key: all announcements and the keys of all their own links. The links'
// keys are the unknowns of a system over GF(2), one for each bit position, and
// uniform; so either the key is in the span of what they have, and they know all
// of it, or they know nothing of it. No nodes at all is the eavesdropper.
func (p *Plan) Learns(nodes ...qsc.NodeID) bool {
	s := make(span, len(p.Links))
	for _, a := range p.Announce {
		s.add(s.vector(a.Known, a.Next))
	}
	for i, e := range p.ends {
		if slices.Contains(nodes, e[0]) || slices.Contains(nodes, e[1]) {
			s.add(s.vector(i))
		}
	}
	return s.contains(s.vector(0))
}

// span is a set of vectors over GF(2) in echelon form: the vector at i, if any,
// has its first one there.
type span []vector

type vector []uint64

func (s span) vector(ones ...int) vector {
	v := make(vector, (len(s)+63)/64)
	for _, i := range ones {
		v[i/64] ^= 1 << (i % 64)
	}
	return v
}

func (v vector) has(i int) bool { return v[i/64]>>(i%64)&1 == 1 }

// reduce takes out of v what s spans and returns the place of the first one left,
// or -1.
func (s span) reduce(v vector) int {
	for i := range s {
		if !v.has(i) {
			continue
		}
		if s[i] == nil {
			return i
		}
		for j := range v {
			v[j] ^= s[i][j]
		}
	}
	return -1
}

// add takes v in, which becomes the span's.
func (s span) add(v vector) {
	if i := s.reduce(v); i >= 0 {
		s[i] = v
	}
}

func (s span) contains(v vector) bool { return s.reduce(v) < 0 }
