//go:build !amd64 || purego

package gf

// native returns the kernels beyond plain Go: none here.
func native() []kernel { return nil }

func split(_ kernel, dst [][]byte, points []byte, secret, coeff []byte, k, off, end int) {
	splitPlain(dst, points, secret, coeff, k, off, end)
}

func combine(_ kernel, dst, weights []byte, src [][]byte, off, end int) {
	combinePlain(dst, weights, src, off, end)
}
