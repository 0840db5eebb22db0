package satellite

import (
	"math"
	"time"
)

// Closed forms of the reference and of textbooks, which the passes are tested
// against. Nothing else needs them.

// slantRange is the distance in km to a satellite at an altitude seen at an
// elevation from sea level: sqrt(R² sin²a + 2Rh + h²) - R sin a.
func slantRange(altitudeKM, elevationDeg float64) float64 {
	s := earthRadius * math.Sin(rad(elevationDeg))
	return math.Sqrt(s*s+2*earthRadius*altitudeKM+altitudeKM*altitudeKM) - s
}

// zenithPass is how long a pass through the zenith stays above an elevation when
// the Earth does not turn: 2 lambda/n.
func (o Orbit) zenithPass(elevationDeg float64) time.Duration {
	s := 2 * o.reach(earthRadius, rad(elevationDeg)) / o.motion()
	return time.Duration(s * float64(time.Second))
}

// slantElevation is the other way round: the elevation in degrees at which a
// satellite at an altitude is so far away; 90 when it is nearer than the altitude.
func slantElevation(altitudeKM, rangeKM float64) float64 {
	s := (2*earthRadius*altitudeKM + altitudeKM*altitudeKM - rangeKM*rangeKM) / (2 * earthRadius * rangeKM)
	return degrees(math.Asin(clamp(s, -1, 1)))
}

func (a vec) minus(b vec) vec     { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) times(k float64) vec { return vec{a.x * k, a.y * k, a.z * k} }
func (a vec) norm() float64       { return math.Sqrt(a.dot(a)) }
