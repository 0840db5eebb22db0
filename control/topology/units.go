package topology

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	qsc "github.com/quantum-secure-cloud/qsc"
)

type unit struct {
	name  string
	scale int64
}

// sizeUnits stand in the order in which FormatSize prefers them.
var sizeUnits = []unit{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

var rateUnits = []unit{
	{"Tbit/s", 1e12}, {"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}, {"bit/s", 1},
}

var distanceUnits = []unit{{"km", 1000}, {"m", 1}}

// ParseSize reads an amount of bytes: "64 MiB", "1 GB", "1.5KiB", or plain
// "65536". Binary units are KiB to TiB, decimal ones kB to TB; the space is
// optional. The amount must be whole bytes and fit an int64. Errors are of
// kind Invalid.
func ParseSize(s string) (int64, error) {
	num, name, err := splitUnit(s)
	if err != nil {
		return 0, unitError("ParseSize", s, "a size", "64 MiB", err)
	}
	if name == "" {
		name = "B"
	}
	u, ok := unitOf(sizeUnits, name)
	if !ok {
		return 0, unitError("ParseSize", s, "a size", "64 MiB",
			fmt.Errorf("unit %s is not one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB", quote(name)))
	}
	r, _ := new(big.Rat).SetString(num)
	r.Mul(r, new(big.Rat).SetInt64(u.scale))
	if !r.IsInt() {
		return 0, unitError("ParseSize", s, "a size", "64 MiB", fmt.Errorf("it is not a whole number of bytes"))
	}
	if !r.Num().IsInt64() {
		return 0, unitError("ParseSize", s, "a size", "64 MiB", fmt.Errorf("it is too large"))
	}
	return r.Num().Int64(), nil
}

// FormatSize prints n bytes exactly, in the unit that makes the number
// smallest: "64 MiB", "1 GB", "1001 B". ParseSize reads it back.
func FormatSize(n int64) string {
	best := unit{"B", 1}
	for _, u := range sizeUnits {
		if n > 0 && n%u.scale == 0 && u.scale > best.scale {
			best = u
		}
	}
	return fmt.Sprintf("%d %s", n/best.scale, best.name)
}

// ParseRate reads a rate: "10 Mbit/s", "300kbit/s" or "300 kbps". The prefixes
// are decimal, k to T. Errors are of kind Invalid.
func ParseRate(s string) (qsc.BitRate, error) {
	num, name, err := splitUnit(s)
	if err != nil {
		return 0, unitError("ParseRate", s, "a rate", "10 Mbit/s", err)
	}
	if prefix, ok := strings.CutSuffix(name, "bps"); ok {
		name = prefix + "bit/s"
	}
	u, ok := unitOf(rateUnits, name)
	if !ok {
		return 0, unitError("ParseRate", s, "a rate", "10 Mbit/s",
			fmt.Errorf("unit %s is not one of bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s", quote(name)))
	}
	r := qsc.BitRate(scaled(num, big.NewRat(u.scale, 1)))
	if r > MaxRate {
		return 0, unitError("ParseRate", s, "a rate", "10 Mbit/s", fmt.Errorf("more than %v", MaxRate))
	}
	return r, nil
}

// FormatRate prints r exactly, unlike BitRate.String: ParseRate reads the same
// value back.
func FormatRate(r qsc.BitRate) string { return formatExact(float64(r), rateUnits, 1) }

// ParseDistance reads a distance, "7 km" or "300 m", and returns km. Errors
// are of kind Invalid.
func ParseDistance(s string) (float64, error) {
	num, name, err := splitUnit(s)
	if err != nil {
		return 0, unitError("ParseDistance", s, "a distance", "7 km", err)
	}
	u, ok := unitOf(distanceUnits, name)
	if !ok {
		return 0, unitError("ParseDistance", s, "a distance", "7 km",
			fmt.Errorf("unit %s is not km or m", quote(name)))
	}
	km := scaled(num, big.NewRat(u.scale, 1000))
	if km > MaxDistance {
		return 0, unitError("ParseDistance", s, "a distance", "7 km", fmt.Errorf("more than %g km", MaxDistance))
	}
	return km, nil
}

// FormatDistance prints km exactly: "7 km", "300 m". ParseDistance reads the
// same value back.
func FormatDistance(km float64) string { return formatExact(km, distanceUnits, 1000) }

// ParseLoss reads a loss of light, "14.5 dB", and returns dB. Errors are of kind
// Invalid.
func ParseLoss(s string) (float64, error) {
	num, name, err := splitUnit(s)
	if err != nil {
		return 0, unitError("ParseLoss", s, "a loss", "14.5 dB", err)
	}
	if name != "dB" {
		return 0, unitError("ParseLoss", s, "a loss", "14.5 dB", fmt.Errorf("unit %s is not dB", quote(name)))
	}
	dB := scaled(num, big.NewRat(1, 1))
	if dB > MaxLoss {
		return 0, unitError("ParseLoss", s, "a loss", "14.5 dB", fmt.Errorf("more than %g dB", MaxLoss))
	}
	return dB, nil
}

// FormatLoss prints dB exactly: "14.5 dB". ParseLoss reads the same value back.
func FormatLoss(dB float64) string { return strconv.FormatFloat(dB, 'f', -1, 64) + " dB" }

func unitError(op, s, what, example string, why error) error {
	return qsc.E("topology."+op, qsc.Invalid, "", "%s is not %s such as %q: %w", quote(s), what, example, why)
}

// splitUnit cuts "12.5 MiB" into its number and its unit. The number is plain
// decimal, without sign or exponent, so that no short text can stand for a
// huge computation.
func splitUnit(s string) (num, name string, err error) {
	if len(s) > 400 {
		return "", "", fmt.Errorf("it is too long")
	}
	s = strings.Trim(s, " ")
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(s)
	}
	num, name = s[:end], strings.TrimLeft(s[end:], " ")
	whole, frac, dotted := strings.Cut(num, ".")
	if whole == "" || (dotted && frac == "") || strings.Contains(frac, ".") {
		return "", "", fmt.Errorf("it does not begin with a plain number")
	}
	return num, name, nil
}

func unitOf(units []unit, name string) (unit, bool) {
	if len(name) > 1 && name[0] == 'K' && name[1] != 'i' {
		name = "k" + name[1:] // "KB" and "Kbit/s" are common
	}
	for _, u := range units {
		if u.name == name {
			return u, true
		}
	}
	return unit{}, false
}

// scaled returns num times scale, rounded once.
func scaled(num string, scale *big.Rat) float64 {
	r, _ := new(big.Rat).SetString(num)
	f, _ := r.Mul(r, scale).Float64()
	return f
}

// formatExact prints v, counted in units of base, in the largest unit that
// shows a number of at least one. The scales are powers of ten, so moving the
// point of the shortest decimal of v loses nothing.
func formatExact(v float64, units []unit, base int64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	num, ok := new(big.Rat).SetString(text)
	if !ok { // not a finite number
		return text + " " + units[len(units)-1].name
	}
	num.Mul(num, new(big.Rat).SetInt64(base))
	u := units[0]
	for _, u = range units {
		if num.Cmp(new(big.Rat).SetInt64(u.scale)) >= 0 {
			break
		}
	}
	num.Quo(num, new(big.Rat).SetInt64(u.scale))
	digits, _ := num.FloatPrec()
	return num.FloatString(digits) + " " + u.name
}
