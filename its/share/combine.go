package share

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/gf"
)

// Combiner interpolates a sharing polynomial at one public point from its
// values at k others. It is immutable and safe for use by many goroutines.
type Combiner struct {
	weights []byte // the Lagrange coefficients
}

// NewCombiner makes a combiner that takes shares at the given points to the
// value at: 0 is the secret, the point of a lost share is that share. It needs
// exactly as many points as the threshold k the secret was split with (2 to
// 255): fewer give noise, more give the same at more work. Zero, repeated, too
// few or too many points are Kind Invalid.
func NewCombiner(points []byte, at byte) (*Combiner, error) {
	const op = "share.NewCombiner"
	if n := len(points); n < 2 || n > MaxShares {
		return nil, qsc.E(op, qsc.Invalid, "", "%d points: interpolation needs k of them, from 2 to %d", n, MaxShares)
	}
	if err := checkPoints(op, points); err != nil {
		return nil, err
	}
	return &Combiner{weights: lagrange(points, at)}, nil
}

// K returns how many shares Combine takes.
func (c *Combiner) K() int { return len(c.weights) }

// Combine writes the interpolated value into dst. shares are in the order of
// the points given to NewCombiner, each of len(dst). dst may be one of the
// shares exactly and must not overlap any otherwise; the caller owns all
// memory. Wrong lengths are Kind Invalid and nothing is written.
//
// Combine cannot tell good shares from bad: check tags and CheckSet before.
func (c *Combiner) Combine(dst []byte, shares [][]byte) error {
	const op = "share.Combine"
	if len(shares) != len(c.weights) {
		return qsc.E(op, qsc.Invalid, "", "%d shares, want one per point = %d", len(shares), len(c.weights))
	}
	for i, sh := range shares {
		if len(sh) != len(dst) {
			return qsc.E(op, qsc.Invalid, "", "share %d has %d bytes, want %d: shares of one chunk are equally long", i, len(sh), len(dst))
		}
	}
	gf.Combine(dst, c.weights, shares)
	return nil
}

// lagrange returns the weights w with f(at) = Σ w_i·f(points[i]) for every f
// of degree below len(points): w_i = Π_{j≠i} (at-x_j)/(x_i-x_j).
func lagrange(points []byte, at byte) []byte {
	w := make([]byte, len(points))
	for i, xi := range points {
		num, den := byte(1), byte(1)
		for j, xj := range points {
			if j != i {
				num = gf.Mul(num, at^xj)
				den = gf.Mul(den, xi^xj)
			}
		}
		w[i] = gf.Mul(num, gf.Inv(den))
	}
	return w
}
