package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// described is a network of nodes "0", "1" ... and links of given rates in bit/s.
func described(t testing.TB, nodes int, links []wire) *topology.Network {
	t.Helper()
	var b strings.Builder
	b.WriteString("name = \"t\"\n")
	for v := range nodes {
		fmt.Fprintf(&b, "[[site]]\nid = \"n%d\"\n[[node]]\nid = \"n%d\"\n", v, v)
	}
	for _, l := range links {
		fmt.Fprintf(&b, "[[link]]\nkind = \"bb84\"\nends = [\"n%d\", \"n%d\"]\nrate = \"%d bit/s\"\npad = \"1 MiB\"\nblock = \"64 KiB\"\n", l.a, l.b, l.rate)
	}
	return parsed(t, b.String())
}

type wire struct{ a, b, rate int }

func parsed(t testing.TB, text string) *topology.Network {
	t.Helper()
	n, err := topology.Parse("t.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func load(t testing.TB, name string) *topology.Network {
	t.Helper()
	n, err := topology.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func made(t testing.TB, c Config) *Plan {
	t.Helper()
	p, err := Make(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var sunday = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestErrors(t *testing.T) {
	pair := described(t, 2, []wire{{0, 1, 1000}})
	lone := parsed(t, "name = \"t\"\n[[site]]\nid = \"a\"\n[[node]]\nid = \"a\"\n")
	wrong := parsed(t, strings.Replace(string(described(t, 2, []wire{{0, 1, 1000}}).Marshal()), `ends`, "preset = \"no-such\"\nends", 1))
	for _, c := range []struct {
		name   string
		config Config
		kind   qsc.Kind
		says   string
	}{
		{"no links", Config{Network: lone}, qsc.Unsupported, "without links"},
		{"one terminal", Config{Network: pair, Terminals: 1}, qsc.Invalid, "terminals"},
		{"paths", Config{Network: pair, Paths: 9}, qsc.Invalid, "disjoint paths"},
		{"days", Config{Network: pair, Days: -1}, qsc.Invalid, "days"},
		{"demand", Config{Network: pair, PerPair: qsc.BitRate(math.NaN())}, qsc.Invalid, "demand"},
		{"courier", Config{Network: pair, Courier: time.Minute}, qsc.Invalid, "hour"},
		{"preset", Config{Network: wrong}, qsc.NotFound, "no-such"},
	} {
		_, err := Make(t.Context(), c.config)
		if !qsc.IsKind(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Make(gone, Config{Network: pair}); !qsc.IsKind(err, qsc.Timeout) {
		t.Errorf("cancelled: %v", err)
	}
}

// The same configuration gives the same plan and the same picture, to the byte.
func TestDeterminism(t *testing.T) {
	var first [2][]byte
	for i := range 3 {
		p := made(t, Config{Network: load(t, "global"), From: sunday, Seed: 4})
		p.Seconds = 0
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var svg bytes.Buffer
		if err := p.WriteSVG(&svg); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = [2][]byte{text, svg.Bytes()}
		} else if !bytes.Equal(text, first[0]) || !bytes.Equal(svg.Bytes(), first[1]) {
			t.Fatal("another plan or another picture")
		}
	}
}

// One link by hand: what it bears, and how long its stock lasts.
func TestOneLink(t *testing.T) {
	const pad = 1 << 20
	net := described(t, 2, []wire{{0, 1, 50_000}})
	for _, c := range []struct {
		each qsc.BitRate
		runs bool
	}{{100, true}, {1000, false}} {
		p := made(t, Config{Network: net, Terminals: 200, PerPair: c.each, Paths: 2})
		d, l := p.Demand, p.Links[0]
		wanted := float64(d.Pairs) * float64(c.each) * 2
		near(t, "spent", float64(d.Spent), wanted)
		near(t, "served", d.AtLeast, 50_000/wanted)
		near(t, "served", d.AtMost, 50_000/wanted)
		near(t, "load", l.Load, wanted/50_000)
		near(t, "use", l.Use, math.Min(1, wanted/50_000))
		near(t, "alone", d.Autonomy, 2*pad*8/wanted/86400)
		near(t, "per pair", float64(d.PerPair), float64(c.each)*50_000/wanted)
		lasts := -1.0
		if !c.runs {
			lasts = 2 * pad * 8 / (wanted - 50_000) / 86400
		}
		near(t, "with source", d.Lasts, lasts)
		if d.Weakest != l.ID || (d.Shortest == l.ID) == c.runs {
			t.Errorf("weakest %q, shortest %q", d.Weakest, d.Shortest)
		}
		if x := p.Pairs[0]; len(p.Pairs) != 1 || x.Paths != 1 || !x.Fewer || x.Single != 50_000 || x.Protected != x.Single {
			t.Errorf("%+v", p.Pairs)
		}
	}
}

// A courier brings his stock at once: it lasts until it is spent or he comes again.
func TestCourier(t *testing.T) {
	net := parsed(t, strings.NewReplacer(`kind = "bb84"`, `kind = "preshared"`, "kind = 'bb84'", "kind = 'preshared'").Replace(noRate(string(described(t, 2, []wire{{0, 1, 7}}).Marshal()))))
	p := made(t, Config{Network: net, Terminals: 50, PerPair: 10, Paths: 1, Courier: 24 * time.Hour})
	l := p.Links[0]
	near(t, "rate", float64(l.Rate), 2*8*(1<<20)/86400.0)
	wanted := float64(p.Demand.Wanted)
	if wanted <= float64(l.Rate) {
		t.Fatalf("%v is not too much for %v", wanted, l.Rate)
	}
	near(t, "lasts", l.Lasts, 2*8*(1<<20)/wanted/86400)
}

func noRate(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "rate") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// Demand without a way is told and left out; the rest is planned for.
func TestInParts(t *testing.T) {
	p := made(t, Config{Network: described(t, 4, []wire{{0, 1, 9000}, {2, 3, 4000}}), Terminals: 400, PerPair: 1, Paths: 1})
	if p.Demand.Cut < 0.5 || p.Demand.Cut > 0.8 || !(p.Demand.AtLeast > 0) {
		t.Errorf("%+v", p.Demand) // of 6 pairs of nodes 4 have no way
	}
	for _, l := range p.Links {
		if !(l.Load > 0) || math.IsInf(l.Autonomy, 0) {
			t.Errorf("%+v", l)
		}
	}
}

func near(t testing.TB, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s: %.12g, want %.12g", what, got, want)
	}
}
