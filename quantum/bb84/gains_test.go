package bb84

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill/distilltest"
)

// near compares to 1e-9 of the larger.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

// overPhotons sums f(n) over the Poisson distribution of a pulse.
func overPhotons(mu float64, f func(n float64) float64) (sum float64) {
	p := math.Exp(-mu)
	for n := 0.0; n < 60; n++ {
		sum += p * f(n)
		p *= mu / (n + 1)
	}
	return sum
}

// The model by photon numbers: a pulse of n photons clicks unless none is detected
// and no dark count comes; what it errs in.
func yield(d Device, eta, n float64) float64 {
	return -math.Expm1(math.Log1p(-2*d.PDark)+n*math.Log1p(-eta)) * (1 + d.PAfter)
}

func errs(d Device, eta, n float64) float64 {
	return d.PDark + d.EMis*-math.Expm1(n*math.Log1p(-eta)) + d.PAfter*yield(d, eta, n)/(1+d.PAfter)/2
}

// anyDevice draws a device that passes the checks.
func anyDevice(t *rapid.T) Device {
	d := quick()
	draw := func(name string, lo, hi float64) float64 { return rapid.Float64Range(lo, hi).Draw(t, name) }
	d.Mu3 = draw("mu3", 0, 0.01)
	d.Mu2 = d.Mu3 + draw("mu2", 0.02, 0.3)
	d.Mu1 = d.Mu2 + d.Mu3 + draw("mu1", 0.05, 0.5)
	d.P1, d.P2 = draw("p1", 0.2, 0.7), draw("p2", 0.05, 0.25)
	d.PX = draw("p_x", 0.1, 0.97)
	d.EtaDet, d.PDark = draw("eta_det", 0.05, 0.9), math.Pow(10, draw("p_dc", -8, -4))
	d.PAfter, d.EMis, d.DeadTime = draw("p_ap", 0, 0.05), draw("e_mis", 0, 0.04), draw("dead", 0, 1e-8)
	d.Decoys = rapid.IntRange(1, 2).Draw(t, "decoys")
	d.LossBob = draw("bob", 0, 3)
	d, err := d.checked()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Exact: the closed gains against sums over photon numbers.
func TestGainsAreSumsOverPhotonNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDevice(t)
		loss := rapid.Float64Range(0, 50).Draw(t, "loss")
		eta := d.EtaDet * math.Pow(10, -(loss+d.LossBob)/10)
		g := d.Gains(loss, 0)
		for i, mu := range d.mu() {
			r := overPhotons(mu, func(n float64) float64 { return yield(d, eta, n) })
			e := overPhotons(mu, func(n float64) float64 { return errs(d, eta, n) })
			if !near(r, g.Click[i]) || !near(e, g.Error[i]) {
				t.Fatalf("intensity %v: gain %v and error %v, by photon numbers %v and %v", mu, g.Click[i], g.Error[i], r, e)
			}
		}
	})
}

// Exact: what photon-number splitting does, against sums over photon numbers.
func TestSplittingIsASumOverPhotonNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDevice(t)
		d.LossBob = 0
		loss := rapid.Float64Range(1, 40).Draw(t, "loss")
		s := rapid.Float64Range(0.01, 1).Draw(t, "strength")
		eta := d.EtaDet * math.Pow(10, -loss/10)
		clean := 1 - 2*d.PDark
		multi := func(mu float64) float64 { // gained by passing on n - 1 photons without loss
			return overPhotons(mu, func(n float64) float64 {
				if n < 2 {
					return 0
				}
				return clean * (math.Pow(1-eta, n) - math.Pow(1-d.EtaDet, n-1))
			})
		}
		single := func(mu float64) float64 { return clean * mu * math.Exp(-mu) * eta }
		pass := 1.0
		if multi(d.Mu1) > single(d.Mu1) {
			pass = single(d.Mu1) / multi(d.Mu1)
		}
		g := d.Gains(loss, 0)
		a := d.under(quantum.Attack{Kind: quantum.NumberSplitting, Strength: s}, eta, d.PDark)
		for i, mu := range d.mu() {
			want := g.Click[i] + s*(1+d.PAfter)*(pass*multi(mu)-single(mu))
			if math.Abs(want-a.Click[i]) > 1e-9*g.Click[i] {
				t.Fatalf("intensity %v: gain %v under attack, by photon numbers %v", mu, a.Click[i], want)
			}
		}
		if pass < 1 && math.Abs(a.Click[0]/g.Click[0]-1) > 1e-6 {
			t.Fatalf("signals come at %v instead of %v: the attack would be seen by their rate", a.Click[0], g.Click[0])
		}
	})
}

// Published: Gobby, Yuan and Shields with decoys, asymptotic. R(0) is a computed
// point of two derivations, the reach is Ma et al. 2005.
func TestPublishedGYS(t *testing.T) {
	p := preset(t, "gys")
	at := func(km float64) float64 {
		r, err := p.Ceiling(quantum.Channel{Distance: km})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := at(0); math.Abs(r/2.554577e-3-1) > 1e-6 {
		t.Errorf("R(0) = %.7g, published 2.554577e-3", r)
	}
	if at(142.00) <= 0 || at(142.02) > 0 {
		t.Errorf("the rate is %g at 142.00 km and %g at 142.02 km; it ends at 142.01 km", at(142), at(142.02))
	}
}

func preset(t testing.TB, name string) Device {
	t.Helper()
	return distilltest.Preset[Device](t, Presets(), name).full()
}
