package repeater

import "math"

// PLOB is the most secret bits for each use that any protocol without a repeater
// makes over a channel of transmittance eta (Pirandola, Laurenza, Ottaviani,
// Banchi, Nat. Commun. 8, 15043).
func PLOB(eta float64) float64 {
	if eta >= 1 {
		return math.Inf(1)
	}
	return -math.Log1p(-max(eta, 0)) / math.Ln2
}

// ChainBound is the same with nodes repeaters that cut the channel into equal
// parts (Pirandola, Commun. Phys. 2, 51): PLOB of one part.
func ChainBound(eta float64, nodes int) float64 {
	return PLOB(math.Pow(max(eta, 0), 1/float64(nodes+1)))
}
