package satellite

import (
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// The event level counts in eras of one real day, so that pulse numbers stay small
// however fast time runs. The simulated calendar goes on from era to era and comes
// back to its beginning after ten years.
const (
	era      = 24 * time.Hour
	calendar = 3652 * 24 * 3600 // s
)

// clock turns real time since World.Start of one era into satellite time.
type clock struct {
	origin time.Time // satellite time at the era's beginning
	scale  float64
}

func (c clock) at(real time.Duration) time.Time {
	return c.origin.Add(time.Duration(float64(real) * c.scale))
}

func (c clock) real(t time.Time) time.Duration {
	return time.Duration(float64(t.Sub(c.origin)) / c.scale)
}

// clockOf returns the clock of an era, where base is satellite time at World.Start.
func clockOf(base time.Time, scale float64, n int64) clock {
	passed := math.Mod(float64(n)*scale*era.Seconds(), calendar)
	return clock{base.Add(time.Duration(passed) * time.Second), scale}
}

// horizon is how far the event level looks for a pass that yields key.
const horizon = 400 * 24 * time.Hour

// high is how high the first pass is to be, in degrees, where any is: a good pass to
// begin with.
const high = 40

// base finds satellite time at World.Start: that time itself, or so that the first
// high pass of use begins first_pass_s later. Error: Invalid when there is none of
// use in a year.
func (d Device) base(start time.Time, sky *forecast) (time.Time, error) {
	start = start.UTC().Truncate(time.Second)
	if d.FirstPass == 0 {
		return start, nil
	}
	day := start.Truncate(24 * time.Hour)
	p, ok := d.next(day, sky, high)
	if !ok {
		p, ok = d.next(day, sky, 0)
	}
	if !ok {
		return start, qsc.E("satellite.Protocol", qsc.Invalid, "", "no pass over latitude %g, longitude %g yields key within %d days: look at qsc plan's calendar, and at inclination, sky and optics", d.Lat, d.Lon, int(horizon/(24*time.Hour)))
	}
	lead := time.Duration(d.FirstPass * d.Timescale * float64(time.Second))
	return p.Rise.Add(-lead).Truncate(time.Second), nil
}

// next returns the first pass of use above an elevation in degrees: no more than a
// tenth of it has gone by at a time, it is worth it under a clear sky, and the sky is
// clear.
func (d Device) next(after time.Time, sky *forecast, elevation float64) (use Pass, ok bool) {
	d.eachPass(d.Station(), after.Add(-time.Hour), after.Add(horizon), func(p Pass) bool {
		late := p.Set.Sub(p.Rise) / 10
		if !p.worthIt() || p.MaxElevation < elevation || p.Rise.Add(late).Before(after) || !sky.clear(p.Culmination) {
			return true
		}
		use, ok = p, true
		return false
	})
	return use, ok
}

// worthIt reports whether a twentieth of the sifted bits is secret: of a pass with
// less, chance decides whether it yields key at all.
func (p Pass) worthIt() bool { return p.Bits > 0 && p.Bits*20 >= p.Sifted }

// forecast is the weather of one station, drawn in pieces as it is asked for.
type forecast struct {
	seed    [32]byte
	station Station
	from    time.Time
	drawn   *Weather
}

const piece = 32 * 24 * time.Hour

// clear says whether the sky is clear. Pieces begin at fixed times, so that both
// ends draw the same whatever they asked before.
func (f *forecast) clear(t time.Time) bool {
	if f.station.Clear == 0 {
		return true
	}
	if from := t.UTC().Truncate(piece); f.drawn == nil || !from.Equal(f.from) {
		w, err := NewWeather(f.seed, []Station{f.station}, from, from.Add(piece))
		if err != nil {
			return false // cannot be: one station, a month
		}
		f.from, f.drawn = from, w
	}
	return f.drawn.Clear(f.station.Name, t) == 1
}
