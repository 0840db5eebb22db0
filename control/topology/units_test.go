package topology

import (
	"math"
	"strings"
	"testing"

	qsc "github.com/quantum-secure-cloud/qsc"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "65536": 65536, "1 B": 1, "64 MiB": 64 << 20, "64MiB": 64 << 20, " 1  GiB ": 1 << 30,
		"1.5 KiB": 1536, "1 kB": 1000, "1 KB": 1000, "2 MB": 2e6, "1 GB": 1e9, "1 TB": 1e12, "1 TiB": 1 << 40,
		"0.5 GB": 5e8, "9223372036854775807": math.MaxInt64,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"": "plain number", "MiB": "plain number", "-1": "plain number", "1e9": "not one of B", "1..5": "plain number",
		".5 KiB": "plain number", "5. KiB": "plain number", "1 Mb": "not one of B", "1 mib": "not one of B", "0.5": "whole number of bytes",
		"9223372036854775808": "too large", "8388608 TiB": "too large", "1 Mbit/s": "not one of B", "1\tMiB": "not one of B",
		strings.Repeat("9", 1000): "too long", "\x00": "plain number", "1 KiB KiB": "not one of B", "0x10": "not one of B",
	} {
		checkRefused(t, s, want, func() error { _, err := ParseSize(s); return err })
	}
}

func checkRefused(t *testing.T, s, want string, parse func() error) {
	t.Helper()
	err := parse()
	if !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("%q: want %q, got %v", s, want, err)
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1001: "1001 B", 1024: "1 KiB", 1000: "1 kB", 64 << 20: "64 MiB", 1e9: "1 GB",
		1e12: "1 TB", 1536: "1536 B", 3 << 30: "3 GiB", -5: "-5 B", math.MaxInt64: "9223372036854775807 B",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for s, want := range map[string]qsc.BitRate{
		"0 bit/s": 0, "10 Mbit/s": 10e6, "10Mbit/s": 10e6, "300 kbit/s": 300e3, "300 kbps": 300e3, "300 Kbps": 300e3,
		"1.5 Gbit/s": 1.5e9, "0.1 kbit/s": 100, "7 bps": 7, "1 Tbit/s": 1e12, "1000 Tbps": 1e15,
	} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"": "plain number", "10": "unit \"\" is not one of", "10 MB/s": "not one of", "10 Mb/s": "not one of",
		"1001 Tbit/s": "more than", "-1 bit/s": "plain number", "inf bit/s": "plain number", "1 mbit/s": "not one of",
	} {
		checkRefused(t, s, want, func() error { _, err := ParseRate(s); return err })
	}
}

func TestParseDistance(t *testing.T) {
	for s, want := range map[string]float64{"7 km": 7, "300 m": 0.3, "0.3km": 0.3, "12.5 km": 12.5, "0 m": 0, "1000000 km": 1e6} {
		if got, err := ParseDistance(s); err != nil || got != want {
			t.Errorf("ParseDistance(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{"": "plain number", "7": "not km or m", "7 kM": "not km or m", "7 miles": "not km or m", "1000001 km": "more than"} {
		checkRefused(t, s, want, func() error { _, err := ParseDistance(s); return err })
	}
}

func TestFormatExact(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatRate(10e6), "10 Mbit/s"}, {FormatRate(300e3), "300 kbit/s"}, {FormatRate(0), "0 bit/s"},
		{FormatRate(1234567.5), "1.2345675 Mbit/s"}, {FormatRate(0.25), "0.25 bit/s"}, {FormatRate(MaxRate), "1000 Tbit/s"},
		{FormatDistance(7), "7 km"}, {FormatDistance(0.3), "300 m"}, {FormatDistance(12.5), "12.5 km"}, {FormatDistance(0), "0 m"},
		{FormatRate(qsc.BitRate(math.Inf(1))), "+Inf bit/s"}, {FormatDistance(math.NaN()), "NaN m"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	fuzzUnit(f, []string{"64 MiB", "1 GB", "65536", "1.5KiB", "9223372036854775807 B", "0.000000001 TB"}, ParseSize, FormatSize)
}

func FuzzParseRate(f *testing.F) {
	fuzzUnit(f, []string{"10 Mbit/s", "300 kbps", "0.1 bit/s", "1000 Tbit/s", "0.000000000000000000000000001 bps"}, ParseRate, FormatRate)
}

func FuzzParseDistance(f *testing.F) {
	fuzzUnit(f, []string{"7 km", "300 m", "0.1 m", "1000000 km", "0.30000000000000004 km"}, ParseDistance, FormatDistance)
}

// What a unit parser accepts, its formatter writes so that the same value
// comes back.
func fuzzUnit[T int64 | float64 | qsc.BitRate](f *testing.F, seeds []string, parse func(string) (T, error), format func(T) string) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parse(s)
		if err != nil {
			if !qsc.IsKind(err, qsc.Invalid) {
				t.Errorf("kind of %v", err)
			}
			return
		}
		if v < 0 {
			t.Errorf("%q is %v", s, v)
		}
		if back, err := parse(format(v)); err != nil || back != v {
			t.Errorf("%q is %v, written %q, read %v, %v", s, v, format(v), back, err)
		}
	})
}
