package gf

// tileBudget is how many bytes of input a tile may hold, so that the later
// passes over the same input (one per block of outputs) find it in the cache.
const tileBudget = 256 << 10

// The bounds of a tile, per stream.
const (
	tileMin = 4 << 10
	tileMax = 64 << 10
)

// tile returns the tile length for k input streams, a multiple of tileMin.
func tile(k int) int {
	return min(max(tileBudget/k/tileMin*tileMin, tileMin), tileMax)
}

// Split evaluates, for every byte position p, the polynomial
//
//	f(x) = secret[p] + run_0[p]·x + … + run_{k-2}[p]·x^(k-1)
//
// at each of points and stores f(points[i]) in dst[i][p]. The runs lie one
// behind the other in coeff: run j is coeff[j*len(secret):(j+1)*len(secret)],
// and k-1 of them are given. dst holds one slice per point, each of
// len(secret), none overlapping another, secret or coeff.
//
// Lengths that do not fit are a programming error and panic.
func Split(dst [][]byte, points []byte, secret, coeff []byte, k int) {
	length := len(secret)
	if k < 2 || len(dst) != len(points) || len(coeff) != (k-1)*length {
		panic("gf: Split: lengths do not fit")
	}
	for _, d := range dst {
		if len(d) != length {
			panic("gf: Split: a share is not as long as the secret")
		}
	}
	if length == 0 || len(dst) == 0 {
		return
	}
	kern, step := choice.Active(), tile(k)
	for off := 0; off < length; off += step {
		split(kern, dst, points, secret, coeff, k, off, min(off+step, length))
	}
}

// Combine stores the weighted sum of src in dst: dst[p] is the sum over i of
// weights[i]·src[i][p]. Every slice of src has len(dst). dst may be one of src,
// exactly; it must not overlap any of them otherwise.
//
// Lengths that do not fit are a programming error and panic.
func Combine(dst, weights []byte, src [][]byte) {
	if len(src) != len(weights) || len(src) == 0 {
		panic("gf: Combine: lengths do not fit")
	}
	for _, s := range src {
		if len(s) != len(dst) {
			panic("gf: Combine: an input is not as long as the output")
		}
	}
	if len(dst) == 0 {
		return
	}
	kern := choice.Active()
	for off := 0; off < len(dst); off += tileMax {
		combine(kern, dst, weights, src, off, min(off+tileMax, len(dst)))
	}
}
