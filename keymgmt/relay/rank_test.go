package relay

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/relay/algebra"
)

// The rank proof. Cores run a round on symbolic key: every link's key is a
// variable of its own, written as the unit vector, one byte for each variable.
// Since all that cores make of key is linear over GF(2^8), byte for byte, what
// they publish are then the rows of the matrix of announcements, and the key that
// the source gets is the row of the key. Whoever is in a coalition knows, besides
// all that is public, every key of his own links.

// symbols is a round on symbolic key.
type symbols struct {
	paths  []keymgmt.Path
	owners [][2]qsc.NodeID // of each variable: the ends of its link
	public algebra.Span
	rows   int
	key    []byte
}

// symbolic runs one round to its end. n is at least the number of variables.
func symbolic(t *testing.T, paths []keymgmt.Path, need, n int, hop bool) *symbols {
	t.Helper()
	w := newWorld(t)
	s := &symbols{paths: paths}
	w.fresh = func(from, to qsc.NodeID, size int) []byte {
		key := make([]byte, size)
		key[len(s.owners)] = 1
		s.owners = append(s.owners, [2]qsc.NodeID{from, to})
		return key
	}
	w.public = func(_, _ qsc.NodeID, m *message) {
		for _, row := range [][]byte{m.Public, m.Fix, m.Carried} {
			if len(row) > 0 {
				s.public.Add(bytes.TrimRight(row, "\x00"))
				s.rows++
			}
		}
	}
	for _, p := range paths {
		for _, id := range p {
			w.node(id)
			w.restart(id, hop)
		}
	}
	id, out := w.start(paths, need, n)
	w.quick(w.nodes[id.Source], out)
	if err := w.judge(id, w.asked[id]); err != nil || w.asked[id].key == nil {
		t.Fatalf("the round was not made: %v", err)
	}
	s.key = bytes.TrimRight(w.asked[id].key, "\x00")
	return s
}

// quick performs effects at once, and what follows from them.
func (w *world) quick(a *actor, out effects) {
	for _, m := range out.Sends {
		b := w.node(m.To)
		got, err := parse(w.wire(a.id, m.To, m.Msg))
		if err != nil {
			w.t.Fatal(err)
		}
		w.quick(b, w.step(b, evMessage{a.id, got}))
	}
	for _, j := range out.Jobs {
		if ev := w.perform(a, j); ev != nil {
			w.quick(a, w.step(a, ev))
		}
	}
}

// learns reports whether a coalition can compute the key.
func (s *symbols) learns(coalition []qsc.NodeID) bool {
	span := s.public.Clone()
	for v, ends := range s.owners {
		if slices.Contains(coalition, ends[0]) || slices.Contains(coalition, ends[1]) {
			span.Add(algebra.Unit(v))
		}
	}
	return span.Knows(s.key)
}

// touched counts the paths on which a coalition has a relay.
func (s *symbols) touched(coalition []qsc.NodeID) (n int) {
	for _, p := range s.paths {
		if slices.ContainsFunc(p[1:len(p)-1], func(id qsc.NodeID) bool { return slices.Contains(coalition, id) }) {
			n++
		}
	}
	return n
}

