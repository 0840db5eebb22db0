package node

import (
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/quantum/satellite"
)

const devices = `name = "t"
site = [{id = "a", location = [48.2, 16.4]}, {id = "b"}]
node = [{id = "a"}, {id = "b"}]
[[link]]
kind = "KIND"
ends = ["a", "b"]
loss = "14.5 dB"
preset = "PRESET"
[[preset]]
id = "lab"
base = "tokyo-45km"
parameters = { eta_det = 0.1 }
[[preset]]
id = "darker"
base = "lab"
parameters = { p_dc = 1e-4 }
[[preset]]
id = "hen"
base = "egg"
[[preset]]
id = "egg"
base = "hen"
[[preset]]
id = "odd"
base = "tokyo-45km"
parameters = { colour = 1.0 }
`

func described(t *testing.T, kind, preset string) *Network {
	t.Helper()
	n, err := topology.Parse("t", []byte(strings.NewReplacer("KIND", kind, "PRESET", preset).Replace(devices)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A preset of the description changes one that comes with the program, and may be
// changed again; what cannot be is refused.
func TestDeviceOf(t *testing.T) {
	rate := func(kind, preset string) qsc.BitRate {
		n := described(t, kind, preset)
		p, err := Predict(n, n.Links[0])
		if err != nil {
			t.Fatalf("%s: %v", preset, err)
		}
		return p.Rate
	}
	if a, b, c := rate("bb84", "tokyo-45km"), rate("bb84", "lab"), rate("bb84", "darker"); !(a > b && b > c && c >= 0) {
		t.Errorf("rates %v, with worse detectors %v, and darker %v", a, b, c)
	}
	for _, c := range []struct {
		kind, preset string
		want         qsc.Kind
	}{
		{"bb84", "nothing", qsc.NotFound},
		{"cv", "tokyo-45km", qsc.Invalid},
		{"bb84", "hen", qsc.Invalid},
		{"bb84", "odd", qsc.Invalid},
	} {
		n := described(t, c.kind, c.preset)
		if _, err := DeviceOf(n, n.Links[0]); !qsc.IsKind(err, c.want) {
			t.Errorf("%s with %s: %v", c.kind, c.preset, err)
		}
	}
}

// A satellite's device learns where its ground station is, which is the second end.
func TestStation(t *testing.T) {
	n := described(t, "satellite", "leo-micius")
	if _, err := DeviceOf(n, n.Links[0]); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("a station that sends light up: %v", err)
	}
	n.Links[0].Ends = [2]qsc.NodeID{"b", "a"}
	p, err := DeviceOf(n, n.Links[0])
	if err != nil {
		t.Fatal(err)
	}
	d, ok := p.Device.(satellite.Device)
	if !ok || d.Lat != 48.2 || d.Lon != 16.4 || StationOf(n, n.Links[0]) != "a" {
		t.Errorf("station of %+v", d)
	}
	n.Sites[0].Location.Known = false
	if _, err := DeviceOf(n, n.Links[0]); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("a station nowhere: %v", err)
	}
}

// Every physical link of the built-in networks has a device that fits and yields
// key over its channel.
func TestBuiltinDevices(t *testing.T) {
	for _, name := range []string{"tokyo", "global"} {
		n, err := LoadNetwork(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range n.Links {
			p, err := Predict(n, l)
			if err != nil || l.Physical() && p.Rate <= 0 {
				t.Errorf("%s of %s: %v, %v", l.ID, name, p.Rate, err)
			}
		}
	}
	runs := map[string]bool{}
	for _, p := range Presets() {
		runs[p.Name] = p.Runs
	}
	if len(runs) < 20 || !runs["tokyo-45km"] || !runs["leo-live"] || runs["sns-1002"] || runs["gg02-metro"] {
		t.Errorf("presets that run: %v", runs)
	}
}
