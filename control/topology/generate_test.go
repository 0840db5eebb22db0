package topology

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// Every size comes out as asked for, parses to itself, and nobody hangs on one
// link.
func TestGenerateEverySize(t *testing.T) {
	sizes := []int{100, 255, 256, 257, 500, 1000}
	for n := MinGenerated; n < 80; n++ {
		sizes = append(sizes, n)
	}
	for _, size := range sizes {
		for _, shape := range []string{ShapeBackbone, ShapeMetro} {
			n, err := Generate(GenerateConfig{Nodes: size, Shape: shape, Seed: uint64(size), Simulated: size%2 == 0})
			if err != nil {
				t.Fatal(err)
			}
			back, err := Parse("generated", n.Marshal())
			if err != nil || !reflect.DeepEqual(n, back) {
				t.Fatalf("%s: does not come back from its text: %v", n.Name, err)
			}
			checkShape(t, n, size)
		}
	}
}

func checkShape(t *testing.T, n *Network, size int) {
	t.Helper()
	if len(n.Nodes) != size {
		t.Errorf("%s has %d nodes", n.Name, len(n.Nodes))
	}
	two := 0
	for _, d := range n.Nodes {
		switch ways := len(n.Neighbours(d.ID)); {
		case ways < 2:
			t.Errorf("%s: node %s has %d links", n.Name, d.ID, ways)
		case ways == 2:
			two++
		}
	}
	if size >= 50 && two > size/5 {
		t.Errorf("%s: %d of %d nodes have only two links", n.Name, two, size)
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, c := range []GenerateConfig{
		{Nodes: MinGenerated - 1}, {Nodes: MaxGenerated + 1}, {Nodes: -1}, {Nodes: 100, Shape: "star"}, {Nodes: 100, Name: "No"},
	} {
		if _, err := Generate(c); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestGenerateFollowsItsSeed(t *testing.T) {
	text := func(seed uint64) []byte {
		n, err := Generate(GenerateConfig{Nodes: 100, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return n.Marshal()
	}
	if !bytes.Equal(text(1), text(1)) {
		t.Error("one seed, two networks")
	}
	if bytes.Equal(text(1), text(2)) {
		t.Error("two seeds, one network")
	}
}

// Names stand for networks, and nothing else does.
func TestGeneratedNames(t *testing.T) {
	for _, name := range []string{"backbone-100", "backbone-1000", "backbone-12", "metro-30"} {
		n := load(t, name)
		if n.Name != name || !bytes.Equal(Source(name), n.Marshal()) {
			t.Errorf("%s is called %s, or its text is another's", name, n.Name)
		}
	}
	for _, name := range []string{"backbone-", "backbone-11", "backbone-0100", "backbone-+100", "backbone-10001", "backbone", "mesh-100", "backbone-1e3", "metro-99999999999999999999"} {
		if _, err := Load(name); !qsc.IsKind(err, qsc.NotFound) || Source(name) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Structure is part of the name for good: stored state refers to it.
	n := load(t, "backbone-100")
	got := fmt.Sprintln(len(n.Links), n.Links[0].ID, n.Links[23].ID, n.Links[60].ID, n.Links[len(n.Links)-1].ID)
	if want := "180 trunk00-trunk01 trunk14-trunk15 metro0-04-trunk04 metro3-20-metro3-14\n"; got != want {
		t.Errorf("backbone-100 has become another network: %s", got)
	}
}

func TestFibreLink(t *testing.T) {
	for _, c := range []struct {
		km        float64
		kind      string
		low, high qsc.BitRate
	}{
		{0.1, "cv", 90e6, 100e6}, {25, "cv", 4.5e6, 5.5e6}, {26, "bb84", 1e6, 3e6},
		{45, "bb84", 200e3, 600e3}, {60, "bb84", 100e3, 200e3}, {202, "twin-field", 100e3, 120e3}, {5000, "twin-field", 1, 1},
	} {
		kind, rate := fibreLink(c.km)
		if kind != c.kind || rate < c.low || rate > c.high {
			t.Errorf("%v km: %s at %v", c.km, kind, rate)
		}
	}
	for _, r := range reaches {
		if k, ok := kindOf(r.kind); !ok || !k.Physical || r.anchor == "" {
			t.Errorf("kind %s", r.kind)
		}
	}
}

func TestApplications(t *testing.T) {
	n := load(t, "backbone-1000")
	apps, pairs, err := n.Applications(ApplicationConfig{Count: 10_000, Seed: 1})
	if err != nil || len(apps) != 10_000 || len(pairs) != 10_000 {
		t.Fatalf("%d applications, %d pairs, %v", len(apps), len(pairs), err)
	}
	atNode := map[qsc.NodeID]int{}
	for _, a := range apps {
		atNode[a.Node]++
		if strings.HasPrefix(string(a.Node), "trunk") {
			t.Fatalf("%s is at %s, a relay without users", a.ID, a.Node)
		}
	}
	for id, count := range atNode {
		if count > 24 {
			t.Errorf("%d applications at %s; an access node takes 24", count, id)
		}
	}
	near := 0
	for i, p := range pairs {
		a, b := apps[p.Master], apps[p.Slave]
		if p.Master != i || a.Node == b.Node || p.Need > p.Paths || p.Min > p.Mean || p.Mean > p.Max {
			t.Fatalf("pair %d: %+v at %s and %s", i, p, a.Node, b.Node)
		}
		if a.Node[:7] == b.Node[:7] {
			near++
		}
	}
	if near < 4_500 || near > 6_000 {
		t.Errorf("%d of 10,000 pairs are in one city; half should be", near)
	}
	again, pairsAgain, _ := n.Applications(ApplicationConfig{Count: 10_000, Seed: 1})
	if !slices.Equal(apps, again) || !slices.Equal(pairs, pairsAgain) {
		t.Error("not the same twice")
	}
}

// Few applications, few nodes: partners are there and elsewhere.
func TestApplicationsFew(t *testing.T) {
	for _, name := range []string{"tokyo", "tohoku", "metro-12", "backbone-100"} {
		n := load(t, name)
		for count := 2; count < 40; count++ {
			apps, pairs, err := n.Applications(ApplicationConfig{Count: count, Seed: uint64(count)})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pairs {
				if p.Slave < 0 || p.Slave >= count || apps[p.Master].Node == apps[p.Slave].Node {
					t.Fatalf("%s, %d applications: %+v", name, count, p)
				}
			}
		}
	}
	for _, count := range []int{-1, 0, 1, MaxApplications + 1} {
		if _, _, err := load(t, "tokyo").Applications(ApplicationConfig{Count: count}); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%d applications: %v", count, err)
		}
	}
}

func TestUsagesAddUp(t *testing.T) {
	sum := 0
	for _, u := range usages {
		sum += u.percent
	}
	if sum != 100 {
		t.Errorf("%d percent of demand", sum)
	}
}

func BenchmarkGenerate1000(b *testing.B) {
	for b.Loop() {
		if _, err := Generate(GenerateConfig{Nodes: 1000}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse1000(b *testing.B) {
	text := Source("backbone-1000")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse("backbone-1000", text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMarshal1000(b *testing.B) {
	n, _ := generated("backbone-1000")
	for b.Loop() {
		n.Marshal()
	}
}
