package repeater

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// alternating is the closed form of the expected wait.
func alternating(m int, p float64) float64 {
	sum, c := 0.0, 1.0
	for k := 1; k <= m; k++ {
		c *= float64(m-k+1) / float64(k)
		term := c / -math.Expm1(float64(k)*math.Log1p(-p))
		if k%2 == 0 {
			term = -term
		}
		sum += term
	}
	return sum
}

// subsets solves the chain whose states are the sets of ready links, 2^m of them,
// as linear systems: the expected periods, and the expectation of
// decay^(periods waited).
func subsets(t *testing.T, c chain) (wait, kept float64) {
	t.Helper()
	full := 1<<c.links - 1
	a, b := mat.NewDense(full, full, nil), mat.NewDense(full, full, nil)
	ones, reach := mat.NewVecDense(full, nil), mat.NewVecDense(full, nil)
	for s := range full {
		x := math.Pow(c.decay, float64(bits.OnesCount(uint(s))))
		ones.SetVec(s, 1)
		a.Set(s, s, 1)
		b.Set(s, s, 1)
		for next := 0; next <= full; next++ {
			if next&s != s {
				continue
			}
			q := math.Pow(c.p, float64(bits.OnesCount(uint(next&^s)))) * math.Pow(1-c.p, float64(bits.OnesCount(uint(full&^next))))
			if next == full {
				reach.SetVec(s, x*q)
				continue
			}
			a.Set(s, next, a.At(s, next)-q)
			b.Set(s, next, b.At(s, next)-x*q)
		}
	}
	var e, v mat.VecDense
	if err := e.SolveVec(a, ones); err != nil {
		t.Fatal(err)
	}
	if err := v.SolveVec(b, reach); err != nil {
		t.Fatal(err)
	}
	return e.AtVec(0), v.AtVec(0)
}

// lastReady sums over the period n in which the last link becomes ready, by the
// weight a_n of a link that is ready by then and has decayed since.
func lastReady(c chain) float64 {
	a, sum := 0.0, 0.0
	ready := c.p
	for n := 1; ; n++ {
		a = a*c.decay + ready
		ready *= 1 - c.p
		term := math.Pow(a, float64(c.links))
		if sum += term; n > 100 && term < 1e-15*sum {
			break
		}
	}
	return (1 - math.Pow(c.decay, float64(c.links))) * sum
}

func TestExpectationsEqualIndependentDerivations(t *testing.T) {
	for _, p := range []float64{0.9, 0.27, 0.0031, 2e-4} {
		for m := 1; m <= 5; m++ {
			c := chain{links: m, p: p, swap: 1, w: 1, decay: math.Exp(-p / 3)}
			wait, kept := subsets(t, c)
			distilltest.Within(t, "wait, linear system", c.wait(), wait, 1e-9)
			distilltest.Within(t, "wait, alternating sum", c.wait(), alternating(m, p), 1e-9)
			distilltest.Within(t, "kept, linear system", c.kept(), kept, 1e-9)
			distilltest.Within(t, "kept, sum over the last", c.kept(), lastReady(c), 1e-9)
		}
	}
	distilltest.Within(t, "two links", chain{links: 2, p: 0.01}.wait(), (3-0.02)/(0.01*1.99), 1e-12)
}

// Where the alternating sum has lost all digits, the chain still lies between what
// it must: the mean of a maximum of exponentials, H(m)/p.
func TestLongChainsKeepTheirDigits(t *testing.T) {
	const m, p = 64, 1e-6
	harmonic := 0.0
	for k := 1; k <= m; k++ {
		harmonic += 1 / float64(k)
	}
	distilltest.Within(t, "wait", chain{links: m, p: p}.wait(), harmonic/p, 1e-5)
}

// The law of large numbers: what the event level draws has the exact expectations.
func TestEventsEqualExpectations(t *testing.T) {
	for i, c := range []chain{
		{links: 1, p: 0.02, swap: 1, w: 0.95, decay: 0.99},
		{links: 2, p: 0.27, swap: 0.5, w: 0.9, decay: 0.97},
		{links: 3, p: 0.004, swap: 0.25, w: 0.97, decay: 0.9995},
		{links: 4, p: 0.05, swap: 1, w: 0.99, decay: 0.999},
		{links: 8, p: 0.6, swap: 0.3, w: 0.99, decay: 0.98},
	} {
		s := newSource(c, rand.New(rand.NewChaCha8([32]byte{byte(i)})))
		const pairs = 40_000
		var from, before uint64
		var gaps, squares, errors, errSquares float64
		for range pairs {
			at, z, x, ok := s.Next(from, forever)
			if !ok || z != x || at < from {
				t.Fatalf("chain %d: pair at %d after %d, %t", i, at, from, ok)
			}
			gap := float64(at + 1 - before)
			before, from = at+1, at+1
			gaps, squares = gaps+gap, squares+gap*gap
			errors, errSquares = errors+z, errSquares+z*z
		}
		within := func(what string, sum, sq, want float64) {
			t.Helper()
			mean := sum / pairs
			sigma := math.Sqrt(max(sq/pairs-mean*mean, 0) / pairs)
			if math.Abs(mean-want) > 4.5*sigma+1e-12 {
				t.Errorf("chain %d: %s %.6g, expected %.6g ± %.2g", i, what, mean, want, sigma)
			}
		}
		within("attempts for a pair", gaps, squares, 1/c.perPeriod())
		within("error rate", errors, errSquares, c.qber())
	}
}

// Pairs do not depend on how the attempts are cut into batches.
func TestBatchesDoNotChangeThePairs(t *testing.T) {
	c := chain{links: 3, p: 0.1, swap: 0.5, w: 0.9, decay: 0.99}
	whole, cut := newSource(c, rand.New(rand.NewChaCha8([32]byte{9}))), newSource(c, rand.New(rand.NewChaCha8([32]byte{9})))
	const end = 10_000
	from, seen := uint64(100), 0
	for to := uint64(100); to < end; to += 7 {
		for {
			at, e, _, ok := cut.Next(from, min(to, end))
			if !ok {
				from = min(to, end)
				break
			}
			same, f, _, _ := whole.Next(100, end)
			if same != at || f != e {
				t.Fatalf("pair %d at %d in batches, at %d in one", seen, at, same)
			}
			from = at + 1
			seen++
		}
	}
	if seen < 100 {
		t.Fatalf("%d pairs", seen)
	}
}
