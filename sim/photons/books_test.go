package photons

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// books are the records of every round of every link, as each of its ends has told
// them.
type books struct {
	ends map[end]map[uint64]quantum.Record
}

type end struct {
	link qsc.LinkID
	end  int
}

func newBooks() *books { return &books{ends: map[end]map[uint64]quantum.Record{}} }

// asked is how many records one question is about: all that a node has at hand.
const asked = 1000

// read takes down what the running ends of all live links have to tell, and holds
// it against what they told before. It is called often enough that a node has not
// forgotten any.
func (n *network) read() {
	n.T.Helper()
	for _, l := range n.live() {
		for i, at := range l.Ends {
			if n.Fleet.PID(at) == 0 {
				continue
			}
			all, err := n.Client(at).Records(n.T.Context(), l.ID, asked)
			if err != nil {
				n.T.Fatal(l.ID, at, err)
			}
			n.books.take(n.fail, end{l.ID, i}, all)
		}
	}
}

func (n *network) fail(format string, args ...any) {
	n.T.Helper()
	n.T.Errorf(format, args...)
}

// take adds records, newest first, of one end.
func (b *books) take(fail func(string, ...any), at end, all []quantum.Record) {
	seen := b.ends[at]
	if seen == nil {
		seen = map[uint64]quantum.Record{}
		b.ends[at] = seen
	}
	for i, r := range all {
		if i > 0 && r.Round >= all[i-1].Round {
			fail("%v: round %d is told after round %d", at, all[i-1].Round, r.Round)
		}
		if old, ok := seen[r.Round]; ok && !same(old, r) {
			fail("%v: round %d is another than it was", at, r.Round)
		}
		seen[r.Round] = r
	}
}

// same reports whether two records tell of the same round alike. What floats say may
// differ in the last bits between machines.
func same(a, b quantum.Record) bool {
	if !near(a.Phi, b.Phi) || !near(a.QBER, b.QBER) || !near(a.Efficiency, b.Efficiency) || !a.ProducedAt.Equal(b.ProducedAt) || !alike(a.Params, b.Params) {
		return false
	}
	a.Params, a.Phi, a.QBER, a.Efficiency, a.ProducedAt = b.Params, b.Phi, b.QBER, b.Efficiency, b.ProducedAt
	return reflect.DeepEqual(a, b)
}

// alike compares what came of JSON.
func alike(a, b map[string]any) bool {
	return maps.EqualFunc(a, b, func(x, y any) bool {
		f, one := x.(float64)
		g, other := y.(float64)
		if one && other {
			return near(f, g)
		}
		return reflect.DeepEqual(x, y)
	})
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

// audit checks all that was taken down, and returns how many rounds both ends tell
// of.
func (b *books) audit(fail func(string, ...any)) (rounds int) {
	for at, list := range b.ends {
		b.stream(fail, at, list)
		if at.end == 1 {
			continue
		}
		for round, r := range list {
			o, ok := b.ends[end{at.link, 1}][round]
			if !ok {
				continue // a kill between the last tag and its answer
			}
			rounds++
			if !same(r, o) {
				fail("round %d of %s: one end has %s, the other %s", round, at.link, brief(r), brief(o))
			}
		}
	}
	return rounds
}

// stream checks one end's rounds: their blocks' numbers never come again, and what
// each says of itself adds up.
func (b *books) stream(fail func(string, ...any), at end, list map[uint64]quantum.Record) {
	next := uint64(0)
	for _, round := range slices.Sorted(maps.Keys(list)) {
		r := list[round]
		if r.FirstSeq < next {
			fail("%v: round %d begins with block %d, a round before has numbers up to %d", at, round, r.FirstSeq, next)
		}
		next = r.FirstSeq + uint64(r.Blocks)
		switch {
		case r.Link != at.link || r.Bound == "" || len(r.Params) == 0 || r.EpsSec <= 0 || r.EpsCor <= 0 || r.Auth <= 0:
			fail("%v: %s does not say under what it was made: %+v", at, brief(r), r)
		case r.Length > r.Sifted-r.Lost || r.Length <= 0 || r.Leak <= 0 || r.QBER >= 0.12:
			fail("%v: %s is more than can be secret: %+v", at, brief(r), r)
		}
	}
}

func brief(r quantum.Record) string {
	return fmt.Sprintf("round %d: %d blocks from %d, %d bits of %d sifted, error rate %.4f, leak %d", r.Round, r.Blocks, r.FirstSeq, r.Length, r.Sifted, r.QBER, r.Leak)
}

// balanced checks the ledgers' books at all nodes that run: what was produced is
// used, burnt or left, and the key of links that are simulated says so.
func (n *network) balanced() {
	n.T.Helper()
	for _, d := range n.Net.Nodes {
		if n.Fleet.PID(d.ID) == 0 {
			continue
		}
		s := n.Status(d.ID)
		if !s.Keys.Balanced || s.Keys.Relay.Tampered > 0 {
			n.T.Errorf("%s: the account of key does not balance, or a relay was tampered with: %+v", d.ID, s.Keys)
		}
		for _, l := range s.Links {
			if d, _ := n.Net.Link(l.ID); !l.Balanced || d.Physical() && l.Class&qsc.Simulated == 0 {
				n.T.Errorf("%s, link %s: balanced %t, class %v", s.Node, l.ID, l.Balanced, l.Class)
			}
		}
	}
}
