package satellite

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quantum-secure-cloud/qsc"
)

// Weather is a drawn history of clear and clouded hours over several stations.
//
// At each station the sky is a Markov chain of one-hour steps whose stationary
// probability of "clear" is the climate's of the season and which forgets with the
// climate's persistence. The stations' chains are driven by the same noise as far
// as they are near: Gaussian variables with correlation exp(-distance/Correlation),
// new every hour.
type Weather struct {
	from  time.Time
	hours int
	clear map[string][]bool // by station, one for each hour
}

// Correlation is the distance in km over which the noise is alike; the skies that it
// drives are less so: chains that have parted take their time to meet again.
const Correlation = 1500.0

// Bounds on a history.
const (
	maxStations = 256
	maxHours    = 50 * 366 * 24
)

// NewWeather draws a history from a seed: the same seed, stations and first hour
// give the same. Error: Invalid for too many or equally named stations and for more
// than 50 years.
func NewWeather(seed [32]byte, stations []Station, from, to time.Time) (*Weather, error) {
	from = from.UTC().Truncate(time.Hour)
	hours := int(to.Sub(from)/time.Hour) + 1
	if len(stations) > maxStations || to.Before(from) || hours > maxHours {
		return nil, qsc.E("satellite.NewWeather", qsc.Invalid, "", "%d stations from %s to %s: at most %d stations and 50 years", len(stations), from, to, maxStations)
	}
	w := &Weather{from: from, hours: hours, clear: map[string][]bool{}}
	series := make([][]bool, len(stations))
	for i, s := range stations {
		series[i] = make([]bool, hours)
		w.clear[s.Name] = series[i]
	}
	if len(w.clear) != len(stations) {
		return nil, qsc.E("satellite.NewWeather", qsc.Invalid, "", "two stations have the same name: give each its own")
	}
	sky := newSky(seed, stations, from)
	for h := range hours {
		sky.hour(from.Add(time.Duration(h)*time.Hour), func(i int, clear bool) { series[i][h] = clear })
	}
	return w, nil
}

// Clear is 1 when the sky of a station was clear at a time, 0 when it was clouded
// or nothing is known of it.
func (w *Weather) Clear(station string, t time.Time) float64 {
	h := t.Sub(w.from)
	series := w.clear[station]
	if h < 0 || int(h/time.Hour) >= len(series) || !series[h/time.Hour] {
		return 0
	}
	return 1
}

// sky steps the chains of all stations.
type sky struct {
	stations []Station
	forget   []float64 // in an hour
	state    []bool
	begun    bool
	mix      *mat.TriDense // Cholesky factor of the correlation
	r        *rand.Rand
	z        []float64
	today    int // day of the year that levels are for
	level    [][3]float64
}

func newSky(seed [32]byte, stations []Station, from time.Time) *sky {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(from.Unix()))
	for i, x := range append(b[:], "satellite weather"...) {
		seed[i] ^= x
	}
	s := &sky{
		stations: stations, state: make([]bool, len(stations)), z: make([]float64, len(stations)),
		r: rand.New(rand.NewChaCha8(seed)), today: -1, level: make([][3]float64, len(stations)),
	}
	for _, st := range stations {
		hours := st.Persistence
		if hours == 0 {
			hours = 12
		}
		s.forget = append(s.forget, -math.Expm1(-1/hours))
	}
	s.mix = factor(stations)
	return s
}

// factor is the Cholesky factor of the stations' correlation. exp(-distance/c) on a
// sphere is a valid correlation; a little is taken off so that stations at the same
// place do not make it singular.
func factor(stations []Station) *mat.TriDense {
	n := len(stations)
	if n == 0 {
		return nil
	}
	c := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i {
			c.SetSym(i, j, (1-1e-9)*math.Exp(-stations[i].apart(stations[j])/Correlation))
		}
		c.SetSym(i, i, 1)
	}
	var chol mat.Cholesky
	chol.Factorize(c)
	l := mat.NewTriDense(n, mat.Lower, nil)
	chol.LTo(l)
	return l
}

// hour draws the next hour.
func (s *sky) hour(t time.Time, tell func(i int, clear bool)) {
	if d := t.YearDay(); d != s.today {
		s.today = d
		s.levels(t)
	}
	for i := range s.z {
		s.z[i] = s.r.NormFloat64()
	}
	for i := range s.stations {
		g := 0.0
		for j := range i + 1 {
			g += s.mix.At(i, j) * s.z[j]
		}
		from := 2 // nothing known: stationary
		if s.begun {
			from = 0
			if s.state[i] {
				from = 1
			}
		}
		s.state[i] = g < s.level[i][from]
		tell(i, s.state[i])
	}
	s.begun = true
}

// levels finds below which Gaussian noise the sky is clear next, when it is
// clouded, clear, or not known.
func (s *sky) levels(t time.Time) {
	quantile := distuv.UnitNormal.Quantile
	for i, st := range s.stations {
		c := st.fraction(t)
		s.level[i] = [3]float64{quantile(c * s.forget[i]), quantile(1 - (1-c)*s.forget[i]), quantile(c)}
	}
}
