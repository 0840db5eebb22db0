package share

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// noise returns n bytes that depend on seed alone.
func noise(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// slices returns n slices of length bytes.
func slices(n, length int) [][]byte {
	s := make([][]byte, n)
	for i := range s {
		s[i] = make([]byte, length)
	}
	return s
}

// split is Split for tests, with coefficients from seed.
func split(t testing.TB, k int, points, secret []byte, seed uint64) [][]byte {
	t.Helper()
	s, err := NewSplitter(k, points)
	if err != nil {
		t.Fatal(err)
	}
	shares := slices(len(points), len(secret))
	if err := s.Split(secret, noise(seed, (k-1)*len(secret)), shares); err != nil {
		t.Fatal(err)
	}
	return shares
}

// pick returns the elements of s at the given indexes.
func pick[T any](s []T, idx []int) []T {
	out := make([]T, len(idx))
	for i, x := range idx {
		out[i] = s[x]
	}
	return out
}

// subsets calls f with every k-subset of 0..n-1.
func subsets(n, k int, f func(idx []int)) {
	idx := make([]int, k)
	var walk func(at, from int)
	walk = func(at, from int) {
		if at == k {
			f(idx)
			return
		}
		for i := from; i <= n-(k-at); i++ {
			idx[at] = i
			walk(at+1, i+1)
		}
	}
	walk(0, 0)
}

// interpolate combines the shares at points into the value at.
func interpolate(t testing.TB, points []byte, shares [][]byte, at byte) []byte {
	t.Helper()
	c, err := NewCombiner(points, at)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(shares[0]))
	if err := c.Combine(out, shares); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEverySubsetRecoversAndRepairs(t *testing.T) {
	for _, kn := range [][2]int{{2, 2}, {2, 3}, {3, 3}, {3, 5}, {5, 7}, {255, 255}} {
		k, n := kn[0], kn[1]
		points, secret := Points(n), noise(uint64(k), 1000)
		shares := split(t, k, points, secret, uint64(n))
		subsets(n, k, func(idx []int) {
			xs, have := pick(points, idx), pick(shares, idx)
			if !bytes.Equal(interpolate(t, xs, have, 0), secret) {
				t.Fatalf("(%d,%d): shares %v do not give the secret back", k, n, idx)
			}
			for i, x := range points {
				if n < 10 && !bytes.Equal(interpolate(t, xs, have, x), shares[i]) {
					t.Fatalf("(%d,%d): shares %v do not give share %d", k, n, idx, i)
				}
			}
		})
	}
}

func TestUnusualPoints(t *testing.T) {
	points, secret := []byte{255, 1, 128, 27}, noise(1, 333)
	shares := split(t, 3, points, secret, 2)
	subsets(4, 3, func(idx []int) {
		if !bytes.Equal(interpolate(t, pick(points, idx), pick(shares, idx), 0), secret) {
			t.Fatalf("shares %v do not give the secret back", idx)
		}
	})
}

func TestEmptySecret(t *testing.T) {
	shares := split(t, 2, Points(3), nil, 1)
	if got := interpolate(t, []byte{1, 2}, shares[:2], 0); len(got) != 0 {
		t.Fatalf("%d bytes out of nothing", len(got))
	}
}

func TestConstructorsRefuse(t *testing.T) {
	for _, c := range []struct {
		name   string
		k      int
		points []byte
		want   string
	}{
		{"k below 2", 1, Points(3), "k=1"},
		{"k negative", -1, Points(3), "k=-1"},
		{"k above n", 4, Points(3), "exceeds the n=3"},
		{"no points", 2, nil, "exceeds the n=0"},
		{"zero point", 2, []byte{1, 0, 3}, "point 1 of the list is 0"},
		{"twin points", 2, []byte{7, 1, 7}, "points 0 and 2 of the list are both 7"},
		{"too many", 2, make([]byte, 256), "n=256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewSplitter(c.k, c.points)
			wantError(t, err, qsc.Invalid, c.want)
		})
	}
	for _, c := range []struct {
		name   string
		points []byte
		want   string
	}{
		{"none", nil, "0 points"},
		{"one", []byte{1}, "1 points"},
		{"too many", make([]byte, 256), "256 points"},
		{"zero point", []byte{1, 0}, "point 1 of the list is 0"},
		{"twin points", []byte{9, 9}, "both 9"},
	} {
		t.Run("combiner "+c.name, func(t *testing.T) {
			_, err := NewCombiner(c.points, 0)
			wantError(t, err, qsc.Invalid, c.want)
		})
	}
}

func TestLengthsRefused(t *testing.T) {
	s, err := NewSplitter(2, Points(3))
	if err != nil {
		t.Fatal(err)
	}
	if s.K() != 2 || s.N() != 3 {
		t.Fatalf("K, N = %d, %d", s.K(), s.N())
	}
	secret := make([]byte, 10)
	wantError(t, s.Split(secret, make([]byte, 9), slices(3, 10)), qsc.Invalid, "9 bytes of coefficients")
	wantError(t, s.Split(secret, make([]byte, 10), slices(2, 10)), qsc.Invalid, "room for 2 shares")
	wantError(t, s.Split(secret, make([]byte, 10), slices(3, 11)), qsc.Invalid, "share 0 has room for 11")
	c, err := NewCombiner([]byte{1, 2}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c.K() != 2 {
		t.Fatalf("K = %d", c.K())
	}
	wantError(t, c.Combine(secret, slices(3, 10)), qsc.Invalid, "3 shares")
	wantError(t, c.Combine(secret, slices(2, 9)), qsc.Invalid, "share 0 has 9")
}

func TestPointsPanics(t *testing.T) {
	for _, n := range []int{-1, 256} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Points(%d) did not panic", n)
				}
			}()
			Points(n)
		}()
	}
}

// wantError fails unless err is of the kind and its text contains part.
func wantError(t *testing.T, err error, kind qsc.Kind, part string) {
	t.Helper()
	if !qsc.IsKind(err, kind) {
		t.Fatalf("error %v, want kind %v", err, kind)
	}
	if !bytes.Contains([]byte(err.Error()), []byte(part)) {
		t.Fatalf("error %q does not mention %q", err, part)
	}
}
