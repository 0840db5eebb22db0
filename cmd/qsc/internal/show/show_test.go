package show

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.00 KiB", 10 << 10: "10.0 KiB", 1<<20 - 1: "1.00 MiB",
		38 << 20: "38.0 MiB", 999 << 20: "999 MiB", 1 << 30: "1.00 GiB", 1<<63 - 1: "8.00 EiB", -2048: "-2.00 KiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 3 * time.Second: "3 s", 840 * time.Millisecond: "0.84 s", 12340 * time.Millisecond: "12.3 s",
		time.Minute: "1 min", 250 * time.Second: "4 min 10 s", 125 * time.Minute: "2 h 5 min", 220 * time.Hour: "9 days",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestSpeed(t *testing.T) {
	if got := Speed(150_000_000, time.Second); got != "150 MB/s" {
		t.Error(got)
	}
	if got := Speed(1, 0); got != "0.00 MB/s" {
		t.Error(got)
	}
}

func TestNameIsSafeForTerminals(t *testing.T) {
	for in, want := range map[string]string{
		"scan.cram": "scan.cram", "患者/7": "患者/7", "a\x1b[2J": `"a\x1b[2J"`, "\xff": `"\xff"`, "a\u202eb": `"a\u202eb"`,
	} {
		if got := Name(in); got != want {
			t.Errorf("Name(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestErrorIsOneLineWithoutOperations(t *testing.T) {
	inner := errors.Join(qsc.E("site.Open", qsc.Unreachable, "lsa", "no answer"), qsc.E("site", qsc.Other, "west", "%w", qsc.E("transport", qsc.Unreachable, "west", "refused")))
	err := qsc.E("admin", qsc.Insufficient, "", "%w", qsc.E("vault.Get", qsc.Insufficient, "", "1 of 2 shares: %w", inner))
	want := "not enough shares: 1 of 2 shares: lsa: peer unreachable: no answer; west: peer unreachable: refused"
	if got := Error(err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	table := NewTable("NAME", "SIZE")
	table.Row("scan", "")
	if err := table.Write(&b, "  "); err != nil {
		t.Fatal(err)
	}
	if want := "  NAME  SIZE\n  scan  -\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestWrap(t *testing.T) {
	if got, want := Wrap("one two three  verylongword x", 8, "> "), "> one two\n> three\n> verylongword\n> x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
