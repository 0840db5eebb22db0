package plan

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/node"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/preset"
	"github.com/quantum-secure-cloud/qsc/quantum/satellite"
	"github.com/quantum-secure-cloud/qsc/sim/plan/flow"
)

// rateOf asks a device for a way's rate, without the planner's curves.
func rateOf(t *testing.T, name string, km float64) float64 {
	t.Helper()
	for _, w := range ways {
		if w.name != name {
			continue
		}
		spans := 1.0
		for w.span > 0 && km/spans > w.span {
			spans++
		}
		p, err := preset.Find(w.preset)
		if err != nil {
			t.Fatal(err)
		}
		x, err := p.Device.Predict(quantum.Channel{Loss: 0.2 * km / spans, Distance: km / spans})
		if err != nil {
			t.Fatal(err)
		}
		if x.Rate < 1e-4 {
			return 0
		}
		return float64(x.Rate)
	}
	t.Fatalf("no way %q", name)
	return 0
}

// The ways change places where the plan says, and nowhere beyond.
func TestCrossings(t *testing.T) {
	p := made(t, Config{Network: described(t, 2, []wire{{0, 1, 1000}}), Terminals: 2})
	said := map[string]bool{}
	for _, x := range p.Crossings {
		said[x.From+" < "+x.To] = true
		start := 1.0
		if x.Km > 0 {
			start = x.Km + 0.01
			if a, b := rateOf(t, x.From, x.Km-0.01), rateOf(t, x.To, x.Km-0.01); a < b {
				t.Errorf("%v: before it, %g < %g", x, a, b)
			}
			near(t, x.String(), x.Rate, rateOf(t, x.To, x.Km))
		}
		for km := start; km <= 800; km += 21.7 {
			a, b := rateOf(t, x.From, km), rateOf(t, x.To, km)
			if !x.Never && a >= b && a > 0 {
				t.Errorf("%v: at %g km, %g ≥ %g", x, km, a, b)
			}
		}
		if x.Never && rateOf(t, x.To, 799) > rateOf(t, x.From, 799) {
			t.Errorf("%v, but at 799 km it is ahead", x)
		}
	}
	for _, want := range []string{byBB84 + " < " + byTwinField, byTwinField + " < " + byRepeaters, byTwinField + " < " + byNodes50, byNodes50 + " < " + byRepeaters} {
		if !said[want] {
			t.Errorf("nothing of %s", want)
		}
	}
	for _, c := range p.Curves {
		for i, km := range c.Km {
			if i%20 == 3 {
				near(t, fmt.Sprint(c.Name, " at ", km), c.Rates[i], rateOf(t, c.Name, km))
			}
		}
	}
}

// Reference 2.1, Check: the link of 45 km gives the preset's own prediction, and
// what the field trial published within a factor of two.
func TestTokyoLink(t *testing.T) {
	p := made(t, Config{Network: load(t, "tokyo")})
	d, err := preset.Find("tokyo-45km")
	if err != nil {
		t.Fatal(err)
	}
	want, err := d.Device.Predict(quantum.Channel{Loss: 14.5, Distance: 45})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Links, func(l Link) bool { return l.Preset == "tokyo-45km" })
	if i < 0 {
		t.Fatal("no such link")
	}
	near(t, "rate", float64(p.Links[i].Rate), float64(want.Rate))
	if r := p.Links[i].Rate; r < 150e3 || r > 600e3 {
		t.Errorf("%v, published about 300 kbit/s", r)
	}
	if x := p.Links[i]; x.Assumed || x.Bound == "" || x.QBER <= 0 || x.Fill <= 0 {
		t.Errorf("%+v", x)
	}
}

// Every piece of advice of a network on the map gives what it says.
func TestAdviceIsWorthIt(t *testing.T) {
	net := load(t, "tokyo")
	m := &maker{Config: Config{Network: net, Terminals: 400}, plan: &Plan{}}
	for _, step := range []func() error{m.index, m.links, m.demand} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	p := made(t, Config{Network: net, Terminals: 400})
	var doubled, laid int
	for _, a := range p.Advice {
		edges := slices.Clone(m.edges)
		for _, id := range a.Double {
			edges[m.linkNumber[id]].Capacity *= 2
			doubled++
		}
		if len(a.Between) == 2 {
			edges = append(edges, flow.Edge{A: m.number[a.Between[0]], B: m.number[a.Between[1]], Capacity: float64(a.Rate)})
			laid++
		}
		r := flow.Solve(len(net.Nodes), edges, m.demands, flow.Config{Gap: 0.01, Phases: 20000})
		if a.AtLeast > r.Upper*(1+1e-9) || 1.09*a.AtLeast < r.Lower || a.Gain < 1.02 {
			t.Errorf("%s: %g, but it is %g to %g", a.What, a.AtLeast, r.Lower, r.Upper)
		}
	}
	if doubled == 0 || laid == 0 || !slices.IsSortedFunc(p.Advice, func(a, b Advice) int { return int(1e6 * (b.Gain - a.Gain)) }) {
		t.Errorf("%+v", p.Advice)
	}
}

