package preset

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// letters are the design page's for attacks on devices.
var letters = map[string]quantum.AttackKind{"I": quantum.InterceptResend, "S": quantum.NumberSplitting, "B": quantum.Blinding, "N": quantum.Noise}

// opened opens Bob's end of a device over a channel that all of those fit that can be
// opened at all.
func opened(d quantum.Device) (distill.Protocol, error) {
	return d.(distill.Runnable).Protocol(distill.Setup{
		Role: distill.Bob, Channel: quantum.Channel{Loss: 5, Distance: 25}, World: quantum.World{Start: distilltest.At(0).At},
	})
}

// The table of kinds in the design page says which presets there are, which of them can
// be opened, under which bounds, and what attacks the devices suffer. All of it is so,
// and nothing is left out.
func TestDesignPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/design/quantum.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]row{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| \\[`[a-z0-9]+`\\].*$").FindAllStringSubmatch(string(page), -1) {
		c := strings.Split(m[0], "|")
		table[m[1]] = row{
			bounds: names(c[3]), runnable: names(strings.Join(bold.FindAllString(c[3], -1), " ")), attacks: strings.Fields(c[5]),
			presets: names(c[7]), closed: names(strings.Join(italic.FindAllString(c[7], -1), " ")),
		}
	}
	told := map[string]bool{}
	for kind, r := range table {
		if other, ok := table[r.bounds[0]]; ok { // "those of" another kind
			r.bounds, r.runnable = other.bounds, other.runnable
		}
		for _, name := range r.presets {
			told[name] = true
			r.check(t, kind, name)
		}
		if kind != "cv" { // its bound follows from the block
			r.runs(t, kind)
		}
	}
	for _, p := range All() {
		if !told[p.Name] {
			t.Errorf("the page does not tell of %s", p.Name)
		}
	}
}

// row is a kind as the page tells of it.
type row struct{ bounds, runnable, attacks, presets, closed []string }

var bold, italic = regexp.MustCompile(`\*\*[^*]*\*\*`), regexp.MustCompile(`\*[^*]*\*`)

// names are what stands in back quotes.
func names(cell string) (list []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		list = append(list, m[1])
	}
	return list
}

// check checks what is told of one preset.
func (r row) check(t *testing.T, kind, name string) {
	t.Helper()
	p, err := Find(name)
	if err != nil || p.Device.Kind() != kind {
		t.Errorf("%s is told to be a preset of kind %s: %v", name, kind, err)
		return
	}
	if at, err := p.Device.Predict(quantum.Channel{Loss: 5, Distance: 25}); err != nil || !slices.Contains(r.bounds, at.Bound) {
		t.Errorf("%s: bound %s is not among %q (%v)", name, at.Bound, r.bounds, err)
	}
	end, err := opened(p.Device)
	if (err != nil) != slices.Contains(r.closed, name) {
		t.Errorf("%s opens with %v; the page tells otherwise", name, err)
	}
	if err == nil {
		suffers(t, name, end.(quantum.Attackable), r.attacks)
	}
}

// suffers checks that a device takes the attacks of some letters and no others, and
// that any may be ended.
func suffers(t *testing.T, name string, end quantum.Attackable, attacks []string) {
	t.Helper()
	for letter, kind := range letters {
		err := end.Attack(quantum.Attack{Kind: kind, Strength: 0.5})
		if want := slices.Contains(attacks, letter); want != (err == nil) || !want && !qsc.IsKind(err, qsc.Unsupported) {
			t.Errorf("%s under %s: %v, told %q", name, kind, err, attacks)
		}
	}
	for _, a := range []quantum.Attack{{}, {Kind: quantum.Noise}, {Kind: quantum.Tampering}} {
		if err := end.Attack(a); err != nil {
			t.Errorf("%s does not end an attack by %+v: %v", name, a, err)
		}
	}
}

// runs checks that some preset of a kind opens under each bound that is told to run, and
// none under another.
func (r row) runs(t *testing.T, kind string) {
	t.Helper()
	for _, bound := range r.bounds {
		can := false
		for _, name := range r.presets {
			p, err := Find(name)
			if err != nil {
				continue // told already
			}
			key := "bound"
			if Params(p.Device)[key] == nil {
				key = "bb84.bound"
			}
			changed, err := Change(p, "changed", map[string]any{key: bound})
			if err == nil {
				_, err = opened(changed.Device)
			}
			can = can || err == nil
		}
		if can != slices.Contains(r.runnable, bound) {
			t.Errorf("%s under %s: opens %t", kind, bound, can)
		}
	}
}
