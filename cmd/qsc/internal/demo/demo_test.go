package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quantum-secure-cloud/qsc"
)

func file(t *testing.T, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlanSizesTheLinksThatTheFileTakes(t *testing.T) {
	const size = 20 << 20
	p, err := newPlan("tohoku", file(t, size), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.used) != 3 {
		t.Fatalf("the file takes links %v, want three", p.used)
	}
	shares := int64(p.policy.N) * size
	for _, l := range p.net.Links {
		shares += 8 * l.Pad // both ends, both ways, stock and ring
		switch {
		case l.Pad%l.Block != 0:
			t.Errorf("%s: pad %d is no multiple of block %d", l.ID, l.Pad, l.Block)
		case p.used[l.ID] && l.Pad < size+size/10:
			t.Errorf("%s: pad %d is too little", l.ID, l.Pad)
		case !p.used[l.ID] && l.Pad > 2<<20:
			t.Errorf("%s: pad %d, and the file does not take it", l.ID, l.Pad)
		}
	}
	if p.disk < shares+size {
		t.Errorf("%d bytes of disk counted, %d are taken", p.disk, shares+size)
	}
	for _, n := range p.net.Nodes {
		if n.Listen != "" || n.Metrics != "" {
			t.Errorf("%s: another network may have %s, %s", n.ID, n.Listen, n.Metrics)
		}
	}
}

// A simulated link makes key as it goes: nothing is couriered, and the time it
// takes is told.
func TestPlanOfSimulatedLinks(t *testing.T) {
	p, err := newPlan("tokyo-simulated", file(t, 300_000), 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.pad != 0 || p.making.Seconds() != 16 {
		t.Errorf("pad %d, making takes %s; want none and 16 s at 300 kbit/s, half each way", p.pad, p.making)
	}
}

func TestFullDiskIsRefusedBeforehand(t *testing.T) {
	p := &plan{disk: 1 << 60}
	if err := p.room(t.TempDir()); !qsc.IsKind(err, qsc.NoSpace) {
		t.Errorf("got %v, want NoSpace", err)
	}
	p.disk = 1
	if err := p.room(t.TempDir()); err != nil {
		t.Error(err)
	}
}

func TestVictimsAreNeverTheHome(t *testing.T) {
	p := &plan{}
	p.policy.Home = "b"
	if v := p.victims([]Share{{Node: "a"}, {Node: "b"}, {Node: "c"}}); len(v) != 2 || v[0].Node != "a" || v[1].Node != "c" {
		t.Errorf("victims %v", v)
	}
}

// A link whose channel yields nothing would leave the demo waiting for ever.
func TestPlanRefusesALinkThatYieldsNoKey(t *testing.T) {
	const network = `name = "deaf"
site = [{id = "a"}, {id = "b"}]
node = [{id = "a"}, {id = "b"}]
policy = [{id = "p", k = 2, n = 2, home = "a", sites = ["a", "b"]}]
[[link]]
kind = "bb84"
ends = ["a", "b"]
loss = "%s"
preset = "metro-one-decoy"
`
	path := filepath.Join(t.TempDir(), "deaf.toml")
	for loss, kind := range map[string]qsc.Kind{"8 dB": 0, "90 dB": qsc.Keyless} {
		if err := os.WriteFile(path, fmt.Appendf(nil, network, loss), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := newPlan(path, file(t, 1000), 1)
		if qsc.KindOf(err) != kind || kind == 0 && err != nil {
			t.Errorf("over %s: %v", loss, err)
		}
	}
}

func TestEqualSeesEveryDifference(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"", "x", false}, {"x", "", false}, {long, long, true}, {long, long[1:], false},
		{long, long + "y", false}, {long, long[:2<<20] + "y" + long[2<<20+1:], false}, {long[:1<<20], long[:2<<20], false},
	} {
		got, err := equal(t.Context(), strings.NewReader(c.a), strings.NewReader(c.b))
		if got != c.want || err != nil {
			t.Errorf("%d and %d bytes: %v, %v; want %v", len(c.a), len(c.b), got, err, c.want)
		}
	}
	if _, err := equal(t.Context(), strings.NewReader(""), iotest.ErrReader(errors.New("broken"))); err == nil {
		t.Error("a file that cannot be read is equal to nothing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := equal(ctx, strings.NewReader("x"), strings.NewReader("x")); err == nil {
		t.Error("goes on after its end")
	}
}
