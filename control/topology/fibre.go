package topology

import (
	"math"

	qsc "github.com/quantum-secure-cloud/qsc"
)

// fibreDetour is how much longer fibre is than the way of the crow.
const fibreDetour = 1.3

// fibre returns the length of the fibre between two places, in tenths of a km
// and at least one.
func fibre(a, b Location) float64 {
	x, y := (a.Lon-b.Lon)*kmPerLon, (a.Lat-b.Lat)*kmPerLat
	return max(0.1, decimals(fibreDetour*math.Hypot(x, y), 1))
}

// reach is a kind of link over fibre in the plainest model there is: its rate
// falls by a factor of ten with every so many km.
type reach struct {
	kind   string
	upTo   float64 // km
	rate   float64 // bit/s at no distance
	tenth  float64 // km to a tenth of the rate
	anchor string  // what it was fitted to
}

// reaches holds the kind that is laid for a distance. The slope is that of the
// secret key rate, which falls faster than light: noise, finite blocks and other
// channels in the fibre are in it. Twin-field key falls with the square root of
// transmission.
var reaches = []reach{
	{"cv", 25, 100e6, 19.2, "5 Mbit/s distilled at 25 km"},
	{"bb84", 60, 20e6, 28.6, "10 Mbit/s at 10 km, 300 kbit/s in the field at 45 km, 66 kbit/s beside other channels at 70 km"},
	{"twin-field", math.Inf(1), 11e6, 100, "111 kbit/s at 202 km"},
}

// simulatedMost bounds a simulated link's rate to what one machine makes for a
// whole network; it is also the best of today's products.
const simulatedMost qsc.BitRate = 10e6

// fibreLink returns the kind that is laid for a distance and the secret key rate
// of one such link, to three digits and at least 1 bit/s.
func fibreLink(km float64) (kind string, rate qsc.BitRate) {
	for _, r := range reaches {
		if km <= r.upTo {
			return r.kind, qsc.BitRate(max(1, digits3(r.rate*math.Pow(10, -km/r.tenth))))
		}
	}
	return "", 0
}

// decimals rounds to so many digits behind the point, digits3 to three in all.
// Rounding also hides what machines disagree on.
func decimals(v float64, n int) float64 {
	scale := math.Pow10(n)
	return math.Round(v*scale) / scale
}

func digits3(v float64) float64 {
	if v < 1000 {
		return math.Round(v)
	}
	scale := math.Pow10(int(math.Floor(math.Log10(v))) - 2)
	return math.Round(v/scale) * scale
}
