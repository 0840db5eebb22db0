package repeater

import "math"

// A Werner state of parameter w has fidelity F = (1+3w)/4 and, measured in the
// same basis at both ends, the error rate (1-w)/2.

func wernerOf(fidelity float64) float64 { return (4*fidelity - 1) / 3 }
func fidelityOf(w float64) float64      { return (1 + 3*w) / 4 }

// purified returns the fidelity of what is left of two pairs of fidelity f, and
// the probability that it is kept (Bennett et al., PRL 76, 722; after twirling).
func purified(f float64) (fidelity, kept float64) {
	q := (1 - f) / 3
	kept = f*f + 2*f*q + 5*q*q
	return (f*f + q*q) / kept, kept
}

// nested purifies 2^rounds pairs of fidelity f to one: all pairs of a round must
// be kept. kept is the probability that the group yields its pair.
func nested(f float64, rounds int) (fidelity, kept float64) {
	kept = 1
	for r := 1; r <= rounds; r++ {
		var one float64
		f, one = purified(f)
		kept *= math.Pow(one, float64(int(1)<<(rounds-r)))
	}
	return f, kept
}

// anyGroup returns the probability that, of modes tries that succeed with
// probability p each, grouped by size as they come, at least one group is kept.
// Binomial weights are summed outwards from the likeliest number of successes and
// normalised, so that nothing underflows.
func anyGroup(modes int, p float64, size int, kept float64) float64 {
	if size == 1 && kept == 1 {
		return -math.Expm1(float64(modes) * math.Log1p(-p))
	}
	if p >= 1 {
		return -math.Expm1(float64(modes/size) * math.Log1p(-kept))
	}
	odds := p / (1 - p)
	top := min(int(float64(modes+1)*p), modes)
	var total, yield float64
	add := func(k int, weight float64) {
		total += weight
		yield -= weight * math.Expm1(float64(k/size)*math.Log1p(-kept))
	}
	weight := 1.0
	for k := top; k <= modes && weight > 1e-30; k++ {
		add(k, weight)
		weight *= float64(modes-k) / float64(k+1) * odds
	}
	weight = 1
	for k := top; k > 0; {
		weight *= float64(k) / float64(modes-k+1) / odds
		if k--; weight < 1e-30 {
			break
		}
		add(k, weight)
	}
	return yield / total
}
