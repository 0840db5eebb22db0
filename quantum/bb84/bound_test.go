package bb84

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Exact: a block of the one-decoy proof as another implementation computes it, in
// interval arithmetic with a machine-checked proof of its roundings (FormalQKD,
// 2024), step by step.
func TestRuscaAgreesWithAVerifiedComputation(t *testing.T) {
	c := Counts{
		Decoys: 1, Mu: [3]float64{0.51, 0.15}, P: [3]float64{0.7, 0.3},
		Key: [3]float64{8875913, 1124087}, KeyErr: [3]float64{185856, 26055},
		Test: [3]float64{165048, 20902}, TestErr: [3]float64{3456, 484}, Leak: 1776924,
	}
	b, err := BoundNamed(Rusca)
	if err != nil {
		t.Fatal(err)
	}
	e := b.Length(c, Security{1e-9, 1e-15})
	st := statistics{Counts: c, ln: math.Log(19 / 1e-9)}
	for _, step := range []struct {
		name      string
		got, want float64
	}{
		{"n1+", st.up(c.Key, 0), 2.1141564840596016e7},
		{"n2-", st.down(c.Key, 1), 4.31121309172391e6},
		{"m1+", st.up(c.TestErr, 0), 8735.473153448527},
		{"m2-", st.down(c.TestErr, 1), 1038.1798167212369},
		{"s0 upper, key", st.vacuumAbove(c.Key, c.KeyErr, false), 167020.1792587285},
		{"s0 upper, test", st.vacuumAbove(c.Test, c.TestErr, false), 6645.523136846764},
		{"s0", e.Vacuum, 0},
		{"s1", e.Single, 5.396516268816283e6},
		{"s1 test", e.Test, 76462.2755485758},
		{"v1", e.Errors, 5411.812583855381},
		{"phi", e.Phi, 0.07917365937798954},
		{"l", e.Bits, 1.4647190887320058e6},
	} {
		if !near(step.got, step.want) {
			t.Errorf("%s is %v, want %v", step.name, step.got, step.want)
		}
	}
}

// truth is what vacuum and single photons really give in expectation.
func truth(d Device, loss, pulses float64) (s0, s1, s1Test, v1 float64) {
	eta := d.EtaDet * math.Pow(10, -(loss+d.LossBob)/10)
	g := d.Gains(loss, 0)
	var t0, t1 float64
	for i, p := range d.p() {
		t0 += p * math.Exp(-d.mu()[i])
		t1 += p * math.Exp(-d.mu()[i]) * d.mu()[i]
	}
	key := pulses * d.PX * d.PXBob * d.alive(g)
	test := pulses * (1 - d.PX) * (1 - d.PXBob) * d.alive(g)
	return key * t0 * yield(d, eta, 0), key * t1 * yield(d, eta, 1), test * t1 * yield(d, eta, 1), test * t1 * errs(d, eta, 1)
}

// Soundness: no bound claims more than what vacuum and single photons gave, or
// fewer errors than they had.
func TestBoundsLieBelowTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDevice(t)
		loss := rapid.Float64Range(0, 40).Draw(t, "loss")
		d.Block = int64(math.Pow(10, rapid.Float64Range(4, 11).Draw(t, "log10 block")))
		c, pulses := d.fill(loss)
		s0, s1, s1Test, v1 := truth(d, loss, pulses)
		const slack = 1 + 1e-6
		for _, b := range bounds {
			if !b.Fits(d.Decoys) {
				continue
			}
			for _, seen := range []Counts{c, c.pool()} {
				e := b.Length(seen, Security{1e-10, 1e-15})
				if e.Vacuum > s0*slack+1e-6*s1 || e.Single > s1*slack || e.Test > s1Test*slack {
					t.Fatalf("%s claims %v vacuum, %v and %v single photons; there were %v, %v, %v", b.Name(), e.Vacuum, e.Single, e.Test, s0, s1, s1Test)
				}
				if e.Errors*slack < min(v1, sum(c.Test)) || e.Test > 0 && e.Phi*slack < min(v1/s1Test, 0.5) {
					t.Fatalf("%s claims %v errors and a phase error of %v; there were %v of %v", b.Name(), e.Errors, e.Phi, v1, s1Test)
				}
				if e.Bits > s0+s1-c.Leak+1e-6*s1 {
					t.Fatalf("%s makes %v bits of %v", b.Name(), e.Bits, s0+s1-c.Leak)
				}
			}
		}
	})
}

