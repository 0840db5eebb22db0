package bb84

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// tabulate counts clicks by Bob's basis, Alice's basis, intensity and error.
func tabulate(r *receiver, c *clicks) (n [2][2][3][2]float64) {
	for i, p := range c.pulse {
		w := r.src.word(p)
		bob, bit := c.basis.at(i>>6)>>(i&63)&1, c.value.at(i>>6)>>(i&63)&1
		n[bob][r.src.isKey(w)][r.src.intensity(w)][bit^bitOf(w)]++
	}
	return n
}

// expectedEvents is the same at the count level, for each pulse.
func expectedEvents(d Device, g Gains) (n [2][2][3][2]float64) {
	for bob := range 2 {
		at := part(d.PXBob, bob == 1) * d.alive(g)
		for alice := range 2 {
			for k, p := range d.p() {
				all := at * part(d.PX, alice == 1) * p * g.Click[k]
				wrong := all / 2
				if alice == bob {
					wrong = at * part(d.PX, alice == 1) * p * g.Error[k]
				}
				n[bob][alice][k] = [2]float64{all - wrong, wrong}
			}
		}
	}
	return n
}

// chiSquare compares counts with expectations; cells that expect fewer than ten go
// together. It returns the probability of a worse fit.
func chiSquare(seen, want []float64) float64 {
	var total, all, x, restSeen, restWant float64
	for i := range seen {
		total += seen[i]
		all += want[i]
	}
	cells := 0.0
	add := func(s, w float64) {
		x += (s - w) * (s - w) / w
		cells++
	}
	for i := range seen {
		if w := want[i] * total / all; w >= 10 {
			add(seen[i], w)
		} else {
			restSeen, restWant = restSeen+seen[i], restWant+w
		}
	}
	if restWant >= 10 {
		add(restSeen, restWant)
	}
	return distuv.ChiSquared{K: cells - 1}.Survival(x)
}

func flat(n [2][2][3][2]float64) (out []float64) {
	for _, a := range n {
		for _, b := range a {
			for _, c := range b {
				out = append(out, c[:]...)
			}
		}
	}
	return out
}

