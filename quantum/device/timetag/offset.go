package timetag

import (
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"
)

// The search for the offset between the two clocks: the times of each end are laid on
// a circle that is as many epochs round as were gathered, in bins of 2.05 µs, and the
// two circles correlated. The differences around the lag that stands out then show
// the offset itself.
const (
	binLog = 14 // of the units in a bin
	// A peak must stand out of the circle's other bins by so many standard deviations:
	// by chance one in 10⁹ searches finds as much.
	minPeak = 8.0
	// reach is how far around what is known single epochs are looked at, in units:
	// 256 ns.
	reach = 2048
)

// circle correlates the times of both ends. It returns the lag of b behind a in bins
// at which most coincide, how many bins there are, and how many standard deviations
// the lag stands out.
func circle(a, b []moment, epochs int) (lag, bins int, peak float64) {
	bins = 1 << (epochBits - binLog + bits.Len(uint(epochs-1)))
	fft := fourier.NewFFT(bins)
	fold := func(times []moment) []complex128 {
		hist := make([]float64, bins)
		for _, t := range times {
			hist[int(t>>binLog)&(bins-1)]++
		}
		return fft.Coefficients(nil, hist)
	}
	x, y := fold(a), fold(b)
	for i := range x {
		y[i] *= complex(real(x[i]), -imag(x[i]))
	}
	y[0] = 0 // the mean
	corr := fft.Sequence(nil, y)
	var square float64
	for i, c := range corr {
		if square += c * c; c > corr[lag] {
			lag = i
		}
	}
	if square == 0 {
		return 0, bins, 0
	}
	top := corr[lag]
	return lag, bins, top / math.Sqrt((square-top*top)/float64(bins-1)+1e-9*square)
}

// search finds Bob's clock from the times of the same epochs at both ends, epoch by
// epoch. ok is false where nothing stands out.
func search(a, b [][]moment, window int64) (c clock, ok bool) {
	hers, his := joined(a), joined(b)
	lag, bins, height := circle(hers, his, len(a))
	if height < minPeak {
		return c, false
	}
	if lag >= bins/2 {
		lag -= bins // of the circle's two halves one is negative
	}
	return settle(a, his, clock{at: a[0][0], offset: float64(int64(lag) << binLog)}, window)
}

// clock is how far Bob's clock is ahead of Alice's: offset at a moment of hers, and
// by how much it grows with each unit. It is in units of 125 ps.
type clock struct {
	at     moment
	offset float64
	slope  float64
}

// ahead is the offset at a moment.
func (c clock) ahead(at moment) float64 { return c.offset + c.slope*float64(at.since(c.at)) }

// track takes in that pairs of an epoch with its middle at a moment were found late
// by a mean residual: a filter of second order, which follows a drift without lag.
func (c clock) track(at moment, residual float64) clock {
	const gain, drift = 0.6, 0.2
	span := float64(uint64(1) << epochBits)
	return clock{at: at, offset: c.ahead(at) + gain*residual, slope: c.slope + drift*residual/span}
}

// peak looks at the differences of b to a that lie within span of what c says, and
// returns the centre of the window in which most lie, relative to c. ok is false where
// it holds no more than chance.
func peak(a, b []moment, c clock, window, span int64) (residual float64, ok bool) {
	hist := make([]int, 2*span+1)
	total := 0
	j := 0
	for _, t := range a {
		mid := t + moment(int64(math.Round(c.ahead(t))))
		for j < len(b) && b[j].since(mid) < -span {
			j++
		}
		for k := j; k < len(b) && b[k].since(mid) <= span; k++ {
			hist[b[k].since(mid)+span]++
			total++
		}
	}
	best, sum, at := 0, 0, 0
	for i := range hist {
		sum += hist[i]
		if i > int(window) {
			sum -= hist[i-int(window)-1]
		}
		if sum > best {
			best, at = sum, i
		}
	}
	chance := float64(total-best) * float64(window+1) / float64(len(hist)-int(window)-1)
	if float64(best) < chance+6*math.Sqrt(chance)+8 {
		return 0, false
	}
	weight := 0.0
	for i := max(at-int(window), 0); i <= at; i++ {
		weight += float64(hist[i]) * float64(int64(i)-span)
	}
	return weight / float64(best), true
}

// settle makes c, which is right to a bin of the circle, exact: by all times at once,
// then by a line through what each epoch shows, in wide windows first, which hold an
// epoch's pairs even where a difference of frequencies smears them. ok is false when
// fewer than half of the epochs show anything.
func settle(a [][]moment, b []moment, c clock, window int64) (_ clock, ok bool) {
	if c, ok = straighten([][]moment{joined(a)}, b, c, 1024, 3<<binLog); !ok {
		return c, false
	}
	for _, wide := range []int64{512, 128, max(window, 32)} {
		var better clock
		if better, ok = straighten(a, b, c, wide, reach); ok {
			c = better
		}
	}
	return c, ok
}

// straighten draws the line through what the epochs show of a clock's error.
func straighten(a [][]moment, b []moment, c clock, window, span int64) (clock, bool) {
	var x, y []float64
	better := c
	for _, times := range a {
		mid := times[len(times)/2]
		r, found := peak(times, b, better, window, span)
		if !found {
			continue
		}
		x, y = append(x, float64(mid.since(c.at))), append(y, better.ahead(mid)+r-c.offset)
		if len(x) == 1 {
			better.offset += r
			continue
		}
		at0, slope := line(x, y)
		better.offset, better.slope = c.offset+at0, slope
	}
	return better, 2*len(x) >= len(a)
}

// line is the straight line through points by least squares.
func line(x, y []float64) (at0, slope float64) {
	n, sx, sy := float64(len(x)), 0.0, 0.0
	for i := range x {
		sx, sy = sx+x[i]/n, sy+y[i]/n
	}
	var xx, xy float64
	for i := range x {
		xx, xy = xx+(x[i]-sx)*(x[i]-sx), xy+(x[i]-sx)*(y[i]-sy)
	}
	if xx > 0 {
		slope = xy / xx
	}
	return sy - slope*sx, slope
}

func joined(parts [][]moment) (all []moment) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// pairs matches the times of both ends, each at most once, in order: of those of b
// from index first on that lie within half a window of where c puts a time of a, the
// nearest. found is called with the indices and the residual.
func pairs(a, b []moment, first int, c clock, window int64, found func(i, j int, residual float64)) {
	half := float64(window) / 2
	j := first
	for i, t := range a {
		ahead := c.ahead(t)
		base := t + moment(int64(math.Floor(ahead)))
		frac := ahead - math.Floor(ahead)
		late := func(k int) float64 { return float64(b[k].since(base)) - frac }
		for j < len(b) && late(j) < -half {
			j++
		}
		best := -1
		for k := j; k < len(b) && late(k) <= half; k++ {
			if best < 0 || math.Abs(late(k)) < math.Abs(late(best)) {
				best = k
			}
		}
		if best >= 0 {
			found(i, best, late(best))
			j = best + 1
		}
	}
}
