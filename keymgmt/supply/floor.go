package supply

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// A relay that lies can make up a round of one path through itself, and would
// know its key. So what comes in, and what is given out, is held to the number of
// relays that must come together to know it: Config.Floor, which rests on this
// node's own network description and nobody's word.

// holders is how many relays must come together to know a delivery's key, as far
// as this end can tell: overlapping paths count as one.
func holders(d keymgmt.Delivery) int {
	if d.Disjoint {
		return normal(keymgmt.Protection{Paths: d.Paths, Need: d.Need}).Need
	}
	return 1
}

// least is how many it must be for a protection.
func (s *Supply) least(peer qsc.NodeID, p keymgmt.Protection) int {
	if s.cfg.Floor == nil || peer == s.cfg.Node {
		return 1
	}
	return s.cfg.Floor(peer, normal(p))
}

// protected reports whether a delivery is good enough for the stream that it is
// for. An application stream is held to the policy of its pair as this node has
// it, a pool stream to what its first delivery was.
func (s *Supply) protected(st *stream, d keymgmt.Delivery) bool {
	least := s.least(st.peer, st.prot)
	if st.purpose == forApp {
		for _, pair := range [][2]qsc.AppID{{st.source, st.dest}, {st.dest, st.source}} {
			if p, ok := s.cfg.Directory.Allowed(pair[0], pair[1]); ok {
				least = max(least, s.least(st.peer, p.Protection))
			}
		}
	}
	return holders(d) >= least
}

// poolProtection is what a pool stream counts as, by its first delivery.
func poolProtection(d keymgmt.Delivery) keymgmt.Protection {
	p := normal(keymgmt.Protection{Paths: d.Paths, Need: d.Need})
	p.Need = holders(d)
	return p
}
