package share

import (
	"fmt"

	"github.com/quantum-secure-cloud/qsc"
)

// CheckSet refuses to combine what does not belong together. All headers must
// agree in object, version, chunk, content kind, scheme, field, k, n and
// length, their points must be non-zero and distinct, and there must be at
// least k of them. Mixing is Kind Invalid and says which two differ and in
// what; too few is Kind Insufficient. The class may differ: the result has the
// weakest.
//
// It compares what the headers say. That they say the truth is for VerifyPiece.
func CheckSet(headers []Header) error {
	const op = "share.CheckSet"
	if len(headers) == 0 {
		return qsc.E(op, qsc.Insufficient, "", "no share at all: bring at least k")
	}
	first := headers[0]
	if err := first.check(op, qsc.Invalid); err != nil {
		return err
	}
	for i, h := range headers[1:] {
		if what := difference(first, h); what != "" {
			return qsc.E(op, qsc.Invalid, "", "shares 0 and %d differ in %s: they cannot be combined", i+1, what)
		}
	}
	points := make([]byte, len(headers))
	for i, h := range headers {
		points[i] = h.Point
	}
	if err := checkPoints(op, points); err != nil {
		return err
	}
	switch have, k, n := len(headers), int(first.K), int(first.N); {
	case have > n:
		return qsc.E(op, qsc.Invalid, "", "%d shares at distinct points, but only n=%d were made: one is false", have, n)
	case have < k:
		return qsc.E(op, qsc.Insufficient, "", "%d shares of %s, %d are needed: reach %d more sites", have, first.Object, k, k-have)
	}
	return nil
}

// difference names the first field in which a and b cannot be combined, with
// both values, or is empty.
func difference(a, b Header) string {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"object", a.Object, b.Object},
		{"version", a.Version, b.Version},
		{"scheme", a.Scheme, b.Scheme},
		{"field", a.Field, b.Field},
		{"threshold k", a.K, b.K},
		{"number of shares n", a.N, b.N},
		{"chunk", a.Chunk, b.Chunk},
		{"content kind", a.Kind, b.Kind},
		{"length", a.Length, b.Length},
	} {
		if f.a != f.b {
			return fmt.Sprintf("%s (%v, %v)", f.name, f.a, f.b)
		}
	}
	return ""
}
