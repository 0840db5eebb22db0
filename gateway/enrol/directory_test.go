package enrol

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

const sample = `# who is in
[[sae]]
id   = "hospital-a"
node = "sendai"

# the archive's only certificate
[[sae]]
id = "archive"
node = "tokyo"
fingerprint = "sha256:ABababababababababababababababababababababababababababababababab"

[[sae]]
id = "lab/1"
node = "tokyo"

# patients first
[[pair]]
master = "hospital-a"
slave = "archive"
paths = 3
need = 2
min = "10 kbit/s"
max = "1.5 Mbit/s"
priority = 7
ttl = "1h30m"
retry = "5s"
both_ways = true

[[pair]]
master = "*"
slave = "archive"
priority = 1
`

func TestDirectory(t *testing.T) {
	s, err := Parse("saes.toml", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if node, ok := s.Home("lab/1"); !ok || node != "tokyo" {
		t.Errorf("home %q, %t", node, ok)
	}
	if _, ok := s.Home("nobody"); ok {
		t.Error("nobody has a home")
	}
	want := keymgmt.Policy{Protection: keymgmt.Protection{Paths: 3, Need: 2}, MinRate: 10e3, MaxRate: 1.5e6, Priority: 7, TTL: 90 * time.Minute, Retry: 5 * time.Second}
	for _, who := range [][2]qsc.AppID{{"hospital-a", "archive"}, {"archive", "hospital-a"}} {
		if got, ok := s.Allowed(who[0], who[1]); !ok || got != want {
			t.Errorf("%v: %+v, %t", who, got, ok)
		}
	}
	if got, ok := s.Allowed("lab/1", "archive"); !ok || got.Priority != 1 || got.Protection != (keymgmt.Protection{Paths: 1, Need: 1}) {
		t.Errorf("by the star: %+v, %t", got, ok)
	}
	for _, who := range [][2]qsc.AppID{{"archive", "lab/1"}, {"hospital-a", "lab/1"}, {"archive", "archive"}, {"nobody", "archive"}, {"*", "archive"}, {"hospital-a", "*"}, {"", ""}} {
		if _, ok := s.Allowed(who[0], who[1]); ok {
			t.Errorf("%v was allowed", who)
		}
	}
	pin := strings.Repeat("ab", 32)
	if app, ok := s.Pinned(pin); !ok || app != "archive" || !s.Accepts("archive", pin) || s.Accepts("archive", "") || !s.Accepts("lab/1", "x") || s.Accepts("nobody", "x") {
		t.Error("wrong pins")
	}
	if len(s.SAEs()) != 3 || s.SAEs()[1].ID != "archive" || len(s.Pairs()) != 2 {
		t.Errorf("%+v", s.SAEs())
	}
	err = s.Unknown("f", func(n qsc.NodeID) bool { return n == "tokyo" })
	if err == nil || !strings.Contains(err.Error(), "f:2: ") {
		t.Errorf("an SAE at an unknown node: %v", err)
	}
}

func TestPrecedence(t *testing.T) {
	var b strings.Builder
	for _, id := range []string{"a", "b", "c", "d"} {
		fmt.Fprintf(&b, "[[sae]]\nid=%q\nnode=\"n\"\n", id)
	}
	for i, p := range [][2]string{{"*", "*"}, {"*", "b"}, {"a", "*"}, {"a", "b"}} {
		fmt.Fprintf(&b, "[[pair]]\nmaster=%q\nslave=%q\npriority=%d\n", p[0], p[1], i)
	}
	s, err := Parse("", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[[2]qsc.AppID]int{{"a", "b"}: 3, {"a", "c"}: 2, {"c", "b"}: 1, {"c", "d"}: 0} {
		if got, ok := s.Allowed(who[0], who[1]); !ok || got.Priority != want {
			t.Errorf("%v: rule %d, want %d", who, got.Priority, want)
		}
	}
}

// Every fault is listed at once, each with its line.
func TestFaults(t *testing.T) {
	const bad = `x = 1
[[sae]]
id = "a"
node = "Tokyo"
[[sae]]
id = "a"
node = "n"
note = "?"
[[sae]]
id = 5
fingerprint = "12"
[[pair]]
master = "a"
slave = "ghost"
paths = 9
min = "5 apples"
max = "1 kbit/s"
ttl = "1"
retry = "2h"
both_ways = "yes"
priority = -1
[[pair]]
master = "a"
slave = "a"
min = "2 kbit/s"
max = "1 kbit/s"
paths = 2
need = 3
[[pair]]
slave = ""
[[pears]]
[sae]
id = "z"
node = "n"
id = "y"
`
	_, err := Parse("saes.toml", []byte(bad))
	var faults Faults
	if !qsc.IsKind(err, qsc.Invalid) || !errors.As(err, &faults) {
		t.Fatalf("%v", err)
	}
	text := faults.Error() + "\n"
	for _, want := range []string{
		`:1: "x" stands before`, `:4: sae: "Tokyo" is no node ID`, `:5: sae: "a" is given twice, first on line 2`, `:8: sae: unknown key "note"`,
		`:10: sae: id must be a string`, `:9: sae: node is missing`, `:11: sae: fingerprint is`, `:12: pair: there is no [[sae]] with the id "ghost"`,
		`:15: pair: paths is outside`, `:16: pair: "5 apples" is not a rate`, `:18: pair: ttl = "1"`, `:19: pair: retry = "2h"`, `:20: pair: both_ways must be`,
		`:21: pair: priority is outside`, `:22: pair: "a" shares key with itself`, `:25: pair: min is more`, `:28: pair: need = 3 of only 2`,
		`:29: pair: master is missing`, `:30: pair: slave is empty`, `:31: unknown table "pears"`, `:32: [sae] is written [[sae]]`, `:35: "id" is given twice, first on line 33`,
	} {
		if !strings.Contains(text, "saes.toml"+want) {
			t.Errorf("no fault %s in\n%s", want, text)
		}
	}
	if len(faults) != 22 {
		t.Errorf("%d faults:\n%s", len(faults), text)
	}
}

func TestFaultsOfTheWholeFile(t *testing.T) {
	for text, want := range map[string]string{
		"[[sae]]\nid = \"a":           "TOML syntax",
		"\x00":                        "NUL",
		"\xff":                        "UTF-8",
		strings.Repeat(",", 100_001):  "brackets",
		strings.Repeat(" ", 16<<20+1): "larger",
		"[[sae]]\nid=\"a\"\nnode=\"n\"\n[[pair]]\nmaster=\"a\"\nslave=\"*\"\n[[pair]]\nmaster=\"a\"\nslave=\"*\"\n": ":7: pair: \"a\" to \"*\" is given twice, first on line 4",
	} {
		if _, err := Parse("f", []byte(text)); !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if s, err := Parse("f", nil); err != nil || len(s.SAEs()) != 0 {
		t.Errorf("an empty file: %v", err)
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]qsc.BitRate{"100 kbit/s": 1e5, "1.5Mbit/s": 1.5e6, "300 kbps": 3e5, "8 bit/s": 8, "2 Gbit/s": 2e9} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "kbit/s", "-1 bit/s", "1e9 bit/s", "5 kB/s", "1..2 bit/s", strings.Repeat("9", 39) + " bit/s"} {
		if _, err := ParseRate(text); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := writeFile(name, []byte(text), 0o644, true); err != nil {
		t.Fatal(err)
	}
}

// A changed file takes effect at the next tick; a faulty one and one that is
// gone leave what is known in force and are told once.
func TestWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "saes.toml")
	write(t, file, sample)
	d, err := OpenDirectory(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tick, changes, faults := make(chan time.Time), 0, []error{}
	var watching sync.WaitGroup
	var mu sync.Mutex // of changes and faults
	watching.Go(func() {
		d.Watch(ctx, tick, func(*Snapshot) {
			mu.Lock()
			defer mu.Unlock()
			changes++
		}, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			faults = append(faults, err)
		})
	})
	defer watching.Wait()
	defer cancel()
	// The first of two ticks has been dealt with when the second is taken. A file
	// system whose times are coarse may show a change at a later one.
	expect := func(what string, wantChanges, wantFaults int, archive bool) {
		t.Helper()
		var said string
		for range 50 {
			tick <- time.Time{}
			tick <- time.Time{}
			mu.Lock()
			_, ok := d.Home("archive")
			right := ok == archive && changes == wantChanges && len(faults) == wantFaults
			said = fmt.Sprintf("archive known %t, %d changes, faults %v", ok, changes, faults)
			mu.Unlock()
			if right {
				return
			}
		}
		t.Fatalf("%s: %s", what, said)
	}
	expect("nothing changed", 0, 0, true)
	write(t, file, "[[sae]]\nid=\"x\"\nnode=\"n\"\n")
	expect("changed", 1, 0, false)
	write(t, file, "[[sae]]\n")
	expect("faulty", 1, 1, false)
	expect("still faulty", 1, 1, false)
	write(t, file, sample)
	expect("mended", 2, 1, true)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("gone", 2, 2, true)
	expect("still gone", 2, 2, true)
	write(t, file, sample)
	expect("back", 3, 2, true)
	mu.Lock()
	defer mu.Unlock()
	if !qsc.IsKind(faults[0], qsc.Invalid) || !qsc.IsKind(faults[1], qsc.NotFound) {
		t.Errorf("%v", faults)
	}
	if _, ok := d.Allowed("hospital-a", "archive"); !ok {
		t.Error("the pair is not allowed")
	}
}

// network is a directory of n SAEs that all talk to their neighbour.
func network(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[sae]]\nid = \"sae-%d\"\nnode = \"node-%d\"\n[[pair]]\nmaster = \"sae-%d\"\nslave = \"sae-%d\"\npaths = 3\n", i, i%1000, i, (i+1)%n)
	}
	return []byte(b.String())
}

func BenchmarkAllowed(b *testing.B) {
	s, err := Parse("", network(10_000))
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, ok := s.Allowed("sae-77", "sae-78"); !ok {
			b.Fatal("not allowed")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := network(10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Parse("", text); err != nil {
			b.Fatal(err)
		}
	}
}
