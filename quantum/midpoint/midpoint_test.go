package midpoint

import (
	"math"
	"slices"
	"testing"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

func good() Params {
	return Params{
		ClockHz: 1e9, Mu: 0.5, PSignal: 0.8, Mu1: 0.05, Mu2: 0.4, P0: 0.1, P1: 0.8,
		EtaDet: 0.6, EMis: 0.01, Attenuation: 0.2, FEC: 1.1, Block: 1000, MaxBlockS: 10, EpsSec: 1e-10, EpsCor: 1e-10,
	}
}

// Every parameter that is not as it must be is named, and no other; NaN is nowhere in
// range.
func TestCheckNamesEveryFault(t *testing.T) {
	nan := math.NaN()
	for name, change := range map[string]func(*Params){
		"clock_hz": func(p *Params) { p.ClockHz = 0 }, "mu": func(p *Params) { p.Mu = nan }, "eta_det": func(p *Params) { p.EtaDet = 1.1 },
		"p_dc": func(p *Params) { p.PDc = -1 }, "e_mis": func(p *Params) { p.EMis = 0.6 }, "attenuation_db_per_km": func(p *Params) { p.Attenuation = nan },
		"f_ec": func(p *Params) { p.FEC = 0.9 }, "p_signal": func(p *Params) { p.PSignal = 1 }, "mu1 < mu2": func(p *Params) { p.Mu1 = 0.4 },
		"p_0 + p_1 < 1": func(p *Params) { p.P0 = 0.2 }, "block": func(p *Params) { p.Block = 2001 }, "max_block_s": func(p *Params) { p.MaxBlockS = nan },
		"eps_sec": func(p *Params) { p.EpsSec = 0 }, "eps_cor": func(p *Params) { p.EpsCor = 1 }, "": func(*Params) {},
	} {
		p := good()
		change(&p)
		r := Check(&p, quantum.Channel{Loss: 10})
		CheckFinite(&p, &r, 2000)
		if want := slices.DeleteFunc([]string{name}, func(s string) bool { return s == "" }); !slices.Equal(r, want) {
			t.Errorf("out of range are %q, want %q", r, want)
		}
	}
	p := good()
	for _, ch := range []quantum.Channel{{Loss: -1}, {Loss: nan}, {Loss: 1001}, {Distance: -1}, {Distance: math.Inf(1)}} {
		if r := Check(&p, ch); !slices.Equal(r, []string{"the channel"}) {
			t.Errorf("%+v: %q", ch, r)
		}
	}
}

// Each arm has half of the channel's loss, in decibels; where none is given it
// follows from the distance.
func TestArm(t *testing.T) {
	p := good()
	if a, b := p.Arm(quantum.Channel{Loss: 20, Distance: 1}), p.Arm(quantum.Channel{Distance: 100}); math.Abs(a-0.06) > 1e-12 || math.Abs(b-a) > 1e-12 {
		t.Errorf("%g by 20 dB, %g by 100 km", a, b)
	}
}

// The search finds a least cost that is known, within the bounds and the decoys'
// probabilities below 1; what is best already is given back.
func TestBest(t *testing.T) {
	parts := func(p *Params) (*Params, []Knob) {
		return p, []Knob{{&p.Mu, 0.05, 1.5}, {&p.P0, 0.02, 0.7}, {&p.P1, 0.1, 0.95}}
	}
	away := func(mu, p0, p1 float64) func(Params) float64 {
		return func(p Params) float64 {
			return (p.Mu-mu)*(p.Mu-mu) + (p.P0-p0)*(p.P0-p0) + (p.P1-p1)*(p.P1-p1)
		}
	}
	b := Best(good(), parts, away(0.3, 0.2, 0.5))
	if math.Abs(b.Mu-0.3)+math.Abs(b.P0-0.2)+math.Abs(b.P1-0.5) > 1e-3 || b.Mu2 != good().Mu2 {
		t.Errorf("mu %g, p_0 %g, p_1 %g", b.Mu, b.P0, b.P1)
	}
	if again := Best(good(), parts, away(0.3, 0.2, 0.5)); again != b {
		t.Error("not the same twice")
	}
	if b := Best(good(), parts, away(0.3, 0.6, 0.9)); b.P0+b.P1 > 0.98+1e-12 {
		t.Errorf("p_0 %g and p_1 %g", b.P0, b.P1)
	}
	if b := Best(good(), parts, away(0.5, 0.1, 0.8)); b != good() {
		t.Errorf("%+v is not the best there is", b)
	}
}
