package satellite

import (
	"math"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func leo() Orbit {
	return Orbit{Altitude: 500, Inclination: 97.4, RAAN: 40, Phase: 10, Epoch: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
}

// Computed in the reference: 443, 296 and 207 s above 10°, 20° and 30°.
func TestPublishedZenithPass(t *testing.T) {
	for elevation, want := range map[float64]float64{10: 443, 20: 296, 30: 207} {
		if got := leo().zenithPass(elevation).Seconds(); math.Round(got) != want {
			t.Errorf("above %g°: %g s, want %g", elevation, got, want)
		}
	}
}

// fall is the acceleration in the field of a point mass and, where j2 is set, of
// the Earth's oblateness.
func fall(p vec, j2 float64) vec {
	r := p.norm()
	a := p.times(-gravity / (r * r * r))
	k := 1.5 * j2 * gravity * equator * equator / math.Pow(r, 5)
	z := p.z * p.z / (r * r)
	return vec{a.x - k*p.x*(1-5*z), a.y - k*p.y*(1-5*z), a.z - k*p.z*(3-5*z)}
}

func plus(a, b vec) vec { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }

// fly integrates an orbit by Runge and Kutta's fourth-order rule.
func fly(p, v vec, j2, step float64, until func(t float64, p, v vec) bool) {
	for t := 0.0; until(t, p, v); t += step {
		a1 := fall(p, j2)
		p2, v2 := plus(p, v.times(step/2)), plus(v, a1.times(step/2))
		a2 := fall(p2, j2)
		p3, v3 := plus(p, v2.times(step/2)), plus(v, a2.times(step/2))
		a3 := fall(p3, j2)
		p4, v4 := plus(p, v3.times(step)), plus(v, a3.times(step))
		a4 := fall(p4, j2)
		p = plus(p, plus(plus(v, v2.times(2)), plus(v3.times(2), v4)).times(step/6))
		v = plus(v, plus(plus(a1, a2.times(2)), plus(a3.times(2), a4)).times(step/6))
	}
}

// A satellite that falls around a point mass, seen by a station that stands still:
// the time above an elevation.
func TestZenithPassEqualsPropagation(t *testing.T) {
	o := leo()
	a := o.radius()
	speed := math.Sqrt(gravity / a)
	station := vec{earthRadius, 0, 0}
	for _, elevation := range []float64{10, 20, 30} {
		seconds, last, lastT := 0.0, 0.0, 0.0
		fly(vec{a, 0, 0}, vec{0, 0, speed}, 0, 0.05, func(now float64, p, _ vec) bool {
			line := p.minus(station)
			h := degrees(math.Asin(line.x/line.norm())) - elevation
			if h < 0 {
				seconds = 2 * (lastT + (now-lastT)*last/(last-h)) // the other half is alike
			}
			last, lastT = h, now
			return h >= 0
		})
		distilltest.Within(t, "pass", o.zenithPass(elevation).Seconds(), seconds, 1e-6)
	}
}

func TestSlantRangeEqualsLawOfCosines(t *testing.T) {
	o := leo()
	for e := 1.0; e <= 90; e += 4.3 {
		angle := o.reach(earthRadius, rad(e))
		d := math.Sqrt(math.Pow(o.radius(), 2) + earthRadius*earthRadius - 2*o.radius()*earthRadius*math.Cos(angle))
		distilltest.Within(t, "slant range", slantRange(500, e), d, 1e-9)
		distilltest.Within(t, "elevation", slantElevation(500, d), e, 1e-6)
	}
	if slantElevation(500, 400) != 90 {
		t.Error("nearer than the orbit is the zenith")
	}
}

// The oblate Earth turns the plane of this orbit by 0.99° a day, with the sun: by
// the formula, and by falling through the field for half a day.
func TestNodeDrift(t *testing.T) {
	o := leo()
	perDay := degrees(o.nodal()) * 86400
	if math.Abs(perDay-0.9856) > 0.01 {
		t.Errorf("%g° a day", perDay)
	}
	a, s, c := o.radius(), math.Sin(rad(o.Inclination)), math.Cos(rad(o.Inclination))
	speed := math.Sqrt(gravity / a)
	var node, at, before float64
	first := true
	fly(vec{a, 0, 0}, vec{0, speed * c, speed * s}, oblateness, 5, func(now float64, p, v vec) bool {
		l := vec{p.y*v.z - p.z*v.y, p.z*v.x - p.x*v.z, p.x*v.y - p.y*v.x}
		if p.z >= 0 && before < 0 { // at an ascending node, where short waves cancel
			n := math.Atan2(l.x, -l.y)
			if first {
				first, node, at = false, n, now
			} else if now-at > 40_000 {
				distilltest.Within(t, "drift", o.nodal(), (n-node)/(now-at), 0.01)
				return false
			}
		}
		before = p.z
		return now < 90_000
	})
}

// Almanac: solstice and equinox of 2026, noon at Greenwich, midnight in the polar
// day; the sidereal time of J2000.
func TestSunAndStars(t *testing.T) {
	declination := func(s string) float64 {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return degrees(math.Asin(sun(at).z))
	}
	if d := declination("2026-06-21T08:24:00Z"); math.Abs(d-23.44) > 0.01 {
		t.Errorf("solstice: %g°", d)
	}
	if d := declination("2026-03-20T14:46:00Z"); math.Abs(d) > 0.02 {
		t.Errorf("equinox: %g°", d)
	}
	noon := time.Date(2026, 6, 21, 12, 2, 0, 0, time.UTC) // the equation of time is -2 min
	if h := (Station{Lat: 51.48}).SunElevation(noon); math.Abs(h-(90-51.48+23.44)) > 0.05 {
		t.Errorf("noon at Greenwich: %g°", h)
	}
	if h := (Station{Lat: 80}).SunElevation(noon.Add(12 * time.Hour)); h < 0 {
		t.Errorf("midnight in the polar day: %g°", h)
	}
	if n := sun(noon).norm(); math.Abs(n-1) > 1e-12 {
		t.Errorf("a direction of length %g", n)
	}
	distilltest.Within(t, "sidereal time", degrees(sidereal(j2000)), 280.46061837, 1e-9)
	distilltest.Within(t, "a sidereal day", 2*math.Pi/turn, 86164.0905, 1e-8)
}

// glance is how often brute force looks, s.
const glance = 2.0

// Every pass that a look every other second finds, and no other.
func TestPassesEqualBruteForce(t *testing.T) {
	const end = 1.5 * 86400
	for _, o := range []Orbit{leo(), {Altitude: 1200, Inclination: 51.6, RAAN: 300, Epoch: leo().Epoch}, {Altitude: 600, Inclination: 5, Epoch: leo().Epoch}} {
		for _, s := range []Station{{Lat: 48, Lon: 16}, {Lat: -33, Lon: 151, Height: 800}, {Lat: 89, Lon: 0}, {Lat: 2, Lon: -50}} {
			v, lowest := newView(o, s), rad(12)
			var found, brute []arc
			v.passes(3000, end, lowest, func(a arc) bool { found = append(found, a); return true })
			var now arc
			for x := 1000.0; x < end+2000; x += glance {
				e, _ := v.look(x)
				switch {
				case e >= lowest && now.rise == 0:
					now = arc{rise: x, top: x, height: e}
				case e >= lowest && e > now.height:
					now.top, now.height = x, e
				case e < lowest && now.rise > 0:
					now.set = x
					if now.top >= 3000 && now.top < end {
						brute = append(brute, now)
					}
					now = arc{}
				}
			}
			compare(t, found, brute)
		}
	}
}

func compare(t *testing.T, found, brute []arc) {
	t.Helper()
	if len(found) != len(brute) {
		t.Fatalf("%d passes, %d by looking", len(found), len(brute))
	}
	for i, a := range found {
		b := brute[i]
		if math.Abs(a.rise-b.rise) > glance+0.01 || math.Abs(a.set-b.set) > glance+0.01 || a.height < b.height-1e-9 || a.height > b.height+0.02 {
			t.Errorf("pass %d: %+v, by looking %+v", i, a, b)
		}
	}
}
