package toeplitz

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func xorOf(a, b []uint64) []uint64 {
	c := slices.Clone(a)
	addTo(c, b)
	return c
}

// The hash is linear in the input for a fixed seed.
func TestLinear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20_000).Draw(t, "n")
		l := rapid.IntRange(1, n).Draw(t, "l")
		r := rapid.Uint64().Draw(t, "seed")
		seed, x := input(r, n)
		y := random(r^0xff, len(x))
		s, err := NewSeed(seed, n, l)
		if err != nil {
			t.Fatal(err)
		}
		h := func(x []uint64) []uint64 {
			out := make([]uint64, (l+63)/64)
			s.Hash(out, x)
			return out
		}
		if !slices.Equal(h(xorOf(x, y)), xorOf(h(x), h(y))) {
			t.Fatal("h(x+y) is not h(x)+h(y)")
		}
	})
}

// A seed of zeros passes the beginning; a seed with one bit adds one diagonal.
func TestDiagonals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5_000).Draw(t, "n")
		l := rapid.IntRange(1, n-1).Draw(t, "l")
		d := rapid.IntRange(0, n-2).Draw(t, "diagonal")
		_, x := input(rapid.Uint64().Draw(t, "seed"), n)
		seed := make([]uint64, (n+62)/64)
		s, err := NewSeed(seed, n, l)
		if err != nil {
			t.Fatal(err)
		}
		want, got := cut(x, 0, l), make([]uint64, (l+63)/64)
		if s.Hash(got, x); !slices.Equal(got, want) {
			t.Fatal("zeros do not pass the beginning")
		}
		seed[d/64] = 1 << (d % 64)
		if s, err = NewSeed(seed, n, l); err != nil {
			t.Fatal(err)
		}
		for i := range l {
			if j := i + n - l - 1 - d; j >= 0 && j < n-l {
				want[i/64] ^= bitOf(x, l+j) << (i % 64)
			}
		}
		if s.Hash(got, x); !slices.Equal(got, want) {
			t.Fatalf("diagonal %d of %d bits to %d", d, n, l)
		}
	})
}

// Products distribute over sums and do not mind their order.
func TestProductIsARing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		la, lb := rapid.IntRange(1, 300).Draw(t, "la"), rapid.IntRange(1, 300).Draw(t, "lb")
		r := rapid.Uint64().Draw(t, "seed")
		a, b, c := random(r, la), random(r+1, lb), random(r+2, lb)
		p := func(x, y []uint64) []uint64 {
			out := make([]uint64, len(x)+len(y))
			Product(out, x, y)
			return out
		}
		if !slices.Equal(p(a, b), p(b, a)) {
			t.Fatal("ab is not ba")
		}
		if !slices.Equal(p(a, xorOf(b, c)), xorOf(p(a, b), p(a, c))) {
			t.Fatal("a(b+c) is not ab+ac")
		}
	})
}

// Over all seeds, an input other than zero is hashed to zero, which is to say two
// inputs collide, for exactly 2^-l of them if they differ in the tail, and for
// none if they differ in the beginning only.
func TestUniversal(t *testing.T) {
	for _, shape := range [][2]int{{2, 1}, {5, 2}, {6, 3}, {7, 1}, {7, 4}, {8, 6}} {
		n, l := shape[0], shape[1]
		zeros := make([]int, 1<<n)
		for seed := range uint64(1) << (n - 1) {
			s, err := NewSeed([]uint64{seed}, n, l)
			if err != nil {
				t.Fatal(err)
			}
			for x := range zeros {
				var out [1]uint64
				if s.Hash(out[:], []uint64{uint64(x)}); out[0] == 0 {
					zeros[x]++
				}
			}
		}
		for x := 1; x < len(zeros); x++ {
			want := 1 << (n - 1 - l)
			if x>>l == 0 {
				want = 0
			}
			if zeros[x] != want {
				t.Fatalf("%d bits to %d: difference %b collides for %d seeds, want %d", n, l, x, zeros[x], want)
			}
		}
	}
}

// FuzzHash compares the kernels with each other, and small inputs with the
// definition.
func FuzzHash(f *testing.F) {
	for i, s := range [][2]uint32{{1, 0}, {64, 63}, {65, 1}, {577, 64}, {1000, 513}, {65_537, 1}, {131_072, 65_535}, {150_001, 149_000}} {
		f.Add(uint64(i), s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, r uint64, n32, l32 uint32) {
		n := 1 + int(n32%200_000)
		l := 1 + int(l32)%n
		seed, x := input(r, n)
		var want []uint64
		if n <= 4096 {
			want = naiveHash(seed, x, n, l)
		}
		eachName(t, func() {
			got := hash(t, seed, x, n, l)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d bits to %d: the kernels differ, or the definition does", n, l)
			}
		})
	})
}
