package cvqkd

import (
	"math"
	"math/cmplx"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// spectrum returns the symplectic eigenvalues of a covariance matrix in the
// order x1 p1 x2 p2 …: the moduli of the eigenvalues of Ω γ, each twice.
func spectrum(t *testing.T, g *mat.Dense) []float64 {
	n, _ := g.Dims()
	omega := mat.NewDense(n, n, nil)
	for i := 0; i < n; i += 2 {
		omega.Set(i, i+1, 1)
		omega.Set(i+1, i, -1)
	}
	var og mat.Dense
	og.Mul(omega, g)
	var e mat.Eigen
	if !e.Factorize(&og, mat.EigenNone) {
		t.Fatal("no spectrum")
	}
	var out []float64
	for _, v := range e.Values(nil) {
		if imag(v) > 0 {
			out = append(out, cmplx.Abs(v))
		}
	}
	if len(out) != n/2 {
		t.Fatalf("%d symplectic eigenvalues of %d modes", len(out), n/2)
	}
	return out
}

func entropy(ls []float64) (s float64) {
	for _, l := range ls {
		if x := (l - 1) / 2; x > 1e-15 {
			s += (x+1)*math.Log2(x+1) - x*math.Log2(x)
		}
	}
	return s
}

// pure is the state of modes A (kept), B (at the receiver), and the purification
// F, G of the detector's noise, before the detector: 8x8.
func pure(p point) *mat.Dense {
	g := mat.NewDense(8, 8, nil)
	pair := func(i, j int, a, b, c float64) {
		for k, sign := range []float64{1, -1} {
			g.Set(i+k, i+k, a)
			g.Set(j+k, j+k, b)
			g.Set(i+k, j+k, sign*c)
			g.Set(j+k, i+k, sign*c)
		}
	}
	pair(0, 2, p.v, p.t*(p.v-1)+1+p.t*p.xi, math.Sqrt(p.t*(p.v*p.v-1)))
	noise := 1.0
	if p.eta < 1 {
		noise = 1 + p.vel/(1-p.eta)
		if p.heterodyne {
			noise = 1 + 2*p.vel/(1-p.eta)
		}
	}
	pair(4, 6, noise, noise, math.Sqrt(noise*noise-1))
	return g
}

// mixed applies the beam splitter of transmittance eta to B and F.
func mixed(p point, g *mat.Dense) *mat.Dense {
	s := mat.NewDense(8, 8, nil)
	for i := range 8 {
		s.Set(i, i, 1)
	}
	c, r := math.Sqrt(p.eta), math.Sqrt(1-p.eta)
	for k := range 2 {
		s.Set(2+k, 2+k, c)
		s.Set(2+k, 4+k, r)
		s.Set(4+k, 2+k, -r)
		s.Set(4+k, 4+k, c)
	}
	var tmp, out mat.Dense
	tmp.Mul(s, g)
	out.Mul(&tmp, s.T())
	return &out
}

// measured is what is left of A, F, G once B is measured: 6x6, by the Schur
// complement.
func measured(p point, g *mat.Dense) *mat.Dense {
	rest := []int{0, 1, 4, 5, 6, 7}
	out := mat.NewDense(6, 6, nil)
	for i, a := range rest {
		for j, b := range rest {
			v := g.At(a, b)
			if p.heterodyne {
				for k := 2; k < 4; k++ { // a heterodyne adds a vacuum to each quadrature
					v -= g.At(a, k) * g.At(k, b) / (g.At(k, k) + 1)
				}
			} else {
				v -= g.At(a, 2) * g.At(2, b) / g.At(2, 2) // x measured, p lost
			}
			out.Set(i, j, v)
		}
	}
	return out
}

// spectral is chi_BE by the entropies of the eavesdropper's purification.
func spectral(t *testing.T, p point) float64 {
	g := pure(p)
	before := mat.DenseCopyOf(g.Slice(0, 4, 0, 4))
	return entropy(spectrum(t, before)) - entropy(spectrum(t, measured(p, mixed(p, g))))
}

// Independent: the closed forms against the symplectic spectrum of the whole
// 8x8 covariance matrix, 1e-9.
func TestHolevoIsTheSymplecticSpectrum(t *testing.T) {
	for _, va := range []float64{0.7, 2, 4, 18.5} {
		for _, tr := range []float64{0.9, 0.302, 0.05, 0.01} {
			for _, xi := range []float64{0.001, 0.01, 0.1} {
				for _, heterodyne := range []bool{false, true} {
					for _, trusted := range []bool{false, true} {
						d := Device{VA: va, Eta: 0.606, Vel: 0.041, Heterodyne: heterodyne, Trusted: trusted}
						p := d.at(tr, xi)
						distilltest.Within(t, "chi", p.holevo(), spectral(t, p), 1e-9)
						if t.Failed() {
							t.Fatalf("%+v", p)
						}
					}
				}
			}
		}
	}
}

// Independent: I_AB is the logarithm of signal and noise as the receiver sees
// them, whether the detector is trusted or not.
func TestMutualInformationOfSignalAndNoise(t *testing.T) {
	for _, heterodyne := range []bool{false, true} {
		for _, trusted := range []bool{false, true} {
			d := Device{VA: 4, Eta: 0.6, Vel: 0.1, Heterodyne: heterodyne, Trusted: trusted}
			l := d.linear(0.4, 0.03, 1)
			want := float64(d.quadratures()) / 2 * math.Log2(1+l.gain*l.gain*d.VA/l.sigma2)
			distilltest.Within(t, "I", d.at(0.4, 0.03).mutual(), want, 1e-12)
			tr, xi := d.channel(l)
			distilltest.Within(t, "T", tr, 0.4, 1e-12)
			distilltest.Within(t, "xi", xi, 0.03, 1e-12)
		}
	}
}

// Check of the reference (computed): Lodewyck 2007, to the digits printed.
func TestCheckLodewyck(t *testing.T) {
	d := Device{VA: 18.5, Eta: 0.606, Vel: 0.041, Beta: 0.898, Trusted: true}
	p := d.at(0.302, 0.005)
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"I", p.mutual(), 1.043650}, {"chi", p.holevo(), 0.902043}, {"K", d.asymptotic(0.302, 0.005), 0.035154},
	} {
		if math.Abs(c.got-c.want) > 0.6e-6 {
			t.Errorf("%s %.7f, want %.6f", c.what, c.got, c.want)
		}
	}
}

