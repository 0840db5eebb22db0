package share

import (
	"bytes"
	"testing"

	"github.com/hashicorp/vault/shamir"
)

// Vault's shares are the value bytes followed by the point.

func TestVaultCombinesOurs(t *testing.T) {
	for _, kn := range [][2]int{{2, 2}, {2, 3}, {3, 5}, {5, 7}} {
		k, n := kn[0], kn[1]
		secret := noise(uint64(n), 100)
		points := noise(99, 256)
		points = distinctNonZero(points)[:n]
		shares := split(t, k, points, secret, uint64(k))
		subsets(n, k, func(idx []int) {
			theirs := make([][]byte, k)
			for i, x := range idx {
				theirs[i] = append(bytes.Clone(shares[x]), points[x])
			}
			back, err := shamir.Combine(theirs)
			if err != nil || !bytes.Equal(back, secret) {
				t.Fatalf("(%d,%d) %v: vault does not get the secret back: %v", k, n, idx, err)
			}
		})
	}
}

func TestWeCombineVaults(t *testing.T) {
	for _, kn := range [][2]int{{2, 2}, {2, 3}, {3, 5}, {5, 7}} {
		k, n := kn[0], kn[1]
		secret := noise(uint64(n), 100)
		theirs, err := shamir.Split(secret, n, k)
		if err != nil {
			t.Fatal(err)
		}
		subsets(n, k, func(idx []int) {
			points, shares := make([]byte, k), make([][]byte, k)
			for i, s := range pick(theirs, idx) {
				points[i], shares[i] = s[len(s)-1], s[:len(s)-1]
			}
			if !bytes.Equal(interpolate(t, points, shares, 0), secret) {
				t.Fatalf("(%d,%d) %v: vault's shares do not give the secret back", k, n, idx)
			}
		})
	}
}

// distinctNonZero drops zeros and repetitions.
func distinctNonZero(b []byte) []byte {
	var out []byte
	for _, x := range b {
		if x != 0 && !bytes.Contains(out, []byte{x}) {
			out = append(out, x)
		}
	}
	return out
}
