package satellite

import (
	"math"
	"time"
)

// Station is a telescope on the ground and its climate.
type Station struct {
	Name   string
	Lat    float64 // degrees north
	Lon    float64 // degrees east
	Height float64 // m above sea level
	Climate
}

// Climate says how often the sky of a station is clear.
type Climate struct {
	Clear       float64 `json:"clear_fraction"` // of the year; 0: always clear
	Swing       float64 `json:"clear_swing"`    // added in the best season, taken off in the worst
	BestDay     float64 `json:"clear_best_day"` // of the year
	Persistence float64 `json:"persistence_h"`  // after which the sky has forgotten, hours; 0: 12
}

// fraction is the probability of a clear sky at a time of the year.
func (c Climate) fraction(t time.Time) float64 {
	if c.Clear == 0 {
		return 1
	}
	const year = 365.2425
	season := math.Cos(2 * math.Pi * (float64(t.YearDay()) - c.BestDay) / year)
	return clamp(c.Clear+c.Swing*season, 0, 1)
}

func (s Station) radius() float64 { return earthRadius + s.Height/1000 }

// zenith is the direction of the station's zenith at a rotation angle.
func (s Station) zenith(angle float64) vec {
	sl, cl := math.Sincos(rad(s.Lat))
	so, co := math.Sincos(rad(s.Lon) + angle)
	return vec{cl * co, cl * so, sl}
}

// apart is the distance between two stations over the ground, km.
func (s Station) apart(o Station) float64 {
	return earthRadius * math.Acos(clamp(s.zenith(0).dot(o.zenith(0)), -1, 1))
}

// SunElevation is the sun's height above the station's horizon, degrees.
func (s Station) SunElevation(t time.Time) float64 {
	return degrees(math.Asin(clamp(s.zenith(sidereal(t)).dot(sun(t)), -1, 1)))
}

// view is a station that looks for one satellite. Times are seconds after the
// orbit's epoch.
type view struct {
	orbit  Orbit
	st     Station
	track  track
	angle  float64 // of the Earth at the epoch, the station's longitude added
	radius float64 // of the station, km
	sl, cl float64 // of its latitude
}

func newView(o Orbit, s Station) *view {
	v := &view{orbit: o, st: s, track: o.track(), angle: sidereal(o.Epoch) + rad(s.Lon), radius: s.radius()}
	v.sl, v.cl = math.Sincos(rad(s.Lat))
	return v
}

func (v *view) zenith(t float64) vec {
	s, c := math.Sincos(v.angle + turn*t)
	return vec{v.cl * c, v.cl * s, v.sl}
}

// closeness is the cosine of the angle at the Earth's centre between station and
// satellite.
func (v *view) closeness(t float64) float64 { return v.zenith(t).dot(v.track.direction(t)) }

// look is where the satellite stands: elevation in rad and slant range in km.
func (v *view) look(t float64) (elevation, slant float64) {
	c, a, r := v.closeness(t), v.track.a, v.radius
	slant = math.Sqrt(a*a + r*r - 2*a*r*c)
	return math.Asin(clamp((a*c-r)/slant, -1, 1)), slant
}
