// Package share is Shamir's secret sharing over GF(2^8) in bulk: it splits a
// secret into n shares of which any k give it back and any k-1 are uniform
// noise, whatever the computing power of whoever holds them. It also defines
// the piece, the sealed form in which one site stores its share of one chunk,
// and the AMD code, which lets a small record detect tampering without a key.
//
// The package draws no randomness: coefficients, hash keys and masks come in
// from a Source that lives elsewhere and names its security class. It does no
// I/O, stores nothing, knows no sites, and does not notice by itself that
// shares were mixed or altered: CheckSet and VerifyPiece do, and the caller
// runs them before combining.
package share

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/gf"
)

// MaxShares is the largest n: the non-zero points of GF(2^8).
const MaxShares = 255

// Source yields uniform random bytes for polynomial coefficients, hash keys
// and masks. Nothing in its/ implements it.
type Source interface {
	// Fill overwrites the whole of p with uniform bytes that were never given
	// out before, or fails and leaves p unspecified. Exhausted means that more
	// may come later.
	Fill(p []byte) error
	// Class says what the bytes rest on: qsc.ITS for link key and physical
	// sources, with qsc.OSRandom for the operating system's generator, and so
	// on. An object split with these bytes carries this class.
	Class() qsc.Class
}

// Points returns the usual points of n shares: 1 to n. It panics unless
// 0 ≤ n ≤ 255.
func Points(n int) []byte {
	if n < 0 || n > MaxShares {
		panic("share: Points: n is not from 0 to 255")
	}
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i + 1)
	}
	return p
}

// Splitter evaluates the sharing polynomial at fixed public points. It is
// immutable and safe for use by many goroutines.
type Splitter struct {
	k      int
	points []byte
}

// NewSplitter makes a splitter for thresholds 2 ≤ k ≤ n ≤ 255, where n is
// len(points). Points must be non-zero (f(0) is the secret itself) and
// distinct; they are copied. Everything else is Kind Invalid, naming the fault.
func NewSplitter(k int, points []byte) (*Splitter, error) {
	const op = "share.NewSplitter"
	n := len(points)
	switch {
	case k < 2:
		return nil, qsc.E(op, qsc.Invalid, "", "threshold k=%d: use at least 2, for a single share would be the secret", k)
	case n > MaxShares:
		return nil, qsc.E(op, qsc.Invalid, "", "n=%d shares: the field has points for at most %d", n, MaxShares)
	case k > n:
		return nil, qsc.E(op, qsc.Invalid, "", "threshold k=%d exceeds the n=%d shares: lower k or add points", k, n)
	}
	if err := checkPoints(op, points); err != nil {
		return nil, err
	}
	return &Splitter{k: k, points: append([]byte(nil), points...)}, nil
}

// K returns the threshold: how many shares give the secret back.
func (s *Splitter) K() int { return s.k }

// N returns the number of shares.
func (s *Splitter) N() int { return len(s.points) }

// Split writes the n shares of secret: shares[i] is the value at points[i], of
// len(secret) bytes. coeff holds (k-1)·len(secret) uniform bytes, used once and
// for nothing else: run j, coeff[j*len(secret):(j+1)*len(secret)], is the
// coefficient of x^(j+1). Every value is right, zero included; rejecting any
// would leak. The caller owns all memory and erases secret and coeff; no slice
// may overlap another. Wrong lengths are Kind Invalid and nothing is written.
func (s *Splitter) Split(secret, coeff []byte, shares [][]byte) error {
	const op = "share.Split"
	if want := (s.k - 1) * len(secret); len(coeff) != want {
		return qsc.E(op, qsc.Invalid, "", "%d bytes of coefficients, want (k-1)·secret = %d", len(coeff), want)
	}
	if len(shares) != len(s.points) {
		return qsc.E(op, qsc.Invalid, "", "room for %d shares, want n = %d", len(shares), len(s.points))
	}
	for i, sh := range shares {
		if len(sh) != len(secret) {
			return qsc.E(op, qsc.Invalid, "", "share %d has room for %d bytes, want %d as the secret", i, len(sh), len(secret))
		}
	}
	gf.Split(shares, s.points, secret, coeff, s.k)
	return nil
}

// checkPoints refuses zero and repeated points.
func checkPoints(op string, points []byte) error {
	var seen [256]int
	for i, x := range points {
		if x == 0 {
			return qsc.E(op, qsc.Invalid, "", "point %d of the list is 0, where the secret itself lies: use 1 to 255", i)
		}
		if j := seen[x]; j > 0 {
			return qsc.E(op, qsc.Invalid, "", "points %d and %d of the list are both %d: every share needs its own", j-1, i, x)
		}
		seen[x] = i + 1
	}
	return nil
}