// With weak decoys and no fluctuation the decoy bounds come up to the truth.
func TestDecoyBoundsAreTightWithoutFluctuation(t *testing.T) {
	d := quick().full()
	d.Mu2, d.Mu3, d.Bound, d.Block = 2e-3, 0, Asymptotic, 1e12
	c, pulses := d.fill(10)
	_, s1, s1Test, v1 := truth(d, 10, pulses)
	e := d.secret(c)
	if e.Single < 0.998*s1 || e.Test < 0.998*s1Test || e.Errors > 1.003*v1 {
		t.Errorf("bounds %v, %v, %v; the truth is %v, %v, %v", e.Single, e.Test, e.Errors, s1, s1Test, v1)
	}
	d.PX, d.PXBob, d.P1, d.P2 = 0.9999, 0.9999, 0.9998, 1e-4
	p, err := d.Predict(quantum.Channel{Loss: 10})
	if err != nil {
		t.Fatal(err)
	}
	d.PAfter = 0
	q, _ := d.Predict(quantum.Channel{Loss: 10})
	if top, err := d.Ceiling(quantum.Channel{Loss: 10}); err != nil || q.PerUse > 1.01*top || q.PerUse < 0.97*top || p.PerUse > q.PerUse {
		t.Errorf("asymptotically %v a pulse of at most %v (%v)", q.PerUse, top, err)
	}
}

// The finite bounds stand in the order of their constants and converge.
func TestBoundsConverge(t *testing.T) {
	d := quick().full()
	for _, n := range []int64{1e6, 1e8, 1e12, 1e15} {
		d.Block = n
		c, _ := d.fill(12)
		var l []float64
		for _, name := range []string{Lim, Wiesemann, Asymptotic} {
			d.Bound = name
			l = append(l, d.secret(c).Bits)
		}
		if !(l[0] < l[1] && l[1] < l[2]) {
			t.Errorf("block %d: Lim %v, Wiesemann %v, asymptotic %v", n, l[0], l[1], l[2])
		}
		if n == 1e15 && l[0] < 0.999*l[2] {
			t.Errorf("Lim leaves %v of %v bits", l[0], l[2])
		}
	}
}

func TestBoundsByName(t *testing.T) {
	for _, name := range BoundNames() {
		if b, err := BoundNamed(name); err != nil || b.Name() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := BoundNamed(""); err != nil || b.Name() != Wiesemann {
		t.Errorf("the default is %v, %v", b, err)
	}
	if _, err := BoundNamed("hope"); !qsc.IsKind(err, qsc.Invalid) || !strings.Contains(err.Error(), Lim) {
		t.Errorf("an unknown bound: %v", err)
	}
	lim, _ := BoundNamed(Lim)
	if e := lim.Length(Counts{Decoys: 1, Mu: [3]float64{0.5, 0.1}, P: [3]float64{0.5, 0.5}, Key: [3]float64{1e6, 1e6}}, Security{1e-9, 1e-9}); e.Bits > 0 {
		t.Error("Lim's proof was applied to one decoy")
	}
	if e := lim.Length(quick().full().none(), Security{1e-9, 1e-9}); e.Bits >= 0 || math.IsNaN(e.Bits) || e.Phi != 0.5 {
		t.Errorf("of no counts: %+v", e)
	}
}
