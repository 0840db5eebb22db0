package satellite

import (
	"math"
	"time"
)

// Constants of the Earth: WGS 84, and the mean radius for a sphere.
const (
	earthRadius = 6371.0        // km
	equator     = 6378.137      // km
	gravity     = 398600.4418   // km³/s²
	oblateness  = 1.08262668e-3 // J2
)

// Orbit is a circular orbit about a spherical Earth whose oblateness turns the
// orbit's plane.
type Orbit struct {
	Altitude    float64   `json:"altitude_km"`     // above the mean radius of 6,371 km; 200 to 2,000
	Inclination float64   `json:"inclination_deg"` // 0 to 180
	RAAN        float64   `json:"raan_deg"`        // right ascension of the ascending node at Epoch
	Phase       float64   `json:"phase_deg"`       // angle from the ascending node at Epoch
	Epoch       time.Time `json:"epoch"`
}

func (o Orbit) radius() float64 { return earthRadius + o.Altitude }

// motion is the mean motion in rad/s.
func (o Orbit) motion() float64 { return math.Sqrt(gravity / math.Pow(o.radius(), 3)) }

// nodal is the drift of the node in rad/s: -3/2 J2 (R/a)² n cos i.
func (o Orbit) nodal() float64 {
	q := equator / o.radius()
	return -1.5 * oblateness * q * q * o.motion() * math.Cos(rad(o.Inclination))
}

// track is an orbit made ready to be asked for places. Times are seconds after the
// epoch.
type track struct {
	a, n, drift float64 // radius in km, mean motion and the node's drift in rad/s
	node, phase float64 // at the epoch, rad
	si, ci      float64 // of the inclination
}

func (o Orbit) track() track {
	t := track{a: o.radius(), n: o.motion(), drift: o.nodal(), node: rad(o.RAAN), phase: rad(o.Phase)}
	t.si, t.ci = math.Sincos(rad(o.Inclination))
	return t
}

// plane returns two directions that span the orbit's plane: to the ascending node,
// and a quarter of a revolution further.
func (k *track) plane(t float64) (p, q vec) {
	so, co := math.Sincos(k.node + k.drift*t)
	return vec{co, so, 0}, vec{-so * k.ci, co * k.ci, k.si}
}

// argument is the angle from the ascending node.
func (k *track) argument(t float64) float64 { return k.phase + k.n*t }

// direction is that of the satellite from the Earth's centre.
func (k *track) direction(t float64) vec {
	p, q := k.plane(t)
	s, c := math.Sincos(k.argument(t))
	return vec{p.x*c + q.x*s, p.y*c + q.y*s, q.z * s}
}

// reach is the greatest angle at the Earth's centre between a station at a radius
// and a satellite that it sees at least so high, in rad: acos(R cos a/(R+h)) - a.
func (o Orbit) reach(stationRadius, elevation float64) float64 {
	return math.Acos(clamp(stationRadius*math.Cos(elevation)/o.radius(), -1, 1)) - elevation
}

var j2000 = time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)

// days since J2000; UTC stands for UT1.
func days(t time.Time) float64 { return t.Sub(j2000).Hours() / 24 }

// sidereal is the Earth's rotation angle in rad, and turn its rate in rad/s (IAU
// 1982, linear terms).
func sidereal(t time.Time) float64 { return rad(math.Mod(280.46061837+360.98564736629*days(t), 360)) }

const turn = 360.98564736629 / 86400 * math.Pi / 180

// sun is the direction of the sun, to about 0.01° (Astronomical Almanac, low
// precision).
func sun(t time.Time) vec {
	d := days(t)
	g := rad(math.Mod(357.528+0.9856003*d, 360))
	long := rad(math.Mod(280.460+0.9856474*d, 360) + 1.915*math.Sin(g) + 0.020*math.Sin(2*g))
	tilt := rad(23.439 - 4e-7*d)
	s, c := math.Sincos(long)
	return vec{c, math.Cos(tilt) * s, math.Sin(tilt) * s}
}
