package preset

import (
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Every preset has a name of its own, says where it comes from, reckons, and
// survives being taken apart and put together.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range All() {
		if seen[p.Name] || p.Name == "" || len(p.About) < 10 {
			t.Errorf("preset %q: %q", p.Name, p.About)
		}
		seen[p.Name] = true
		at := quantum.Channel{Loss: 5, Distance: 25}
		want, err := p.Device.Predict(at)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		same, err := Change(p, "copy", nil)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if got, err := same.Device.Predict(at); err != nil || got != want || same.Name != "copy" {
			t.Errorf("%s: %+v is not %+v, %v", p.Name, got, want, err)
		}
		if len(Params(p.Device)) < 3 {
			t.Errorf("%s: parameters %v", p.Name, Params(p.Device))
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d presets", len(seen))
	}
}

func TestChange(t *testing.T) {
	p, err := Find("tokyo-45km")
	if err != nil {
		t.Fatal(err)
	}
	at := quantum.Channel{Loss: 14.5}
	before, err := p.Device.Predict(at)
	if err != nil {
		t.Fatal(err)
	}
	dark, err := Change(p, "dark", map[string]any{"p_dc": 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	if after, err := dark.Device.Predict(at); err != nil || after.Rate >= before.Rate {
		t.Errorf("with many dark counts %v, without %v, %v", after.Rate, before.Rate, err)
	}
	for _, bad := range []map[string]any{{"colour": 1.0}, {"p_dc": "much"}, {"p_dc": -1.0}, {"p_dc.deep": 1.0}} {
		if _, err := Change(p, "bad", bad); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := Find("nothing"); !qsc.IsKind(err, qsc.NotFound) || !strings.Contains(err.Error(), "tokyo-45km") {
		t.Errorf("an unknown name: %v", err)
	}
}
