package bb84

import (
	"math"
	"slices"
	"strings"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// The names of the bounds.
const (
	Wiesemann  = "wiesemann-2024"
	Lim        = "lim-2014"
	Rusca      = "rusca-2018"
	Asymptotic = "asymptotic"
)

// Counts are what a bound is applied to: clicks and errors by intensity, signals
// first, in the key basis and the test basis.
type Counts struct {
	Decoys        int        // 1 or 2
	Mu, P         [3]float64 // intensities and their probabilities
	Key, KeyErr   [3]float64
	Test, TestErr [3]float64
	Pooled        bool    // the errors of the key basis are known in total only, which stands in KeyErr[0]
	Leak          float64 // bits disclosed about the key basis
}

// Add returns the counts of two stretches under the same intensities together.
func (c Counts) Add(o Counts) Counts {
	for i := range c.Key {
		c.Key[i] += o.Key[i]
		c.KeyErr[i] += o.KeyErr[i]
		c.Test[i] += o.Test[i]
		c.TestErr[i] += o.TestErr[i]
	}
	c.Leak += o.Leak
	return c
}

// pool forgets the intensities of the key basis's errors, as distillation does.
func (c Counts) pool() Counts {
	c.KeyErr, c.Pooled = [3]float64{sum(c.KeyErr)}, true
	return c
}

// Security are the parameters that a key is to have.
type Security struct{ EpsSec, EpsCor float64 }

// Estimate is what a bound makes of counts.
type Estimate struct {
	Bits   float64 // length of the key; may be negative
	Vacuum float64 // at least so many bits of the key basis came of vacuum
	Single float64 // of single photons
	Test   float64 // the same in the test basis
	Errors float64 // at most so many errors of single photons there
	Phi    float64 // at most this phase error rate in the key basis; ½ when nothing is known
}

// Bound says how much of a sifted key is secret.
type Bound interface {
	Name() string
	Fits(decoys int) bool             // whether there is a proof for 1 or 2 decoys
	Length(Counts, Security) Estimate // pure; counts of other decoys than it fits give 0 bits
}

var bounds = []Bound{
	proof{name: Wiesemann, one: constants{15, fourTerms}, two: constants{17, fourTerms}},
	proof{name: Lim, two: constants{21, sixTerms}},
	proof{name: Rusca, one: constants{19, sixTerms}},
	proof{name: Asymptotic, one: constants{1, noTerms}, two: constants{1, noTerms}},
}

// BoundNamed returns a bound; "" is wiesemann-2024. Error: Invalid.
func BoundNamed(name string) (Bound, error) {
	if name == "" {
		name = Wiesemann
	}
	for _, b := range bounds {
		if b.Name() == name {
			return b, nil
		}
	}
	return nil, qsc.E("bb84.BoundNamed", qsc.Invalid, name, "no such bound; there are %s", strings.Join(BoundNames(), ", "))
}

// BoundNames lists the bounds, the default first.
func BoundNames() []string {
	var names []string
	for _, b := range bounds {
		names = append(names, b.Name())
	}
	return slices.Clip(names)
}

// proof is a bound by Hoeffding's inequality over two or three intensities. What
// differs between the published proofs are the constants of their union bounds
// and the last terms.
type proof struct {
	name     string
	one, two constants
}

// constants belong to one proof and one number of decoys.
type constants struct {
	events float64 // into how many failures eps_sec is divided; 0: no proof
	terms  func(events float64, s Security) float64
}

// sixTerms: 6 log2(events/eps_sec) + log2(2/eps_cor), Lim and Rusca.
func sixTerms(events float64, s Security) float64 {
	return 6*math.Log2(events/s.EpsSec) + math.Log2(2/s.EpsCor)
}

// fourTerms: 4 log2(events/(eps_sec 2^¼)) + log2(2/eps_cor), arXiv 2405.16578.
func fourTerms(events float64, s Security) float64 {
	return 4*math.Log2(events/s.EpsSec) - 1 + math.Log2(2/s.EpsCor)
}

func noTerms(float64, Security) float64 { return 0 }

// Name implements Bound.
func (b proof) Name() string { return b.name }

// Fits implements Bound.
func (b proof) Fits(decoys int) bool { return b.of(decoys).events > 0 }

func (b proof) of(decoys int) constants {
	switch decoys {
	case 1:
		return b.one
	case 2:
		return b.two
	}
	return constants{}
}

// Length implements Bound: l = s0 + s1 (1 - h(phi)) - leak - terms.
func (b proof) Length(c Counts, s Security) Estimate {
	k := b.of(c.Decoys)
	if k.events == 0 {
		return Estimate{Phi: 0.5}
	}
	st := statistics{Counts: c, ln: math.Log(k.events / s.EpsSec)}
	if b.name == Asymptotic {
		st.ln = 0
	}
	e := st.estimate()
	e.Phi = st.phase(e)
	e.Bits = e.Vacuum + e.Single*(1-tails.Entropy(e.Phi)) - c.Leak - k.terms(k.events, s)
	return e
}
