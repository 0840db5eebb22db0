package manage

import (
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// hopsOf reads entries of one virtual link from a to d: "at<prev>next…", such as
// "e<a>fd".
func hopsOf(text string) (hops []control.Hop) {
	ids := func(s string) (list []qsc.NodeID) {
		for _, r := range s {
			list = append(list, qsc.NodeID(r))
		}
		return list
	}
	for s := range strings.FieldsSeq(text) {
		h := control.Hop{Link: control.VirtualID{1}, Node: qsc.NodeID(s[:1]), From: "a", To: "d"}
		prev, next, _ := strings.Cut(s[2:], ">")
		h.Prev, h.Next = qsc.NodeID(prev), ids(next)
		hops = append(hops, h)
	}
	return hops
}

func TestAssemble(t *testing.T) {
	for text, want := range map[string]string{
		"a<>aefd":               "", // begins with itself
		"a<>efd":                "aefd",
		"a<>e e<a>f f<e>d":      "aefd",
		"a<>e e<a>f f<e>d d<f>": "aefd",
		"a<>efd e<a>fd f<e>d":   "aefd",
		"a<>e e<a>fd":           "aefd",
		"a<>efd e<a>":           "aefd", // says nothing of what follows
		"a<>e e<b>fd":           "",     // another previous hop
		"a<>efd f<b>d":          "",
		"a<b>efd":               "", // something before the beginning
		"a<>efd f<e>c":          "", // another next hop
		"a<>efd b<a>d":          "", // an entry off the path
		"a<>e":                  "", // incomplete
		"e<a>fd":                "",
		"a<>":                   "",
		"a<>d":                  "", // no such link
		"a<>bacd":               "", // a node twice
		"a<>b b<a>a":            "", // round and round
		"a<>e e<a>fd d<f>e":     "",
		"a<>z z<a>d":            "",
	} {
		pins, faults := Assemble(diamond(), hopsOf(text))
		var have strings.Builder
		for _, p := range pins {
			for _, n := range p.Path {
				have.WriteString(string(n))
			}
		}
		if have.String() != want || (want == "") != (faults[control.VirtualID{1}] != "") {
			t.Errorf("%s: path %q, want %q, faults %v", text, have.String(), want, faults)
		}
	}
	off := hopsOf("a<>e e<a>fd")
	off[1].Off = true
	if pins, faults := Assemble(diamond(), off); len(pins) != 0 || len(faults) != 1 {
		t.Errorf("disabled at one node: %v %v", pins, faults)
	}
	odd := hopsOf("a<>e e<a>fd")
	odd[1].To = "f"
	if pins, _ := Assemble(diamond(), odd); len(pins) != 0 {
		t.Errorf("different ends: %v", pins)
	}
}

func pinOf(n byte, path string, rate qsc.BitRate) Pin {
	return Pin{Link: control.VirtualID{n}, Path: pathsTo(one, false, path).Paths[0], Bandwidth: rate}
}

// Pins serve demands that they are enough for, and keep a rate for them.
func TestCorePins(t *testing.T) {
	p := newPlant(t, diamond(), 1)
	p.want("a", "d", 1, 1)
	p.want("a", "f", 1, 1)
	p.demands["d"] = []control.Demand{{From: "d", To: "a", Protection: keymgmt.Protection{Paths: 2, Need: 2}}}
	p.second()
	before := p.flow("d", "a")
	p.core.SetPins([]Pin{pinOf(1, "aefd", 7e5)})
	p.second()
	if f := p.flow("a", "d"); !passes(f, "e") || f.Rate < 7e5 {
		t.Fatalf("flow %+v", f)
	}
	if f := p.flow("d", "a"); len(f.Paths) != len(before.Paths) || !f.Disjoint {
		t.Fatalf("one pin weakens a protection of two paths: %+v", f)
	}
	p.core.SetPins([]Pin{pinOf(1, "aefd", 0), pinOf(2, "dfea", 0)})
	p.second()
	if f := p.flow("d", "a"); !f.Disjoint {
		t.Fatalf("one path counts twice: %+v", f)
	}
	p.core.SetPins([]Pin{pinOf(1, "aefd", 0), pinOf(2, "acd", 0)})
	p.second()
	if f := p.flow("d", "a"); !passes(f, "e") || !passes(f, "c") || !f.Disjoint {
		t.Fatalf("flow %+v", f)
	}
	p.core.SetPins(nil)
	p.second()
	if f := p.flow("a", "d"); passes(f, "e") {
		t.Fatalf("flow %+v", f)
	}
}
