package ldpc

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCurvesAgainstMath(t *testing.T) {
	for x := -40.0; x <= 40; x += 0.0371 {
		got, want := float64(tanhHalf(float32(x))), math.Tanh(x/2)
		if math.Abs(got-want) > 5e-6*math.Abs(want)+1e-7 {
			t.Fatalf("tanh(%g/2) = %g, not %g", x, got, want)
		}
	}
	for y := -8.0; y <= 8; y += 0.0123 {
		p := float32(math.Tanh(y))
		got, want := float64(twoAtanh(p)), 2*math.Atanh(float64(min(largest, max(-largest, p))))
		if math.Abs(got-want) > 2e-5*math.Abs(want)+1e-6 {
			t.Fatalf("2 atanh(%g) = %g, not %g", p, got, want)
		}
	}
	if v := twoAtanh(1); math.IsInf(float64(v), 0) || v < 16 || v > 18 {
		t.Errorf("2 atanh(1) = %g", v)
	}
}

// channel gives soft values of word at rate q (binary symmetric) or noise sigma.
func channel(rng *rand.Rand, word []uint64, n int, q, sigma float64) []float32 {
	llr := make([]float32, n)
	for i := range llr {
		v := 1 - 2*float64(word[i/64]>>(i%64)&1)
		if sigma > 0 {
			llr[i] = float32(2 * (v + sigma*rng.NormFloat64()) / (sigma * sigma))
			continue
		}
		if rng.Float64() < q {
			v = -v
		}
		llr[i] = float32(v * math.Log((1-q)/q))
	}
	return llr
}

// trial decodes frames and counts those that failed and those that are wrong.
func trial(t *testing.T, n, m int, q, sigma float64, frames, passes int) (failed, wrong int) {
	c := code(t, n, m)
	d := NewDecoder(c)
	rng := rand.New(rand.NewPCG(uint64(n), uint64(m)))
	for range frames {
		x, got, s := randomWords(rng, n), make([]uint64, (n+63)/64), make([]uint64, (m+63)/64)
		c.Syndrome(s, x)
		if _, ok := d.Decode(got, channel(rng, x, n, q, sigma), s, passes); !ok {
			failed++
		} else if !slices.Equal(got, x) {
			wrong++
		}
	}
	return failed, wrong
}

// sigmaOf is the noise at which a rate is beta of the binary-input capacity.
func sigmaOf(rate, beta float64) float64 {
	lo, hi := 0.1, 30.0
	for range 50 {
		if mid := (lo + hi) / 2; capacity(mid) > rate/beta {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// capacity of the binary-input channel with Gaussian noise, by direct summation.
func capacity(sigma float64) float64 {
	m, lost, all := 2/(sigma*sigma), 0.0, 0.0
	for z := -8.0; z <= 8; z += 0.01 {
		g := math.Exp(-z * z / 2)
		lost += g * math.Log1p(math.Exp(-m-math.Sqrt(2*m)*z)) / math.Ln2
		all += g
	}
	return 1 - lost/all
}

func TestDecodeCorrects(t *testing.T) {
	for _, c := range []struct {
		name     string
		n, m     int
		q, sigma float64
	}{
		{"2 %, f 1.25", 1 << 14, int(1.25 * h2(0.02) * (1 << 14)), 0.02, 0},
		{"8 %, f 1.18", 1<<14 + 100, int(1.18 * h2(0.08) * (1 << 14)), 0.08, 0},
		{"noise, rate 0.5, beta 0.88", 1 << 14, 1 << 13, 0, sigmaOf(0.5, 0.88)},
		{"noise, rate 0.2, beta 0.85", 1 << 14, 13107, 0, sigmaOf(0.2, 0.85)},
		{"noise, rate 0.1, beta 0.85", 1 << 14, 14746, 0, sigmaOf(0.1, 0.85)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if failed, wrong := trial(t, c.n, c.m, c.q, c.sigma, 6, 100); failed > 1 || wrong > 0 {
				t.Errorf("%d of 6 failed, %d wrong", failed, wrong)
			}
		})
	}
}

func TestDecodeFailsBeyondCapacity(t *testing.T) {
	if failed, wrong := trial(t, 4096, 500, 0.02, 0, 3, 20); failed != 3 || wrong != 0 {
		t.Errorf("%d of 3 failed, %d wrong", failed, wrong)
	}
}

func TestDecodeTakesKnownBits(t *testing.T) {
	c := code(t, 1024, 300)
	rng := rand.New(rand.NewPCG(4, 4))
	x, got, s := randomWords(rng, 1024), make([]uint64, 16), make([]uint64, 5)
	c.Syndrome(s, x)
	llr := make([]float32, 1024)
	for _, i := range rng.Perm(1024)[150:] { // 150 erased, the others known
		llr[i] = float32(math.Inf(1 - 2*int(x[i/64]>>(i%64)&1)))
	}
	if n, ok := NewDecoder(c).Decode(got, llr, s, 50); !ok || !slices.Equal(got, x) {
		t.Errorf("150 erased bits of 1024 are not found by 300 checks in %d passes", n)
	}
	s[0] ^= 1
	if _, ok := NewDecoder(c).Decode(got, llr, s, 5); ok {
		t.Error("a syndrome that belongs to other bits is met")
	}
}