// The reference's trap: untrusted homodyne at V_A 4, T 0.5, xi 0.01 is 0.4794, not
// 0.9114. The value is 0.479350, which the reference rounds up.
func TestTrapUntrustedHomodyne(t *testing.T) {
	d := Device{VA: 4, Eta: 1}
	if got := d.at(0.5, 0.01).holevo(); math.Abs(got-0.4794) > 0.6e-4 {
		t.Errorf("chi %.9f, want 0.4794", got)
	}
}

// The finite-size terms fall to the asymptotic rate as the block grows, rise
// never above it, and fall with the block.
func TestFiniteSizeReachesTheAsymptote(t *testing.T) {
	d := Device{VA: 3, Xi: 0.01, Eta: 0.6, Vel: 0.05, Beta: 0.95, Trusted: true, Estimate: 0.5, EpsPE: 1e-10, EpsBar: 1e-10, EpsPA: 1e-10}
	for _, d.Heterodyne = range []bool{false, true} {
		limit, last := (1-d.Estimate)*d.asymptotic(0.4, d.Xi), math.Inf(-1)
		for d.Block = 1e6; d.Block <= 1e10; d.Block *= 10 {
			k := d.finite(0.4)
			if k <= last || k >= limit {
				t.Errorf("block %d: %g after %g, limit %g", d.Block, k, last, limit)
			}
			last = k
		}
		d.Block = 1e18
		distilltest.Within(t, "K of 1e18 symbols", d.finite(0.4), limit, 1e-5)
	}
}

// Published: z is 6.5 for 1e-10 in Leverrier 2010.
func TestPublishedDeviations(t *testing.T) {
	if z := deviations(1e-10); math.Abs(z-6.5) > 0.05 {
		t.Errorf("z %.3f", z)
	}
	// Independent: the tail of the normal distribution.
	distilltest.Within(t, "tail", math.Erfc(deviations(1e-6)/math.Sqrt2), 1e-6, 1e-9)
}

// No channel within the deviations tells the eavesdropper more than the worst, whatever
// the loss: beyond some 3 dB that is not the one of the least transmittance.
func TestWorstIsWorst(t *testing.T) {
	fromMiddle := 0
	for _, preset := range Presets() {
		d := preset.Device.(Device)
		if d.Block == 0 {
			continue
		}
		for db := 0.0; db <= 16; db += 0.5 {
			l := d.linear(math.Pow(10, -db/10), d.Xi, d.Estimate*float64(d.Block))
			u, x, ok := d.worst(l)
			if !ok {
				continue
			}
			most, low, high := d.at(u, x).holevo(), d.shifted(l, d.spread()), d.shifted(l, -d.spread())
			for i := range 101 {
				gain := low.gain + (high.gain-low.gain)*float64(i)/100
				if chi := d.at(d.channel(linear{gain, low.sigma2, l.m})).holevo(); chi > most*(1+1e-9) {
					t.Fatalf("%s at %v dB: %.9f at place %d of the interval, %.9f is called the worst", preset.Name, db, chi, i, most)
				}
			}
			if first := d.at(d.channel(low)).holevo(); first < most*(1-1e-6) {
				fromMiddle++
			}
		}
	}
	if fromMiddle == 0 {
		t.Error("the least transmittance is always the worst: this test looks in the wrong place")
	}
}
