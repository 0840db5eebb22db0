package distill_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/mathext"

	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// The battery: tests after NIST SP 800-22 rev. 1a, section numbers as there. Each
// returns the probability that perfect randomness looks as bad. x has a bit in each
// element.
var battery = []struct {
	name string
	p    func(x []uint8) float64
}{
	{"2.1 monobit", monobit}, {"2.2 block frequency", blockFrequency}, {"2.3 runs", runs}, {"2.4 longest run", longestRun},
	{"2.6 spectral", spectral}, {"2.11 serial", serial}, {"2.12 approximate entropy", approximateEntropy},
	{"2.13 cumulative sums", cumulativeSums},
}

// doubt is the probability below which a test fails. The key is another in every run, and
// far out the tests' probabilities are good to a few powers of ten only, that of the
// longest run above all (seven blocks are expected in a class: 31 of them, which come once
// in 10¹¹, are told as 10⁻¹⁵). So perfect key fails less than once in 10⁹ runs.
const doubt = 1e-15

func ones(x []uint8) (n float64) {
	for _, b := range x {
		n += float64(b)
	}
	return n
}

func monobit(x []uint8) float64 {
	n := float64(len(x))
	return math.Erfc(math.Abs(2*ones(x)-n) / math.Sqrt(2*n))
}

func blockFrequency(x []uint8) float64 {
	const m = 128
	var chi float64
	k := len(x) / m
	for i := range k {
		d := ones(x[i*m:(i+1)*m])/m - 0.5
		chi += 4 * m * d * d
	}
	return mathext.GammaIncRegComp(float64(k)/2, chi/2)
}

func runs(x []uint8) float64 {
	n := float64(len(x))
	pi := ones(x) / n
	if math.Abs(pi-0.5) > 2/math.Sqrt(n) {
		return monobit(x)
	}
	v := 1.0
	for i := 1; i < len(x); i++ {
		v += float64(x[i] ^ x[i-1])
	}
	return math.Erfc(math.Abs(v-2*n*pi*(1-pi)) / (2 * math.Sqrt(2*n) * pi * (1 - pi)))
}

func longestRun(x []uint8) float64 {
	const m = 10000
	share := []float64{0.0882, 0.2092, 0.2483, 0.1933, 0.1208, 0.0675, 0.0727}
	seen := make([]float64, len(share))
	k := len(x) / m
	for i := range k {
		longest, run := 0, 0
		for _, b := range x[i*m : (i+1)*m] {
			run = (run + 1) * int(b)
			longest = max(longest, run)
		}
		seen[min(max(longest, 10), 16)-10]++
	}
	var chi float64
	for i, s := range share {
		d := seen[i] - float64(k)*s
		chi += d * d / (float64(k) * s)
	}
	return mathext.GammaIncRegComp(3, chi/2)
}

func spectral(x []uint8) float64 {
	v := make([]float64, len(x))
	for i, b := range x {
		v[i] = 2*float64(b) - 1
	}
	n := float64(len(x))
	limit, below := math.Sqrt(n*math.Log(1/0.05)), 0.0
	c := fourier.NewFFT(len(x)).Coefficients(nil, v)
	for _, z := range c[:len(x)/2] {
		if math.Hypot(real(z), imag(z)) < limit {
			below++
		}
	}
	return math.Erfc(math.Abs(below-0.95*n/2) / math.Sqrt(n*0.95*0.05/4) / math.Sqrt2)
}

// patterns counts the overlapping patterns of m bits, around the end.
func patterns(x []uint8, m int) []float64 {
	seen := make([]float64, 1<<m)
	at := 0
	for i := range len(x) + m - 1 {
		at = (at<<1 | int(x[i%len(x)])) & (1<<m - 1)
		if i >= m-1 {
			seen[at]++
		}
	}
	return seen
}

func serial(x []uint8) float64 {
	const m = 12
	psi := func(m int) (sum float64) {
		for _, v := range patterns(x, m) {
			sum += v * v
		}
		return sum*float64(int(1)<<m)/float64(len(x)) - float64(len(x))
	}
	a, b, c := psi(m), psi(m-1), psi(m-2)
	return min(mathext.GammaIncRegComp(1<<(m-2), (a-b)/2), mathext.GammaIncRegComp(1<<(m-3), (a-2*b+c)/2))
}

func approximateEntropy(x []uint8) float64 {
	const m = 10
	phi := func(m int) (sum float64) {
		for _, v := range patterns(x, m) {
			if v > 0 {
				sum += v / float64(len(x)) * math.Log(v/float64(len(x)))
			}
		}
		return sum
	}
	chi := 2 * float64(len(x)) * (math.Ln2 - (phi(m) - phi(m+1)))
	return mathext.GammaIncRegComp(1<<(m-1), chi/2)
}

