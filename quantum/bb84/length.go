package bb84

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Length implements distill.Protocol. The bound is applied to the counts of the
// whole block, errors of the key basis in total (one decoy needs them; the kept
// frames' are exact, and every bit of a dropped frame may have been one). What
// was dropped is taken off: it may have been secret. Error: Invalid.
func (e *end) Length(s *distill.Sifted, o distill.Outcome) (distill.Length, error) {
	b, ok := s.Private.(*block)
	if !ok || o.Kept > o.Sifted || o.Sifted != int64(b.sifted) {
		return distill.Length{}, qsc.E("bb84.Length", qsc.Invalid, "", "an outcome of %d bits, %d of them kept, does not belong to this block", o.Sifted, o.Kept)
	}
	lost := float64(o.Sifted - o.Kept)
	c := b.observed(e.device)
	c.KeyErr, c.Pooled = [3]float64{float64(o.Errors) + lost}, true
	c.Leak = float64(o.Leak + o.Verify)
	est := e.device.secret(c)
	e.learn(o)
	l := distill.Length{
		Bits: min(int64(math.Floor(est.Bits-lost)), o.Kept), Bound: e.device.Bound,
		EpsSec: e.device.EpsSec, EpsCor: e.device.EpsCor, Phi: est.Phi, Params: e.params(b, est),
	}
	if e.device.Bound == Asymptotic {
		l.EpsSec = 1 // of a finite block it promises nothing
	}
	if o.EpsCor > 0 {
		l.EpsCor = o.EpsCor
	}
	return l, nil
}

// learn keeps the block's exact error rate for the next block's reconciliation.
func (e *end) learn(o distill.Outcome) {
	if o.Kept == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen.guess = min(max(float64(o.Errors)/float64(o.Kept), leastQBER), 0.5)
	e.seen.sure = true
	e.seen.progress.QBER = float64(o.Errors) / float64(o.Kept)
}

// params are the device's parameters and the block's counts, by name.
func (e *end) params(b *block, est Estimate) map[string]any {
	out := map[string]any{}
	if text, err := json.Marshal(e.device); err == nil {
		_ = json.Unmarshal(text, &out) // it is our own
	}
	out["n_key"], out["n_test"], out["m_test"] = slices.Clone(b.counts[1][:]), slices.Clone(b.counts[0][:]), slices.Clone(b.wrong[:])
	out["clicks"], out["pulses"] = b.clicked, b.next-b.first
	out["s0"], out["s1"], out["s1_test"], out["v1"] = math.Floor(est.Vacuum), math.Floor(est.Single), math.Floor(est.Test), math.Ceil(est.Errors)
	return out
}