// relays lists all nodes between.
func (s *symbols) relays() []qsc.NodeID {
	var ids []qsc.NodeID
	for _, p := range s.paths {
		for _, id := range p[1 : len(p)-1] {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// prove checks a coalition against the promise: it learns the key if it has a
// relay on as many paths as are needed, and nothing if it has not.
func (s *symbols) prove(t *testing.T, need int, coalition []qsc.NodeID) {
	t.Helper()
	if got, promised := s.learns(coalition), s.touched(coalition) >= need; got != promised {
		t.Errorf("%d of paths %v: that %v learns the key is %t", need, s.paths, coalition, got)
	}
}

// TestRankOnAllSmallGraphs takes every set of one to three disjoint paths, and
// every coalition. Paths of the complete graph are the paths of all graphs; key of
// links that a round does not use is independent of all it publishes.
func TestRankOnAllSmallGraphs(t *testing.T) {
	nodes := 6
	if os.Getenv("QSC_LONG") != "" {
		nodes = 7
	}
	sets, coalitions := 0, 0
	for _, paths := range disjointSets(simplePaths(nodes), 3) {
		sets++
		for need := 1; need <= len(paths); need++ {
			s := symbolic(t, paths, need, 64, sets%5 == 0)
			relays := s.relays()
			for c := range 1 << len(relays) {
				var coalition []qsc.NodeID
				for i, id := range relays {
					if c>>i&1 == 1 {
						coalition = append(coalition, id)
					}
				}
				s.prove(t, need, coalition)
				coalitions++
			}
		}
	}
	t.Logf("%d sets of paths, %d coalitions", sets, coalitions)
	if sets < 100 || coalitions < 1000 {
		t.Error("too few to prove anything")
	}
}

// simplePaths lists the paths from node 0 to node 1 of a complete graph.
func simplePaths(nodes int) (all []keymgmt.Path) {
	var walk func(p keymgmt.Path)
	walk = func(p keymgmt.Path) {
		all = append(all, append(slices.Clone(p), "n1"))
		for i := 2; i < nodes; i++ {
			if id := qsc.NodeID(fmt.Sprint("n", i)); !slices.Contains(p, id) {
				walk(append(slices.Clone(p), id))
			}
		}
	}
	walk(keymgmt.Path{"n0"})
	return all
}

// disjointSets lists the sets of up to m pairwise disjoint paths.
func disjointSets(all []keymgmt.Path, m int) (sets [][]keymgmt.Path) {
	var pick func(set []keymgmt.Path, from int)
	pick = func(set []keymgmt.Path, from int) {
		if len(set) > 0 {
			sets = append(sets, slices.Clone(set))
		}
		for i := from; i < len(all) && len(set) < m; i++ {
			if next := append(slices.Clone(set), all[i]); disjoint(next) {
				pick(next, i+1)
			}
		}
	}
	pick(nil, 0)
	return sets
}

// TestRankOnLargeGraphs samples pairs, paths and coalitions on a random network of
// 100 nodes and on the built-in ones; large rounds too, whose announcements merge.
func TestRankOnLargeGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for name, g := range map[string]graph{"random": randomGraph(r, 100, 4), "tokyo": builtin(t, "tokyo"), "tohoku": builtin(t, "tohoku")} {
		many := 0
		for range 40 {
			ids := g.nodes()
			from, to := ids[r.IntN(len(ids))], ids[r.IntN(len(ids))]
			paths := g.paths(r, from, to, 1+r.IntN(4))
			if len(paths) == 0 {
				continue
			}
			if len(paths) > 1 {
				many++
			}
			need := 1 + r.IntN(len(paths))
			s := symbolic(t, paths, need, []int{256, 5000}[r.IntN(2)], r.IntN(8) == 0)
			for range 20 {
				s.prove(t, need, sample(r, s.relays()))
			}
			s.prove(t, need, nil)
		}
		if many == 0 && name != "tokyo" {
			t.Errorf("%s: no pair with two paths", name)
		}
	}
}

func sample(r *rand.Rand, ids []qsc.NodeID) (some []qsc.NodeID) {
	for _, id := range ids {
		if r.IntN(4) == 0 {
			some = append(some, id)
		}
	}
	return some
}

// TestRankProofCanFail shows that the proof sees a leak: one link key too much
// in public, and everybody knows the key of a path.
func TestRankProofCanFail(t *testing.T) {
	s := symbolic(t, []keymgmt.Path{{"n0", "a", "b", "n1"}, {"n0", "c", "n1"}}, 2, 64, false)
	if s.learns([]qsc.NodeID{"a", "b"}) || !s.learns([]qsc.NodeID{"a", "c"}) {
		t.Error("the proof does not hold to begin with")
	}
	if s.rows != 4 || s.public.Rank() != 3 {
		t.Errorf("%d rows of rank %d are public: want three announcements, one of them passed on", s.rows, s.public.Rank())
	}
	s.public.Add(algebra.Unit(slices.Index(s.owners, [2]qsc.NodeID{"a", "b"})))
	if !s.learns([]qsc.NodeID{"c"}) {
		t.Error("a link key became public, and the proof does not see it")
	}
}

// graph is a network by its links.
type graph map[qsc.NodeID][]qsc.NodeID

func (g graph) join(a, b qsc.NodeID) {
	if a != b && !slices.Contains(g[a], b) {
		g[a], g[b] = append(g[a], b), append(g[b], a)
	}
}

func (g graph) nodes() []qsc.NodeID {
	var ids []qsc.NodeID
	for id := range g {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func randomGraph(r *rand.Rand, n, degree int) graph {
	g := graph{}
	name := func(i int) qsc.NodeID { return qsc.NodeID(fmt.Sprint("n", i)) }
	for i := range n {
		for range degree / 2 {
			g.join(name(i), name(r.IntN(n)))
		}
	}
	return g
}

// builtin reads the links of a built-in network from its description, whose
// package lies on a higher floor.
func builtin(t *testing.T, name string) graph {
	b, err := os.ReadFile("../../control/topology/" + name + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	g := graph{}
	for _, m := range regexp.MustCompile(`ends\s*=\s*\["([^"]+)", "([^"]+)"\]`).FindAllStringSubmatch(string(b), -1) {
		g.join(qsc.NodeID(m[1]), qsc.NodeID(m[2]))
	}
	if len(g) < 4 {
		t.Fatalf("%s has %d nodes: the description changed its form", name, len(g))
	}
	return g
}

// paths returns up to m disjoint paths, each a random shortest one of what is
// left.
func (g graph) paths(r *rand.Rand, from, to qsc.NodeID, m int) (paths []keymgmt.Path) {
	if from == to {
		return nil
	}
	used := map[qsc.NodeID]bool{}
	for range m {
		p := g.shortest(r, from, to, used, len(paths) > 0)
		if p == nil || !disjoint(append(slices.Clone(paths), p)) {
			break
		}
		paths = append(paths, p)
		for _, id := range p[1 : len(p)-1] {
			used[id] = true
		}
	}
	return paths
}

func (g graph) shortest(r *rand.Rand, from, to qsc.NodeID, used map[qsc.NodeID]bool, indirect bool) keymgmt.Path {
	seen := map[qsc.NodeID]bool{from: true}
	for queue := []keymgmt.Path{{from}}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		next := slices.Clone(g[p[len(p)-1]])
		r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		for _, id := range next {
			switch q := append(slices.Clone(p), id); {
			case id == to && !(indirect && len(q) == 2):
				return q
			case id != to && !seen[id] && !used[id]:
				seen[id] = true
				queue = append(queue, q)
			}
		}
	}
	return nil
}
