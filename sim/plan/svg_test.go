package plan

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// picture returns the words of a plan's picture, which must be well-formed, with
// numbers that are numbers.
func picture(t testing.TB, net *topology.Network) map[string]int {
	t.Helper()
	return wordsOf(t, made(t, Config{Network: net, Terminals: 2 * len(net.Nodes), From: sunday, Days: 1}))
}

func wordsOf(t testing.TB, p *Plan) map[string]int {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if bytes.Contains(b.Bytes(), []byte(bad)) {
			t.Errorf("%s: %s in the picture", p.Network, bad)
		}
	}
	words := map[string]int{}
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return words
		}
		if err != nil {
			t.Fatalf("%s: %v", p.Network, err)
		}
		if text, ok := token.(xml.CharData); ok {
			words[strings.TrimSpace(string(text))]++
		}
	}
}

func TestPictureNamesAll(t *testing.T) {
	for _, name := range []string{"tokyo", "global", "tohoku", "metro-24"} {
		net := load(t, name)
		words := picture(t, net)
		for _, l := range net.Links {
			if words[l.Kind] == 0 {
				t.Errorf("%s: no %s in the legend", name, l.Kind)
			}
		}
		for _, w := range ways {
			if words[w.name] != 1 {
				t.Errorf("%s: %d times %s", name, words[w.name], w.name)
			}
		}
		for _, n := range net.Nodes {
			s, _ := net.Site(n.Site)
			if words[string(n.ID)]+words[s.Title] == 0 {
				t.Errorf("%s: node %s has no name", name, n.ID)
			}
		}
	}
}

// Any small network gives a picture, with or without places, alike or far apart.
func TestPictureOfAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 5).Draw(rt, "nodes")
		var b strings.Builder
		b.WriteString("name = \"a<b&c\"\ntitle = \"<&>\"\n")
		for v := range nodes {
			fmt.Fprintf(&b, "[[site]]\nid = \"n%d\"\n", v)
			if rapid.Bool().Draw(rt, "placed") {
				fmt.Fprintf(&b, "location = [%d.0, %d.0]\n", rapid.IntRange(-90, 90).Draw(rt, "lat"), rapid.IntRange(-180, 180).Draw(rt, "lon"))
			}
			fmt.Fprintf(&b, "[[node]]\nid = \"n%d\"\n", v)
		}
		for v := 1; v < nodes; v++ {
			fmt.Fprintf(&b, "[[link]]\nkind = \"bb84\"\nends = [\"n%d\", \"n%d\"]\nloss = \"%d dB\"\n", v, rapid.IntRange(0, v-1).Draw(rt, "to"), rapid.IntRange(0, 90).Draw(rt, "loss"))
		}
		net, err := topology.Parse("t.toml", []byte(strings.Replace(b.String(), "a<b&c", "abc", 1)))
		if err != nil {
			rt.Fatal(err)
		}
		if words := picture(t, net); words["<&>"] == 0 {
			rt.Errorf("no title: %v", words)
		}
	})
}

// By hand: lines through, beside and along a box.
func TestCrosses(t *testing.T) {
	box := around(vg.Point{X: 10, Y: 10}, 4, 2)
	for _, c := range []struct {
		from, to vg.Point
		want     bool
	}{
		{vg.Point{X: 0, Y: 10}, vg.Point{X: 20, Y: 10}, true},
		{vg.Point{X: 0, Y: 13}, vg.Point{X: 20, Y: 13}, false},
		{vg.Point{X: 0, Y: 10}, vg.Point{X: 5, Y: 10}, false},
		{vg.Point{X: 9, Y: 9}, vg.Point{X: 11, Y: 11}, true},
		{vg.Point{X: 0, Y: 0}, vg.Point{X: 20, Y: 20}, true},
		{vg.Point{X: 0, Y: 9}, vg.Point{X: 15, Y: 24}, false},
		{vg.Point{X: 12, Y: 0}, vg.Point{X: 12, Y: 30}, true},
	} {
		if got := crosses(c.from, c.to, box); got != c.want {
			t.Errorf("%v to %v: %v", c.from, c.to, got)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestFullDisk(t *testing.T) {
	p := made(t, Config{Network: described(t, 2, []wire{{0, 1, 1000}}), Terminals: 2})
	if err := p.WriteSVG(full{}); !qsc.IsKind(err, qsc.NoSpace) {
		t.Errorf("%v", err)
	}
}

func TestShare(t *testing.T) {
	for v, want := range map[float64]string{1.5678: "1.57 times", 0.01: "0.01 times", 1.57e-5: "0.0016 % of"} {
		if got := Share(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}
