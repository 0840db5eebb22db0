package share

import (
	"fmt"
	"testing"
)

// everyCoefficient lays out all values of k-1 coefficients of one byte, one
// combination per byte position, as Split takes them.
func everyCoefficient(k int) []byte {
	count := 1 << (8 * (k - 1))
	coeff := make([]byte, (k-1)*count)
	for j := range k - 1 {
		for p := range count {
			coeff[j*count+p] = byte(p >> (8 * j))
		}
	}
	return coeff
}

// views returns, for the secret byte s under every value of the coefficients,
// the n shares: position p is the sharing with combination p.
func views(t *testing.T, k, n int, s byte, coeff []byte) [][]byte {
	t.Helper()
	splitter, err := NewSplitter(k, Points(n))
	if err != nil {
		t.Fatal(err)
	}
	count := len(coeff) / (k - 1)
	secret := make([]byte, count)
	for p := range secret {
		secret[p] = s
	}
	shares := slices(n, count)
	if err := splitter.Split(secret, coeff, shares); err != nil {
		t.Fatal(err)
	}
	return shares
}

// Perfect secrecy, by enumeration of everything: whatever the secret, what any
// k-1 shares show takes each of its values equally often over all values of
// the coefficients, zero included. So the view is uniform and says nothing of
// the secret, exactly.
func TestBelowThresholdNothing(t *testing.T) {
	few := []byte{0, 1, 0x53, 0xff}
	all := make([]byte, 256)
	for s := range all {
		all[s] = byte(s)
	}
	for _, c := range []struct {
		k, n    int
		secrets []byte
	}{{2, 2, all}, {2, 3, all}, {2, 7, all}, {3, 3, all}, {3, 4, few}, {3, 5, few}} {
		t.Run(fmt.Sprintf("%d of %d", c.k, c.n), func(t *testing.T) {
			coeff := everyCoefficient(c.k)
			seen := make([]int, len(coeff)/(c.k-1))
			for _, s := range c.secrets {
				shares := views(t, c.k, c.n, s, coeff)
				subsets(c.n, c.k-1, func(idx []int) {
					if missed := count(seen, pick(shares, idx)); missed != 0 {
						t.Fatalf("shares %v miss %d of %d values: they tell something", idx, missed, len(seen))
					}
				})
			}
		})
	}
}

// count tallies the joint values of shares in seen and returns how many values
// were not taken exactly once.
func count(seen []int, shares [][]byte) (missed int) {
	clear(seen)
	for p := range shares[0] {
		view := 0
		for _, s := range shares {
			view = view<<8 | int(s[p])
		}
		seen[view]++
	}
	for _, c := range seen {
		if c != 1 {
			missed++
		}
	}
	return missed
}

// The same count finds the leak of libraries that reject a zero coefficient: a
// share is then never equal to the secret.
func TestRejectingZeroWouldLeak(t *testing.T) {
	shares := views(t, 2, 2, 0x42, everyCoefficient(2)[1:])
	seen := make([]int, 256)
	if missed := count(seen, shares[:1]); missed != 1 || seen[0x42] != 0 {
		t.Fatalf("%d values missed, the secret's own taken %d times: the test does not see the leak", missed, seen[0x42])
	}
}