// sumOf adds up.
func sumOf(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// clickSome runs a receiver until it has many clicks.
func clickSome(d Device, seed byte, loss float64, a quantum.Attack) (*receiver, *clicks) {
	e := &end{device: d, loss: loss}
	r, c := newReceiver(world(seed), d, 0, e.conditions), new(clicks)
	r.attack = a
	c.reset(0)
	r.run(maxCount, c)
	return r, c
}

// Events against the count level: presets, losses and attacks, by basis, intensity
// and error. The seeds are fixed.
func TestEventsAgreeWithTheCountLevel(t *testing.T) {
	for i, c := range []struct {
		preset string
		loss   float64
		attack quantum.Attack
	}{
		{"lim-apd", 20, quantum.Attack{}},
		{"lim-apd", 45, quantum.Attack{}}, // dark counts
		{"rusca-snspd", 26, quantum.Attack{}},
		{"tokyo-45km", 14.5, quantum.Attack{}},
		{"tokyo-45km", 25, quantum.Attack{}},
		{"toshiba-10mbps", 2, quantum.Attack{}},
		{"metro-snspd", 6, quantum.Attack{}},
		{"metro-apd", 6.5, quantum.Attack{}},
		{"metro-one-decoy", 2.5, quantum.Attack{}},
		{"tokyo-45km", 14.5, quantum.Attack{Kind: quantum.InterceptResend, Strength: 0.4}},
		{"tokyo-45km", 14.5, quantum.Attack{Kind: quantum.NumberSplitting, Strength: 0.7}},
		{"metro-apd", 6.5, quantum.Attack{Kind: quantum.Blinding, Strength: 0.5}},
		{"tokyo-45km", 14.5, quantum.Attack{Kind: quantum.Noise, Strength: 0.2}},
	} {
		d := preset(t, c.preset)
		r, got := clickSome(d, byte(i), c.loss, c.attack)
		want := expectedEvents(d, d.under(c.attack, d.receiverEta()*math.Pow(10, -c.loss/10), d.PDark))
		seen, hope := flat(tabulate(r, got)), flat(want)
		if p := chiSquare(seen, hope); p < 1e-4 {
			t.Errorf("%s at %v dB under %+v: p = %.2g\nseen %v\nwant %v", c.preset, c.loss, c.attack, p, seen, hope)
		}
		n, expect := sumOf(seen), sumOf(hope)*float64(got.to)
		if math.Abs(n-expect) > 5*math.Sqrt(expect)+0.002*expect {
			t.Errorf("%s at %v dB under %+v: %v clicks, %v expected", c.preset, c.loss, c.attack, n, expect)
		}
	}
}

// The test can tell: a misalignment of 2.5 % is not one of 2 %.
func TestChiSquareSeesSmallChanges(t *testing.T) {
	d := preset(t, "tokyo-45km")
	r, got := clickSome(d, 3, 14.5, quantum.Attack{})
	d.EMis = 0.025
	if p := chiSquare(flat(tabulate(r, got)), flat(expectedEvents(d, d.Gains(14.5, 0)))); p > 1e-4 {
		t.Errorf("p = %.2g for another misalignment", p)
	}
}

// Dead time thins the clicks by 1/(1 + rate · t_dead), whatever the basis and the bit,
// and no two clicks are nearer than it.
func TestDeadTimeThins(t *testing.T) {
	d := quick()
	d.DeadTime, d.PX = 200e-9, 0.8
	d = d.full()
	r, c := clickSome(d, 5, 6, quantum.Attack{})
	want := expectedEvents(d, d.Gains(6, 0))
	seen, hope := flat(tabulate(r, c)), flat(want)
	if f := d.alive(d.Gains(6, 0)); f > 0.7 {
		t.Fatalf("only %v of the clicks are lost: too few for this test", 1-f)
	}
	if n, e := sumOf(seen), sumOf(hope)*float64(c.to); math.Abs(n/e-1) > 0.02 {
		t.Errorf("%v clicks, %v expected", n, e)
	}
	for i, p := range c.pulse[1:] {
		if p-c.pulse[i] <= uint64(d.deadGates()) {
			t.Fatalf("a click %d gates after another", p-c.pulse[i])
		}
	}
}

// Whoever knows when Bob's detectors clicked, and in which basis, learns nothing of a
// bit from the one before: of clicks in one basis that follow each other closely, as
// many have equal bits as have different ones.
func TestDeadTimeTellsNoBits(t *testing.T) {
	for _, p := range live() {
		d := p.Device.(Device).full()
		d.DeadTime = max(d.DeadTime, 3/d.Clock)
		_, c := clickSome(d, 8, channels[p.Name], quantum.Attack{})
		var near, equal float64
		for i := range c.pulse[1:] {
			bit := func(f *packer, i int) uint64 { return f.at(i>>6) >> (i & 63) & 1 }
			if c.pulse[i+1]-c.pulse[i] <= uint64(3*d.deadGates()) && bit(&c.basis, i) == bit(&c.basis, i+1) {
				near++
				if bit(&c.value, i) == bit(&c.value, i+1) {
					equal++
				}
			}
		}
		if near < 1000 || math.Abs(equal-near/2) > 5*math.Sqrt(near)/2 {
			t.Errorf("%s: %v of %v close pairs are equal", p.Name, equal, near)
		}
	}
}

// Double clicks come as often as expected, and the receiver's own expectation
// holds.
func TestDoubleClicks(t *testing.T) {
	for _, name := range []string{"metro-snspd", "metro-apd", "tokyo-45km"} {
		d := preset(t, name)
		r, _ := clickSome(d, 6, channels[name], quantum.Attack{})
		if n := float64(r.doubles); r.expected < 30 || math.Abs(n-r.expected) > 5*math.Sqrt(r.expected)+0.05*r.expected {
			t.Errorf("%s: %v double clicks, %v expected", name, n, r.expected)
		}
	}
}

// In one block of every live preset enough double clicks are expected to miss them
// when the detectors are blinded, and their lack is seen; honest light is not.
func TestBlindingIsSeenInOneBlock(t *testing.T) {
	for _, p := range live() {
		d := p.Device.(Device).full()
		for _, s := range []float64{0, 0.85, 1} {
			e := &end{device: d, loss: channels[p.Name]}
			r, c := newReceiver(world(7), d, 0, e.conditions), new(clicks)
			r.attack = quantum.Attack{Kind: quantum.Blinding, Strength: s}
			for n := int64(0); n < 600_000; n += int64(len(c.pulse)) {
				c.reset(r.pos)
				r.run(maxCount, c)
			}
			if r.expected < 100 || e.blinded(r) != (s > 0) {
				t.Errorf("%s blinded for %v of the time: %d double clicks, %.0f expected", p.Name, s, r.doubles, r.expected)
			}
		}
	}
}

// What the transmitter sends has the probabilities that it should, bit by bit
// unrelated to its neighbours.
func TestSourceIsWithoutPattern(t *testing.T) {
	d := preset(t, "tokyo-45km")
	s := newSource(world(9), d)
	const n = 1 << 20
	var joint [2][2][3]float64
	var neighbours [64]float64
	last := s.word(0)
	for i := range uint64(n) {
		w := s.word(i + 1)
		joint[bitOf(w)][s.isKey(w)][s.intensity(w)]++
		for b := range neighbours {
			neighbours[b] += float64((w ^ last) >> b & 1)
		}
		last = w
	}
	var seen, want []float64
	for bit := range 2 {
		for basis := range 2 {
			for k, p := range d.p() {
				seen = append(seen, joint[bit][basis][k])
				want = append(want, p*part(d.PX, basis == 1)/2)
			}
		}
	}
	if p := chiSquare(seen, want); p < 1e-4 {
		t.Errorf("settings: p = %.2g", p)
	}
	for b, x := range neighbours {
		if math.Abs(x-n/2) > 5.5*math.Sqrt(n)/2 {
			t.Errorf("bit %d changes in %v of %d pulses", b, x, n)
		}
	}
}

// Both ends and every run draw the same from one world; another seed, another epoch
// and another beginning draw anew.
func TestWorldsDiffer(t *testing.T) {
	d := quick().full()
	w := world(1)
	a, b := stream(w, "x", 1).Uint64(), stream(w, "x", 1).Uint64()
	if a != b {
		t.Error("one world, two streams")
	}
	other, later := world(2), w
	later.Epoch++
	for _, o := range []uint64{stream(other, "x", 1).Uint64(), stream(later, "x", 1).Uint64(), stream(w, "y", 1).Uint64(), stream(w, "x", 2).Uint64()} {
		if o == a {
			t.Error("two streams are the same")
		}
	}
	one, same := newSource(w, d), newSource(w, d)
	if one != same || one == newSource(later, d) {
		t.Error("the transmitter does not follow the world")
	}
}
