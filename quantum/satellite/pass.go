package satellite

import "math"

// arc is one pass as geometry: seconds after the orbit's epoch, and the greatest
// elevation in rad.
type arc struct{ rise, top, set, height float64 }

// passes calls f with every pass above an elevation (rad) that culminates between
// two times, in order, until f returns false. There is at most one in a revolution:
// where the satellite comes nearest to the station in its plane.
func (v *view) passes(from, to, elevation float64, f func(arc) bool) {
	if !(to > from) {
		return
	}
	near := math.Cos(v.orbit.reach(v.radius, elevation))
	revolution := 2 * math.Pi / v.track.n
	for t := v.nearest(from - revolution); t < to; {
		if t >= from {
			if a, ok := v.arc(t, near); ok && a.top >= from && a.top < to && !f(a) {
				return
			}
		}
		next := v.nearest(t + revolution)
		if next < t+revolution/2 {
			next = v.nearest(t + 1.5*revolution)
		}
		t = next
	}
}

// nearest returns the time close to t at which the satellite passes nearest to the
// station, by following the station's turn: a few steps, each 15 times nearer.
func (v *view) nearest(t float64) float64 {
	n := v.track.n
	for range 4 {
		p, q := v.track.plane(t)
		z := v.zenith(t)
		ahead := math.Remainder(math.Atan2(z.dot(q), z.dot(p))-v.track.argument(t), 2*math.Pi)
		t += ahead / n
		if math.Abs(ahead) < 1e-3 {
			break
		}
	}
	return t
}

// arc completes a pass that culminates about t; near is the cosine of the angle at
// the Earth's centre at which it rises and sets.
func (v *view) arc(t, near float64) (a arc, ok bool) {
	if v.closeness(t) < near-0.01 {
		return a, false
	}
	a.top = v.culmination(t)
	if v.closeness(a.top) <= near {
		return a, false
	}
	a.height, _ = v.look(a.top)
	longest := math.Acos(near)/v.track.n*1.2 + 10
	a.rise = v.crossing(a.top, a.top-longest, near)
	a.set = v.crossing(a.top, a.top+longest, near)
	return a, true
}

// culmination follows the parabola through three points, twice.
func (v *view) culmination(t float64) float64 {
	for _, step := range []float64{20, 2} {
		before, at, after := v.closeness(t-step), v.closeness(t), v.closeness(t+step)
		if bend := before - 2*at + after; bend < 0 {
			t += clamp((before-after)/(2*bend), -2, 2) * step
		}
	}
	return t
}

// crossing finds where closeness falls to near between in and out, by false
// position in which an end that stays twice counts half (Illinois); to microseconds.
func (v *view) crossing(in, out, near float64) float64 {
	fin, fout := v.closeness(in)-near, v.closeness(out)-near
	if fout >= 0 {
		return out // cannot be for orbits in range
	}
	stayed := 0
	for range 60 {
		mid := in + (out-in)*fin/(fin-fout)
		f := v.closeness(mid) - near
		switch {
		case math.Abs(f) < 1e-9:
			return mid
		case f > 0:
			in, fin = mid, f
			if stayed > 0 {
				fout /= 2
			}
			stayed = 1
		default:
			out, fout = mid, f
			if stayed < 0 {
				fin /= 2
			}
			stayed = -1
		}
	}
	return in
}