func cumulativeSums(x []uint8) float64 {
	sum, z := 0.0, 0.0
	for _, b := range x {
		sum += 2*float64(b) - 1
		z = max(z, math.Abs(sum))
	}
	n := float64(len(x))
	phi := func(v float64) float64 { return math.Erfc(-v/math.Sqrt2) / 2 }
	p := 1.0
	for k := math.Floor((-n/z + 1) / 4); k <= (n/z-1)/4; k++ {
		p -= phi((4*k+1)*z/math.Sqrt(n)) - phi((4*k-1)*z/math.Sqrt(n))
	}
	for k := math.Floor((-n/z - 3) / 4); k <= (n/z-1)/4; k++ {
		p += phi((4*k+3)*z/math.Sqrt(n)) - phi((4*k+1)*z/math.Sqrt(n))
	}
	return p
}

// suspect names the tests that x fails.
func suspect(raw []byte) (names []string) {
	x := make([]uint8, 0, 8*len(raw))
	for _, b := range raw {
		for i := range 8 {
			x = append(x, b>>i&1)
		}
	}
	for _, t := range battery {
		if p := t.p(x); !(p >= doubt) {
			names = append(names, fmt.Sprintf("%s (p = %.2g)", t.name, p))
		}
	}
	var small bytes.Buffer
	w, _ := flate.NewWriter(&small, flate.BestCompression) // never fails at this level
	_, _ = w.Write(raw)
	_ = w.Close()
	if small.Len() < len(raw) {
		names = append(names, fmt.Sprintf("compression (to %d of %d bytes)", small.Len(), len(raw)))
	}
	return names
}

// The battery passes a good generator and sees what is not random.
func TestBattery(t *testing.T) {
	r := rand.NewChaCha8([32]byte{5})
	good := make([]byte, 1<<15)
	_, _ = r.Read(good)
	if bad := suspect(good); len(bad) > 0 {
		t.Errorf("a good generator fails %v", bad)
	}
	biased, periodic, weak := slices.Clone(good), bytes.Repeat(good[:64], len(good)/64), slices.Clone(good)
	for i := range biased {
		biased[i] |= byte(rand.New(r).IntN(64) / 48 << 3)
		weak[i] = byte(bits.Reverse8(uint8(i)) ^ good[i]&0x3c)
	}
	for name, b := range map[string][]byte{"biased": biased, "periodic": periodic, "weak": weak, "zero": make([]byte, 1<<15)} {
		if bad := suspect(b); len(bad) == 0 {
			t.Errorf("%s bits pass", name)
		}
	}
}

// Final key of both ends is equal and looks random: 10⁶ bits, or 10⁹ with QSC_LONG.
func TestFinalKey(t *testing.T) {
	r := newRig(t)
	r.bits, r.frame, r.block = 1<<19, 0, 1<<12
	goal, every := 1<<17, 1
	if os.Getenv("QSC_LONG") != "" {
		r.bits, r.block, goal, every = 1<<24, 1<<17, 126<<20, 64
	}
	r.both()
	begin := time.Now()
	blocks := make(chan []byte, 1<<10)
	var jobs sync.WaitGroup
	var got [2]int
	jobs.Go(func() {
		defer close(blocks)
		got[alice] = deliver(t, r.links[alice], goal, func(b []byte) { blocks <- b })
	})
	different, seen := 0, []byte(nil)
	jobs.Go(func() {
		n := 0
		got[bob] = deliver(t, r.links[bob], goal, func(b []byte) {
			if !bytes.Equal(<-blocks, b) {
				different++
			}
			if n++; n%every == 0 && len(seen) < 1<<20 {
				seen = append(seen, b...)
			}
		})
	})
	jobs.Wait()
	if different > 0 || got[0] != got[1] || got[0] < goal {
		t.Fatalf("%d blocks differ; %d and %d bytes", different, got[0], got[1])
	}
	t.Logf("%d bits in %v", 8*got[0], time.Since(begin).Round(time.Millisecond))
	for len(seen) >= 1<<17 {
		if bad := suspect(seen[:1<<17]); len(bad) > 0 {
			t.Errorf("the key fails %v", bad)
		}
		seen = seen[1<<17:]
	}
	for _, x := range r.links[alice].Records(1 << 20) {
		if x.Lost > 0 {
			t.Logf("round %d lost %d bits in frames that differed", x.Round, x.Lost)
		}
	}
}

// deliver takes a number of bytes of key in the order of the blocks.
func deliver(t *testing.T, l *distill.Link, goal int, take func([]byte)) (n int) {
	for seq := uint64(0); n < goal; seq++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		b, err := l.Next(ctx, func(s uint64) bool { return s == seq })
		cancel()
		if err != nil {
			t.Error(err)
			return n
		}
		take(b.Key.Expose())
		n += b.Key.Len()
	}
	return n
}
