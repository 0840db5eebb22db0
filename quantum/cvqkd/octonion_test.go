package cvqkd

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

func anyOctonion(t *rapid.T, name string) (o octonion) {
	for i := range o {
		o[i] = rapid.Float32Range(-4, 4).Draw(t, name)
	}
	return o
}

// Octonions multiply lengths and are alternative: what rotations rest on.
func TestOctonions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyOctonion(t, "a"), anyOctonion(t, "b")
		if got, want := a.times(b).norm(), a.norm()*b.norm(); math.Abs(got-want) > 1e-4*(1+want) {
			t.Fatalf("|ab| %g, |a||b| %g", got, want)
		}
		left, right := a.times(b).times(b.conjugate()), a.scaled(float32(b.norm()*b.norm()))
		for i := range left {
			if math.Abs(float64(left[i]-right[i])) > 1e-3*(1+a.norm()*b.norm()*b.norm()) {
				t.Fatalf("(ab)b* %v, a|b|² %v", left, right)
			}
		}
	})
}

// The rotation takes the measured vector to the corner that the bits name.
func TestRotationFindsTheCorner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, y := corner(rapid.Uint64Range(0, 255).Draw(t, "bits")), anyOctonion(t, "y")
		alpha, length := rotation(u, y)
		if math.Abs(alpha.norm()-1) > 1e-5 {
			t.Fatalf("rotation of length %g", alpha.norm())
		}
		for i, v := range alpha.times(y) {
			if math.Abs(float64(v)-length*float64(u[i])) > 1e-4*(1+length) {
				t.Fatalf("turned to %v, want %g times %v", alpha.times(y), length, u)
			}
		}
	})
}

// What is public of a frame says nothing of the bits: for a normal vector the
// rotation has the same distribution whatever they are. The second moments of
// α given two bytes are compared over many draws.
func TestRotationHidesTheBits(t *testing.T) {
	const draws = 20000
	r := rand.New(rand.NewPCG(1, 2))
	var mean [2]octonion
	var square [2]octonion
	for k, bits := range []uint64{0x00, 0xb5} {
		for range draws {
			var y octonion
			for i := range y {
				y[i] = float32(r.NormFloat64())
			}
			alpha, _ := rotation(corner(bits), y)
			for i, a := range alpha {
				mean[k][i] += a / draws
				square[k][i] += a * a / draws
			}
		}
	}
	// A component has mean 0 and variance 1/8; its square has variance 7/320.
	for i := range 8 {
		if d := float64(mean[0][i] - mean[1][i]); math.Abs(d) > 5*math.Sqrt(2.0/8/draws) {
			t.Errorf("component %d: means differ by %g", i, d)
		}
		if d := float64(square[0][i] - square[1][i]); math.Abs(d) > 5*math.Sqrt(2*7.0/320/draws) {
			t.Errorf("component %d: squares differ by %g", i, d)
		}
	}
}

// Independent: the ceiling lies below the binary capacity and, for weak signals,
// nears Gaussian information; at 1 it is what a Monte-Carlo sum of the
// information of each bit gives.
func TestCeilingIsTheInformationOfABit(t *testing.T) {
	distilltest.Within(t, "weak", ceiling(0.01), math.Log2(1.01)/2, 0.002)
	const snr, draws = 1.0, 200000
	r := rand.New(rand.NewPCG(3, 4))
	sum, squares := 0.0, 0.0
	for range draws {
		chi := 0.0
		for range 8 {
			z := r.NormFloat64()
			chi += z * z / 8
		}
		s := snr * chi
		i := 1 - math.Log2(1+math.Exp(-2*s-2*math.Sqrt(s)*r.NormFloat64()))
		sum, squares = sum+i, squares+i*i
	}
	mean := sum / draws
	sd := math.Sqrt((squares/draws - mean*mean) / draws)
	if d := ceiling(snr) - mean; math.Abs(d) > 5*sd {
		t.Errorf("ceiling %.5f, Monte Carlo %.5f ± %.5f", ceiling(snr), mean, sd)
	}
}
