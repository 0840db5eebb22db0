package node

import (
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/testkit"
	"github.com/quantum-secure-cloud/qsc/quantum"
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

// The controller is told of a link that an eavesdropper keeps from making key, and
// when it makes key again.
func TestReportOfAHaltedLink(t *testing.T) {
	const quick = `
kind = "bb84"
loss = "1 dB"
preset = "quick"
`
	source := pairOf(quick) + `
[[preset]]
id = "quick"
base = "metro-one-decoy"
parameters = { clock_hz = 10e6, eta_det = 0.8, block = 100_000, mu1 = 0.586, mu2 = 0.199, p1 = 0.336, p_x = 0.695 }
`
	channel := testkit.Address(t)
	both := openPairOf(t, t.TempDir(), source, func(c *Config) {
		c.Quantum = map[string]Quantum{"a-b": {Channel: channel}}
	})
	until := func(what string, ok func(control.LinkState) bool) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for end := time.After(3 * time.Minute); ; {
			a, b := both[0].report().Links[0], both[1].report().Links[0]
			if ok(a) && ok(b) {
				return
			}
			select {
			case <-tick.C:
			case <-end:
				t.Fatalf("not %s: %+v and %+v", what, a, b)
			}
		}
	}
	makes := func(s control.LinkState) bool { return !s.Halted && s.Rate > 0 }
	until("making key", makes)
	for _, n := range both {
		if err := n.Attack("a-b", quantum.Attack{Kind: quantum.InterceptResend, Strength: 1}); err != nil && !qsc.IsKind(err, qsc.Unsupported) {
			t.Fatal(err)
		}
	}
	until("halted", func(s control.LinkState) bool { return s.Halted && s.Rate == 0 })
	for _, n := range both {
		if err := n.Attack("a-b", quantum.Attack{}); err != nil && !qsc.IsKind(err, qsc.Unsupported) {
			t.Fatal(err)
		}
	}
	until("making key again", makes)
}
