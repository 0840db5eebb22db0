package timetag

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// pairsOf draws pairs and singles of some epochs for both ends.
func pairsOf(seed uint64, epochs, pairs, singles int, offset, slope float64) (a, b [][]moment) {
	r := rand.New(rand.NewPCG(seed, 1))
	base := Epoch(0xfffffffe).start() // across the number's coming round
	a, b = make([][]moment, epochs), make([][]moment, epochs)
	put := func(to [][]moment, at float64) {
		if e := int(math.Floor(at / (1 << epochBits))); e >= 0 && e < epochs {
			to[e] = append(to[e], base+moment(int64(at)))
		}
	}
	span := float64(epochs) * (1 << epochBits)
	for range pairs * epochs {
		at := r.Float64() * span
		put(a, at)
		put(b, at+offset+slope*at+2*r.NormFloat64())
	}
	for range singles * epochs {
		put(a, r.Float64()*span)
		put(b, r.Float64()*span)
	}
	for e := range epochs {
		slices.Sort(a[e])
		slices.Sort(b[e])
	}
	return a, b
}

// The clock is found to a unit, whatever the offset, as far as is promised: for pairs
// in one of forty clicks, and frequencies that differ by 5·10⁻⁸.
func TestSearch(t *testing.T) {
	for i, c := range []struct {
		epochs, pairs, singles int
		offset, slope          float64
	}{
		{2, 2000, 4000, 1_000_000_001.5, 5e-8}, {2, 2000, 4000, -1_000_000_001.5, -5e-8}, {1, 2000, 4000, 0, 0},
		{4, 800, 32_000, 12_345_678, 1e-8}, {1, 4000, 4000, -1_000_000_000, 0},
	} {
		a, b := pairsOf(uint64(i), c.epochs, c.pairs, c.singles, c.offset, c.slope)
		got, ok := search(a, b, 16)
		if !ok {
			t.Errorf("%+v: not found", c)
			continue
		}
		for e := range a {
			mid := a[e][len(a[e])/2]
			since := float64(mid.since(Epoch(0xfffffffe).start()))
			if d := got.ahead(mid) - (c.offset + c.slope*since); math.Abs(d) > 4 {
				t.Errorf("%+v: epoch %d is %.1f units off", c, e, d)
			}
		}
	}
}

// Chance finds nothing.
func TestSearchFindsNothing(t *testing.T) {
	for seed := range uint64(3) {
		a, b := pairsOf(seed, 1, 0, 20_000, 0, 0)
		if c, ok := search(a, b, 16); ok {
			t.Errorf("seed %d: an offset of %.0f", seed, c.offset)
		}
	}
}

// Each time is matched once, with the nearest, and none outside of the window.
func TestPairs(t *testing.T) {
	a := []moment{100, 200, 205, 300, 400}
	b := []moment{1108, 1190, 1201, 1204, 1309, 1392, 1500}
	var got [][2]int
	pairs(a, b, 0, clock{at: 0, offset: 1000}, 16, func(i, j int, late float64) {
		got = append(got, [2]int{i, j})
		if want := float64(b[j].since(a[i]+1000)) - 0; late != want {
			t.Errorf("%d and %d: late by %g, not %g", i, j, late, want)
		}
	})
	if want := [][2]int{{0, 0}, {1, 2}, {2, 3}, {4, 5}}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
	pairs(a, b, 3, clock{offset: 1000}, 16, func(i, j int, _ float64) {
		if j < 3 {
			t.Errorf("%d is matched again", j)
		}
	})
}

// A drift is followed without lag, from a slope that is not known at first.
func TestTrack(t *testing.T) {
	const slope = 1e-8
	c, residual := clock{}, 0.0
	for e := range 60 {
		mid := Epoch(e).start() + 1<<(epochBits-1)
		residual = slope*float64(mid) - c.ahead(mid)
		c = c.track(mid, residual)
	}
	if math.Abs(residual) > 0.01 || math.Abs(c.slope-slope) > 1e-11 {
		t.Errorf("late by %.3f units, slope %g", residual, c.slope)
	}
}