// Passes in order, key under a clear sky only, and each as the satellite's own
// calendar has it.
func TestCalendar(t *testing.T) {
	net := load(t, "global")
	p := made(t, Config{Network: net, Terminals: 60, From: sunday, Days: 10, Seed: 3})
	if !slices.IsSortedFunc(p.Passes, func(a, b Pass) int { return a.Rise.Compare(b.Rise) }) || WithKey(p.Passes) == 0 || WithKey(p.Passes) == len(p.Passes) {
		t.Fatalf("%d of %d passes with key", WithKey(p.Passes), len(p.Passes))
	}
	for _, l := range net.Links {
		if l.Kind != topology.KindSatellite {
			continue
		}
		d, err := node.DeviceOf(net, l)
		if err != nil {
			t.Fatal(err)
		}
		device := d.Device.(satellite.Device)
		own := device.Calendar(device.Station(), sunday, sunday.AddDate(0, 0, 10), nil)
		i := 0
		for _, x := range p.Passes {
			if x.Link != l.ID {
				continue
			}
			if i == len(own) || !x.Top.Equal(own[i].Culmination) || x.Clear && x.Bits != own[i].Bits || !x.Clear && x.Bits != 0 || x.Station == "satellite" {
				t.Fatalf("pass %d of %s: %+v", i, l.ID, x)
			}
			i++
		}
		if i != len(own) {
			t.Errorf("%s: %d passes, want %d", l.ID, i, len(own))
		}
	}
	if !strings.Contains(p.Weather, "no forecast") {
		t.Error(p.Weather)
	}
}

// The weather is the seed's: the same again, and another for another seed.
func TestWeatherIsTheSeeds(t *testing.T) {
	skies := map[string]int{}
	for _, seed := range []uint64{1, 1, 2} {
		p := made(t, Config{Network: load(t, "global"), Terminals: 6, From: sunday, Days: 15, Seed: seed})
		var sky []byte
		for _, x := range p.Passes {
			sky = append(sky, byte('0'+btoi(x.Clear)))
		}
		skies[fmt.Sprintf("%x", binary.BigEndian.AppendUint64(sky, uint64(len(sky))))]++
	}
	if len(skies) != 2 {
		t.Errorf("%d skies of two seeds", len(skies))
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

const oneSatellite = `
name = "t"
[[site]]
id = "ground"
location = [48.2, 16.4]
[[site]]
id = "orbit"
[[node]]
id = "ground"
[[node]]
id = "bird"
site = "orbit"
[[link]]
kind = "satellite"
ends = ["bird", "ground"]
preset = "leo"
[[preset]]
id = "leo"
base = "leo-micius"
parameters = { timescale = %d }
`

// A satellite is reckoned in true time, however fast it flies to be watched.
func TestTrueTime(t *testing.T) {
	var rates []float64
	for _, scale := range []int{1, 60} {
		p := made(t, Config{Network: parsed(t, fmt.Sprintf(oneSatellite, scale)), Terminals: 2, From: sunday})
		rates = append(rates, float64(p.Links[0].Rate))
	}
	if rates[0] != rates[1] || !(rates[0] > 0) {
		t.Errorf("%g bit/s at timescale 1, %g at 60", rates[0], rates[1])
	}
}

// The planner's target of the reference, section 6: a hundred nodes, ten thousand
// terminals, three protocols and a satellite over two stations; at least 100 kbit/s
// between chosen pairs over three disjoint paths, and the loss of any one node.
func TestPlannerTarget(t *testing.T) {
	net := country(t)
	start := time.Now()
	p := made(t, Config{Network: net, Terminals: 10_000, From: sunday})
	t.Logf("%d links, %.2f s", len(p.Links), time.Since(start).Seconds())
	if p.Nodes != 100 || p.Terminals != 10_000 || len(p.Passes) == 0 {
		t.Errorf("%d nodes, %d terminals, %d passes", p.Nodes, p.Terminals, len(p.Passes))
	}
	kinds := map[string]int{}
	for _, l := range p.Links {
		kinds[l.Kind]++
		if !(l.Rate > 0) {
			t.Errorf("%s yields nothing", l.ID)
		}
	}
	if kinds["bb84"] == 0 || kinds["cv"] == 0 || kinds["twin-field"] == 0 || kinds["satellite"] != 2 {
		t.Errorf("kinds: %v", kinds)
	}
	chosen := 0
	for _, x := range p.Pairs {
		if !x.Fewer && x.Protected >= 100e3 {
			chosen++
		}
	}
	if chosen < 20 {
		t.Errorf("%d pairs have 100 kbit/s over three disjoint paths", chosen)
	}
	if !(p.Demand.AtLeast >= 1) || p.Demand.AtMost > 1.06*p.Demand.AtLeast || p.Demand.Cut != 0 {
		t.Errorf("%+v", p.Demand)
	}
	lost := 0
	for _, l := range p.Losses {
		if strings.HasPrefix(l.What, "node ") {
			lost++
			if l.Cut > 0 || !(l.AtMost > 0) || l.AtMost < l.AtLeast {
				t.Errorf("%+v", l)
			}
		}
	}
	if lost != 100 {
		t.Errorf("%d of 100 nodes are looked into", lost)
	}
	if len(p.Advice) == 0 || math.IsNaN(p.Demand.Autonomy) || !(p.Demand.Autonomy > 0) {
		t.Errorf("%+v", p.Advice)
	}
	if words := wordsOf(t, p); words["satellite"] != 3 || words["limits the whole"] != 1 || words["cv"] == 0 {
		t.Errorf("the picture says %v", words)
	}
}

// country is a backbone of 99 nodes with kinds of link by distance, and a satellite
// that serves two of them.
func country(t *testing.T) *topology.Network {
	t.Helper()
	net, err := topology.Generate(topology.GenerateConfig{Name: "country", Nodes: 99, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(net.Marshal())+bird)
}

const bird = `
[[site]]
id = "orbit"
group = "trunk"
[[node]]
id = "satellite"
site = "orbit"
[[link]]
kind = "satellite"
ends = ["satellite", "trunk00"]
preset = "leo-micius"
[[link]]
kind = "satellite"
ends = ["satellite", "trunk15"]
preset = "leo-micius"
`
