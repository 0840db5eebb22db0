package gf

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// No kernel touches a byte beyond its slices: one would end the process.
func TestEdgeOfMemory(t *testing.T) {
	for _, length := range []int{1, 31, 33, 63, 64, 65, 129, 257, 1023} {
		secret, coeff := testkit.Edge(t, length), testkit.Edge(t, 2*length)
		shares := make([][]byte, 5)
		for i := range shares {
			shares[i] = testkit.Edge(t, length)
		}
		eachKernel(t, func(string) {
			Split(shares[:3], []byte{1, 2, 3}, secret, coeff[length:], 2)
			for n := 1; n <= 5; n++ {
				Split(shares[:n], []byte{1, 2, 3, 4, 5}[:n], secret, coeff, 3)
				Combine(secret, []byte{7, 8, 9, 10, 11}[:n], shares[:n])
			}
		})
	}
}
