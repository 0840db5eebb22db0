package topology

import (
	"maps"
	"strings"
	"testing"
)

const withPresets = `name = "t"
site = [{id = "a"}, {id = "b"}]
node = [{id = "a"}, {id = "b"}]
[[link]]
kind = "bb84"
ends = ["a", "b"]
loss = "14.5 dB"
preset = "lab"
[[preset]]
id = "lab"
base = "tokyo-45km"
parameters = { eta_det = 0.25, p_dc = 2e-6, clock_hz = 1_000_000_000, heterodyne = true, bound = "lim-2014" }
`

func TestPreset(t *testing.T) {
	n, err := Parse("t", []byte(withPresets))
	if err != nil {
		t.Fatal(err)
	}
	l := n.Links[0]
	p, ok := n.Preset(l.Preset)
	want := map[string]any{"eta_det": 0.25, "p_dc": 2e-6, "clock_hz": 1e9, "heterodyne": true, "bound": "lim-2014"}
	if !ok || l.Loss != 14.5 || p.Base != "tokyo-45km" || !maps.Equal(p.Params, want) || !l.Physical() || n.Runnable() != nil {
		t.Fatalf("%+v, %+v", l, p)
	}
	again, err := Parse("t", n.Marshal())
	if err != nil || !maps.Equal(again.Presets[0].Params, want) || again.Links[0] != l {
		t.Fatalf("%v: %s", err, n.Marshal())
	}
}

func TestPresetFaults(t *testing.T) {
	for _, c := range [][3]string{
		{`kind = "bb84"`, `kind = "preshared"`, "has no device"},
		{`base = "tokyo-45km"`, `base = "lab"`, "its own base"},
		{`eta_det = 0.25`, `eta_det = [1]`, "eta_det"},
		{`eta_det = 0.25`, `eta_det = nan`, "eta_det"},
		{`loss = "14.5 dB"`, `loss = "14.5 km"`, "not dB"},
		{`loss = "14.5 dB"`, `loss = "1e3 dB"`, "loss"},
		{`base = "tokyo-45km"`, ``, `missing key "base"`},
	} {
		if _, err := Parse("t", []byte(strings.Replace(withPresets, c[0], c[1], 1))); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
}
