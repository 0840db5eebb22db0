package node

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

func TestCoalition(t *testing.T) {
	for _, c := range []struct {
		paths []keymgmt.Path
		need  int
		want  int
	}{
		{[]keymgmt.Path{{"a", "b"}}, 1, 1},
		{[]keymgmt.Path{{"a", "x", "b"}, {"a", "y", "b"}}, 2, 2},
		{[]keymgmt.Path{{"a", "x", "b"}, {"a", "y", "b"}}, 1, 1},
		{[]keymgmt.Path{{"a", "x", "b"}, {"a", "x", "y", "b"}}, 2, 1},                                   // x sits on both
		{[]keymgmt.Path{{"a", "x", "b"}, {"a", "y", "b"}, {"a", "x", "z", "b"}}, 2, 1},                  // x knows two of three
		{[]keymgmt.Path{{"a", "x", "b"}, {"a", "y", "b"}, {"a", "x", "y", "b"}}, 3, 2},                  // x and y
		{[]keymgmt.Path{{"a", "b"}, {"a", "x", "b"}, {"a", "x", "y", "b"}}, 3, 3},                       // nobody sits on the link
		{[]keymgmt.Path{{"a", "x", "b"}, {"a", "y", "b"}, {"a", "z", "b"}, {"a", "z", "w", "b"}}, 3, 2}, // z and any other
	} {
		if got := coalition(keymgmt.Route{Paths: c.paths, Need: c.need}); got != c.want {
			t.Errorf("%v, need %d: %d relays, want %d", c.paths, c.need, got, c.want)
		}
	}
}

// given is a route source that says what a test wants.
type given map[int]keymgmt.Route

func (g given) Route(_ qsc.NodeID, p keymgmt.Protection) (keymgmt.Route, error) {
	return g[p.Paths], nil
}

func TestGuardHoldsTheFloor(t *testing.T) {
	net, err := topology.Parse("diamond.toml", []byte(`
name = "diamond"
[[site]]
id = "s"
[[node]]
id = "a"
site = "s"
[[node]]
id = "x"
site = "s"
[[node]]
id = "y"
site = "s"
[[node]]
id = "b"
site = "s"
[[link]]
ends = ["a", "x"]
kind = "simulated"
rate = "1 Mbit/s"
[[link]]
ends = ["x", "b"]
kind = "simulated"
rate = "1 Mbit/s"
[[link]]
ends = ["a", "y"]
kind = "simulated"
rate = "1 Mbit/s"
[[link]]
ends = ["y", "b"]
kind = "simulated"
rate = "1 Mbit/s"
[[link]]
ends = ["x", "y"]
kind = "simulated"
rate = "1 Mbit/s"
`))
	if err != nil {
		t.Fatal(err)
	}
	x, y, xy := keymgmt.Path{"a", "x", "b"}, keymgmt.Path{"a", "y", "b"}, keymgmt.Path{"a", "x", "y", "b"}
	two := keymgmt.Route{Paths: []keymgmt.Path{x, y}, Need: 2, Disjoint: true}
	src := given{3: {Paths: []keymgmt.Path{x, y, xy}, Need: 2}, 2: two, 1: {Paths: []keymgmt.Path{x}, Need: 1, Disjoint: true}}
	g := newGuard("a", net, src)
	for p, want := range map[keymgmt.Protection]int{{}: 1, {Paths: 2}: 2, {Paths: 2, Need: 1}: 1, {Paths: 3}: 2, {Paths: 3, Need: 2}: 2} {
		if got := g.Floor("b", p); got != want {
			t.Errorf("floor of %+v is %d, want %d", p, got, want)
		}
	}
	// Three overlapping paths of which x knows two: the two disjoint ones instead.
	if r, err := g.Route("b", keymgmt.Protection{Paths: 3, Need: 2}); err != nil || len(r.Paths) != 2 || r.Need != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	// One path is up where the network has two: refused, not weakened.
	src[2] = src[1]
	if r, err := g.Route("b", keymgmt.Protection{Paths: 2}); !qsc.IsKind(err, qsc.Exhausted) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := g.Route("b", keymgmt.Protection{Paths: 2, Need: 1}); err != nil || len(r.Paths) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
