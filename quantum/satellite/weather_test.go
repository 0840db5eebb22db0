package satellite

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func drawn(t *testing.T, seed byte, years int, stations ...Station) *Weather {
	t.Helper()
	w, err := NewWeather([32]byte{seed}, stations, newYear, newYear.AddDate(years, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// share is how often pairs of hours, so far apart, are both clear, and how often the
// first is.
func share(a, b []bool, lag int) (both, one float64) {
	n := len(a) - lag
	for h := range n {
		if a[h] {
			one++
			if b[h+lag] {
				both++
			}
		}
	}
	return both / float64(n), one / float64(n)
}

// The chain has the climate's share of clear hours and forgets as it says:
// correlation exp(-lag/persistence).
func TestWeatherIsTheChain(t *testing.T) {
	s := Station{Name: "a", Lat: 48, Lon: 16, Climate: Climate{Clear: 0.6, Persistence: 8}}
	w := drawn(t, 1, 20, s)
	for _, lag := range []int{1, 4, 8, 24} {
		both, one := share(w.clear["a"], w.clear["a"], lag)
		if math.Abs(one-0.6) > 0.02 {
			t.Fatalf("clear in %g of the hours", one)
		}
		got, want := (both-one*one)/(one*(1-one)), math.Exp(-float64(lag)/8)
		if math.Abs(got-want) > 0.03 {
			t.Errorf("after %d h the correlation is %g, want %g", lag, got, want)
		}
	}
}

func TestSeasons(t *testing.T) {
	s := Station{Name: "a", Climate: Climate{Clear: 0.5, Swing: 0.3, BestDay: 196}}
	w := drawn(t, 2, 12, s)
	var clear, hours [12]float64
	for at := newYear; at.Year() < 2038; at = at.Add(time.Hour) {
		m := at.Month() - 1
		hours[m]++
		clear[m] += w.Clear("a", at)
	}
	if july, january := clear[6]/hours[6], clear[0]/hours[0]; math.Abs(july-0.8) > 0.03 || math.Abs(january-0.2) > 0.03 {
		t.Errorf("July %g, January %g", july, january)
	}
}

// Neighbours have the same weather, continents do not, and more stations find a
// clear sky more often, each further one adding less.
func TestWeatherIsAlikeWhereStationsAreNear(t *testing.T) {
	c := Climate{Clear: 0.4}
	stations := []Station{
		{Name: "vienna", Lat: 48.2, Lon: 16.4, Climate: c}, {Name: "arsenal", Lat: 48.2, Lon: 16.5, Climate: c},
		{Name: "munich", Lat: 48.1, Lon: 11.6, Climate: c}, {Name: "tokyo", Lat: 35.7, Lon: 139.8, Climate: c},
	}
	w := drawn(t, 3, 10, stations...)
	correlation := func(name string) float64 {
		both, one := share(w.clear["vienna"], w.clear[name], 0)
		return (both - one*one) / (one * (1 - one))
	}
	next, far, away := correlation("arsenal"), correlation("munich"), correlation("tokyo")
	if next < 0.7 || far < 0.2 || far > next-0.2 || math.Abs(away) > 0.04 {
		t.Errorf("correlation of 7 km %g, of 360 km %g, of 9000 km %g", next, far, away)
	}
	any := make([]float64, len(stations)+1)
	for h := range w.hours {
		seen := 0.0
		for i, s := range []string{"vienna", "munich", "tokyo"} {
			if w.clear[s][h] {
				seen = 1
			}
			any[i+1] += seen / float64(w.hours)
		}
	}
	if !(any[1] < any[2] && any[2] < any[3]) {
		t.Errorf("clear at one of the stations: %v", any)
	}
}

func TestSameSeedSameWeather(t *testing.T) {
	s := []Station{{Name: "a", Climate: Climate{Clear: 0.5}}, {Name: "b", Lat: 3, Climate: Climate{Clear: 0.5}}}
	one, two, other := drawn(t, 4, 1, s...), drawn(t, 4, 1, s...), drawn(t, 5, 1, s...)
	if fmt.Sprint(one.clear) != fmt.Sprint(two.clear) || fmt.Sprint(one.clear) == fmt.Sprint(other.clear) {
		t.Error("weather does not follow from the seed")
	}
	if one.Clear("c", newYear) != 0 || one.Clear("a", newYear.Add(-time.Hour)) != 0 || one.Clear("a", newYear.AddDate(2, 0, 0)) != 0 {
		t.Error("what is not known is clear")
	}
}

func TestWeatherIsBounded(t *testing.T) {
	for _, c := range []struct {
		stations []Station
		to       time.Time
	}{
		{nil, newYear.AddDate(60, 0, 0)}, {nil, newYear.Add(-time.Hour)}, {make([]Station, 300), newYear}, {make([]Station, 2), newYear},
	} {
		if _, err := NewWeather([32]byte{}, c.stations, newYear, c.to); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%d stations until %s: %v", len(c.stations), c.to, err)
		}
	}
}
