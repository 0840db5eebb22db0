package satellite

import "math"

// vec is a vector in the inertial frame of date, z to the north: km, or a
// direction.
type vec struct{ x, y, z float64 }

func (a vec) dot(b vec) float64       { return a.x*b.x + a.y*b.y + a.z*b.z }
func rad(degrees float64) float64     { return degrees * (math.Pi / 180) }
func degrees(rad float64) float64     { return rad * (180 / math.Pi) }
func clamp(x, lo, hi float64) float64 { return min(max(x, lo), hi) }
