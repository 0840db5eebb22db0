package twinfield

import (
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/events"
	"github.com/quantum-secure-cloud/qsc/quantum/splitter"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// Counts is what one block has counted at the station and by the two ends. All but
// Windows are windows that the station announced.
type Counts struct {
	Windows     float64 // of the block, announced or not
	Vacuum      float64 // neither end sent, one of them at least by a decoy window
	A1, A2      float64 // Alice sent the weaker and the stronger decoy, Bob nothing
	B1, B2      float64 // the other way round
	Slice       float64 // both sent the weaker decoy at close phases
	SliceErrors float64 // of those: the wrong detector for the phases
	Zeros, Ones float64 // Bob's raw bits
}

// Estimate is what the bound finds in counts.
type Estimate struct {
	Single  float64 // yield of a single photon, at least
	Phase   float64 // its phase error rate, at most
	Singles float64 // pairs of two single photons after pairing, at least
	Phi     float64 // their phase error rate, at most
	Bits    float64 // of key, when all are kept and nothing is disclosed
}

// chernoffs is how often a bound that may fail is used, and shares how often the
// smallest failure probability ξ goes into the secrecy parameter: four times for
// each (an upper estimate of 4ε̄ + ε_n1), twice for the smoothing and once for
// privacy amplification.
const (
	chernoffs = 11
	shares    = 4*chernoffs + 3
)

// odds are the probabilities of pairs of settings.
type odds struct{ vacuum, one, two, slice, signal float64 }

func (d Device) odds() odds {
	decoy := 1 - d.PSignal
	still, quiet := decoy*d.P0, d.PSignal*(1-d.PSend) // nothing sent, by a decoy or a signal window
	one := decoy * d.P1
	return odds{
		vacuum: still * (still + 2*quiet),
		one:    (still + quiet) * one,
		two:    (still + quiet) * decoy * (1 - d.P0 - d.P1),
		slice:  one * one * float64(2*(2*d.width()+1)) / phases,
		signal: d.PSignal * d.PSignal,
	}
}

// estimate applies the decoy method and the tail bounds to counts.
func (d Device) estimate(c Counts) (x Estimate) {
	xi, o := d.EpsSec/shares, d.odds()
	rate := func(mean, odds float64) float64 { return mean / (c.Windows * odds) }
	none := rate(tails.MeanAbove(c.Vacuum, xi), o.vacuum)
	least := rate(tails.MeanBelow(c.Vacuum, xi), o.vacuum)
	yield := func(weak, strong float64) float64 {
		return d.yield(rate(tails.MeanBelow(weak, xi), o.one), rate(tails.MeanAbove(strong, xi), o.two), none)
	}
	alice, bob := yield(c.A1, c.A2), yield(c.B1, c.B2)
	x.Single = (alice + bob) / 2
	x.Phase = d.phase(rate(tails.MeanAbove(c.SliceErrors, xi), o.slice), least, x.Single)
	send := c.Windows * o.signal * d.PSend * (1 - d.PSend) * d.Mu * math.Exp(-d.Mu)
	ones, zeros := tails.CountBelow(send*alice, xi), tails.CountBelow(send*bob, xi)
	if pairs := min(c.Ones, c.Zeros); pairs > 0 {
		x.Singles = tails.CountBelow(pairs*min(ones/c.Ones, 1)*min(zeros/c.Zeros, 1), xi)
	}
	x.Phi = 0.5
	if x.Singles > 0 && x.Phase < 0.5 {
		x.Phi = min(tails.CountAbove(x.Singles*2*x.Phase*(1-x.Phase), xi)/x.Singles, 0.5)
	}
	x.Bits = x.Singles * (1 - tails.Entropy(x.Phi))
	return x
}

// yield is the least yield of one end's single photon from the rates of its two
// decoys and of the vacuum (Wang, PRL 94, 230503, in the form of Yu et al., Sci.
// Rep. 9, 3080).
func (d Device) yield(weak, strong, none float64) float64 {
	m1, m2 := d.Mu1, d.Mu2
	return max((m2*m2*math.Exp(m1)*weak-m1*m1*math.Exp(m2)*strong-(m2*m2-m1*m1)*none)/(m1*m2*(m2-m1)), 0)
}

// phase is the largest phase error rate of single photons from the rate of errors
// in the slice (the same).
func (d Device) phase(wrong, none, single float64) float64 {
	if single <= 0 {
		return 0.5
	}
	e := math.Exp(-2 * d.Mu1)
	return min(max(wrong-e*none/2, 0)/(2*d.Mu1*e*single), 0.5)
}

// bits is the length of the key when of the singles that pairing left lost bits
// were dropped, and leak bits disclosed.
func (d Device) bits(x Estimate, lost, leak, epsCor float64) (length, phi float64) {
	singles := x.Singles - lost
	if singles <= 0 {
		return -leak, 0.5
	}
	phi = min(x.Phi*x.Singles/singles, 0.5) // every phase error may be among those kept
	xi := d.EpsSec / shares
	return singles*(1-tails.Entropy(phi)) - leak - math.Log2(2/epsCor) - 2*math.Log2(1/(math.Sqrt2*xi*xi)), phi
}

// expect returns the counts to be expected of a number of windows.
func (d Device) expect(e, windows float64) Counts {
	o, p, r := d.odds(), d.PDc, d.raw(e)
	one, two := gain(e*d.Mu1, 0, p), gain(e*d.Mu2, 0, p)
	right, wrong := d.sliceGains(e)
	signal := windows * o.signal
	return Counts{
		Windows: windows, Vacuum: windows * o.vacuum * gain(0, 0, p),
		A1: windows * o.one * one, A2: windows * o.two * two,
		B1: windows * o.one * one, B2: windows * o.two * two,
		Slice: windows * o.slice * (right + wrong), SliceErrors: windows * o.slice * wrong,
		Zeros: signal * (r.right + r.both), Ones: signal * (r.right + r.none),
	}
}

// sliceGains are the probabilities of the right and the wrong detector alone where
// both ends sent the weaker decoy within the slice, by Simpson's rule.
func (d Device) sliceGains(e float64) (right, wrong float64) {
	const steps = 32
	x := e * d.Mu1
	for i := range steps + 1 {
		w := 2.0 + 2*float64(i&1)
		if i == 0 || i == steps {
			w = 1
		}
		c := math.Cos(d.Slice * float64(i) / steps)
		near, far := splitter.Only(x*(1+c), x*(1-c), d.PDc), splitter.Only(x*(1-c), x*(1+c), d.PDc)
		right += w / (3 * steps) * ((1-d.EMis)*near + d.EMis*far)
		wrong += w / (3 * steps) * ((1-d.EMis)*far + d.EMis*near)
	}
	return right, wrong
}

// predictFinite fills in a prediction for blocks of Block raw bits.
func (d Device) predictFinite(p *quantum.Prediction, e float64) {
	raw, _ := d.raw(e).total()
	windows := float64(d.Block) / (raw * d.odds().signal)
	kept, wrong, _ := d.raw(e).paired()
	kept *= windows * d.odds().signal
	length, _ := d.bits(d.estimate(d.expect(e, windows)), 0, d.FEC*kept*tails.Entropy(wrong), d.EpsCor)
	p.QBER, p.EpsSec, p.EpsCor = wrong, d.EpsSec, d.EpsCor
	p.PerUse = max(length, 0) / windows
	p.Sifted, p.Rate = qsc.BitRate(kept/windows*p.Clock), qsc.BitRate(p.PerUse*p.Clock)
	p.Fill = events.Seconds(windows / p.Clock)
}
