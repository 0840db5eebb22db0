package timetag

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// The search for the offset between the two clocks: the times of each end are folded
// onto a circle of bins, twice, and the circles correlated. The coarse circle is one
// epoch round, so that offsets of up to half an epoch (0.27 s) are told apart; the
// fine one resolves 2 ns. Two ends that are set by the network's time are well within.
const (
	binsLog   = 18
	bins      = 1 << binsLog
	coarseLog = epochBits - binsLog // a bin of 2.05 µs
	fineLog   = 4                   // a bin of 2 ns, the circle 524 µs round

	// A peak must stand out of the circle's other bins by so many standard deviations:
	// by chance one in 10⁹ searches finds as much.
	minPeak = 8.0
	// reach is how far around the found offset single epochs are looked at, in units:
	// 128 ns, so that clocks may differ by 10⁻⁷ while they are searched.
	reach = 1024
)

// circle correlates the times of both ends folded onto bins of 2^log units. It
// returns the lag of b behind a in bins at which most coincide, and how many standard
// deviations that stands out.
func circle(a, b []moment, log int, fft *fourier.FFT) (lag int, peak float64) {
	fold := func(times []moment) []complex128 {
		hist := make([]float64, bins)
		for _, t := range times {
			hist[t>>log&(bins-1)]++
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
		return 0, 0
	}
	return lag, corr[lag] / math.Sqrt((square-corr[lag]*corr[lag])/(bins-1)+1e-9*square)
}

// search returns how far b's clock is ahead of a's, to within a fine bin, from times
// of the same epochs. ok is false where nothing stands out.
func search(a, b []moment, aFine, bFine []moment) (offset int64, ok bool) {
	fft := fourier.NewFFT(bins)
	coarse, p1 := circle(a, b, coarseLog, fft)
	fine, p2 := circle(aFine, bFine, fineLog, fft)
	if p1 < minPeak || p2 < minPeak {
		return 0, false
	}
	const round = bins << fineLog
	rough := int64(int32(uint32(coarse) << coarseLog)) // of the circle's two halves one is negative
	rest := (int64(fine)<<fineLog - rough) & (round - 1)
	if rest >= round/2 {
		rest -= round
	}
	if rest < -2<<coarseLog || rest > 2<<coarseLog {
		return 0, false // the two circles do not agree
	}
	return rough + rest, true
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

// peak looks at the differences of b to a that lie within reach of what c says, and
// returns the centre of the window in which most lie, relative to c. ok is false where
// it holds no more than chance.
func peak(a, b []moment, c clock, window int64) (residual float64, ok bool) {
	var hist [2*reach + 1]int
	total := 0
	j := 0
	for _, t := range a {
		mid := t + moment(int64(math.Round(c.ahead(t))))
		for j < len(b) && b[j].since(mid) < -reach {
			j++
		}
		for k := j; k < len(b) && b[k].since(mid) <= reach; k++ {
			hist[b[k].since(mid)+reach]++
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
		weight += float64(hist[i]) * float64(i-reach)
	}
	return weight / float64(best), true
}

// settle makes a clock of an offset that search found. It looks at each epoch's times
// and draws a line through what they show: in wide windows first, which hold an epoch's
// pairs even where a difference of frequencies smears them, then in narrower ones along
// that line. ok is false when fewer than half of the epochs show anything.
func settle(a, b [][]moment, offset int64, window int64) (c clock, ok bool) {
	c = clock{at: a[0][0], offset: float64(offset)}
	all := joined(b)
	for _, wide := range []int64{512, 128, max(window, 2<<fineLog)} {
		var better clock
		if better, ok = straighten(a, all, c, wide); ok {
			c = better
		}
	}
	return c, ok
}

// straighten draws the line through what the epochs show of a clock's error.
func straighten(a [][]moment, b []moment, c clock, window int64) (clock, bool) {
	var x, y []float64
	better := c
	for _, times := range a {
		if len(times) == 0 {
			continue
		}
		mid := times[len(times)/2]
		r, found := peak(times, b, better, window)
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
