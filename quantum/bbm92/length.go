package bbm92

import (
	"maps"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// The bounds on offer.
const (
	// Tomamichel2012 is the finite-key bound for entangled pairs of Tomamichel, Lim,
	// Gisin and Renner, Nature Communications 3, 634 (2012),
	// against any attack. It is the default.
	Tomamichel2012 = "tomamichel-2012"
	// KoashiPreskill is the asymptotic length with the error rate as it was counted
	// (Koashi and Preskill, PRL 90, 057902). It has no security parameter.
	KoashiPreskill = "koashi-preskill"
)

// Security says which bound applies, and with what parameters.
type Security struct {
	Bound  string  `json:"bound"`   // "" is Tomamichel2012
	EpsSec float64 `json:"eps_sec"` // secrecy
	EpsCor float64 `json:"eps_cor"` // correctness, for predictions; a run's is the verification's
}

func (s Security) bound() (string, error) {
	switch s.Bound {
	case "", Tomamichel2012:
		if !(s.EpsSec > 0 && s.EpsSec < 1 && s.EpsCor > 0 && s.EpsCor < 1) {
			return "", qsc.E("bbm92.Security", qsc.Invalid, "", "eps_sec %g and eps_cor %g must lie between 0 and 1", s.EpsSec, s.EpsCor)
		}
		return Tomamichel2012, nil
	case KoashiPreskill:
		return KoashiPreskill, nil
	}
	return "", qsc.E("bbm92.Security", qsc.Invalid, "", "no bound %q: choose %s or %s", s.Bound, Tomamichel2012, KoashiPreskill)
}

// phi bounds the phase error rate of n key bits when errors of k test bits were
// wrong.
func (s Security) phi(n, k, errors float64) float64 {
	if k <= 0 {
		return 0.5
	}
	q := errors / k
	if s.Bound == KoashiPreskill {
		return min(q, 0.5)
	}
	return min(q+math.Sqrt((n+k)/(n*k)*(k+1)/k*math.Log(4/s.EpsSec)), 0.5)
}

// kept bounds the phase error rate of the bits that are left of n: every phase
// error may be among them.
func (s Security) kept(left, n int64, c Counts) float64 {
	return min(s.phi(float64(n), float64(c.Tests), float64(c.Errors))*float64(n)/float64(left), 0.5)
}

// bits is the length of the key from n key bits after leak bits were disclosed.
func (s Security) bits(n, phi, leak, epsCor float64) float64 {
	l := n*(1-tails.Entropy(phi)) - leak
	if s.Bound == KoashiPreskill {
		return l
	}
	return l - math.Log2(2/(s.EpsSec*s.EpsSec*epsCor))
}

// Share is how much of n key bits is expected to be secret, as a share of them, where
// so many tests show an error rate and reconciliation has an efficiency; negative
// where there is no key.
func (s Security) Share(n, tests, qber, fEC float64) float64 {
	return s.bits(n, s.phi(n, tests, tests*qber), fEC*n*tails.Entropy(qber), s.EpsCor) / n
}

// Length implements distill.Protocol. The phase error rate is that of all sifted
// bits, which the test basis is a sample with; what it becomes when frames were
// dropped follows. Errors: Scarce when nothing was disclosed or nothing kept,
// Invalid.
func (p *Protocol) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	c, ok := s.Private.(Counts)
	if !ok || o.Kept > o.Sifted {
		return distill.Length{}, qsc.E("bbm92.Length", qsc.Invalid, "", "an outcome of %d bits, %d of them kept, is of no block that was sifted here", o.Sifted, o.Kept)
	}
	if c.Tests == 0 || o.Kept == 0 {
		return distill.Length{}, qsc.E("bbm92.Length", qsc.Scarce, "", "%d bits kept and %d disclosed: gather a longer block", o.Kept, c.Tests)
	}
	sec := p.link.Security
	bound, err := sec.bound()
	if err != nil {
		return distill.Length{}, err
	}
	phi := sec.kept(o.Kept, o.Sifted, c)
	leak, epsCor := float64(o.Leak+o.Verify), max(o.EpsCor, math.SmallestNonzeroFloat64)
	l := distill.Length{
		Bits: int64(math.Floor(sec.bits(float64(o.Kept), phi, leak, epsCor))), Bound: bound,
		EpsSec: sec.EpsSec, EpsCor: o.EpsCor, Phi: phi, Params: map[string]any{},
	}
	if bound == KoashiPreskill {
		l.EpsSec = 1 // of a finite block it promises nothing; 0 would be perfect
	}
	maps.Copy(l.Params, p.link.Params)
	l.Params["p_z"] = p.link.PZ
	l.Params["coincidences"], l.Params["test_bits"], l.Params["test_errors"] = c.Coincidences, c.Tests, c.Errors
	l.Params["sifted_bits"], l.Params["kept_bits"], l.Params["leak_bits"] = o.Sifted, o.Kept, o.Leak+o.Verify
	return l, nil
}
