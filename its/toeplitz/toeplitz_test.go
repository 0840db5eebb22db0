package toeplitz

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// hash makes a seed ready and hashes.
func hash(t testing.TB, seed, x []uint64, n, l int) []uint64 {
	t.Helper()
	s, err := NewSeed(seed, n, l)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, (l+63)/64)
	s.Hash(out, x)
	s.Release()
	return out
}

// input returns a seed and an input with garbage beyond their ends.
func input(r uint64, n int) (seed, x []uint64) {
	return random(r, (n+62)/64), random(r+1<<32, (n+63)/64)
}

// Bit for bit the definition: all small shapes that meet a border, many that do
// not, and sizes up to 2^14.
func TestAsDefined(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	type shape struct{ n, l int }
	var shapes []shape
	for n := 1; n <= 70; n++ {
		for l := 1; l <= n; l++ {
			shapes = append(shapes, shape{n, l})
		}
	}
	for range 150 {
		n := 1 + r.IntN(2200)
		shapes = append(shapes, shape{n, 1 + r.IntN(n)})
	}
	for _, n := range []int{511, 512, 513, 577, 1024, 4096, 1 << 14} {
		for _, l := range []int{1, 2, 63, 64, 65, n / 3, n / 2, n/2 + 1, n - 65, n - 64, n - 63, n - 1, n} {
			if l >= 1 && (n < 1<<14 || l == n/2) {
				shapes = append(shapes, shape{n, l})
			}
		}
	}
	for i, s := range shapes {
		seed, x := input(uint64(i), s.n)
		want := naiveHash(seed, x, s.n, s.l)
		eachName(t, func() {
			if !slices.Equal(hash(t, seed, x, s.n, s.l), want) {
				t.Fatalf("%d bits to %d: not as defined", s.n, s.l)
			}
		})
	}
}

// Against an independent product (Karatsuba, in this test) at 2^20 bits.
func TestAsKaratsuba(t *testing.T) {
	const n, l = 1 << 20, 1<<19 - 37
	seed, x := input(9, n)
	want := productHash(seed, x, n, l)
	eachKernel(t, func(t *testing.T) {
		if !slices.Equal(hash(t, seed, x, n, l), want) {
			t.Fatal("not as Karatsuba's product")
		}
	})
}

// Product against Karatsuba, at lengths around those where the way changes.
func TestProduct(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for i, n := range [][2]int{{0, 0}, {0, 3}, {1, 1}, {31, 40}, {32, 32}, {33, 100}, {64, 64}, {65, 63}, {700, 32}, {1500, 900}, {4096, 4096}} {
			a, b := random(uint64(i), n[0]), random(uint64(i+100), n[1])
			got := random(1, n[0]+n[1])
			Product(got, a, b)
			want := karatsuba(pad(slices.Clone(a)), pad(slices.Clone(b)))
			if !slices.Equal(got, want[:min(len(want), len(got))]) && len(got) > 0 {
				t.Errorf("%d words by %d: wrong", n[0], n[1])
			}
		}
	})
}

// A seed made ready under one kernel serves under all.
func TestSeedOfAnotherKernel(t *testing.T) {
	const n, l = 200_001, 77_777
	seed, x := input(11, n)
	s, err := NewSeed(seed, n, l)
	if err != nil {
		t.Fatal(err)
	}
	want := hash(t, seed, x, n, l)
	eachKernel(t, func(t *testing.T) {
		got := make([]uint64, len(want))
		s.Hash(got, x)
		if !slices.Equal(got, want) {
			t.Fatal("the hash depends on the kernel that made the seed ready")
		}
	})
}

// The output may lie over the input, and one seed serves many goroutines.
func TestInPlaceAndConcurrently(t *testing.T) {
	const n, l = 50_000, 31_000
	seed, x := input(12, n)
	s, err := NewSeed(seed, n, l)
	if err != nil {
		t.Fatal(err)
	}
	want := hash(t, seed, x, n, l)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				w := slices.Clone(x)
				s.Hash(w[:len(want)], w)
				if !slices.Equal(w[:len(want)], want) {
					t.Error("another result in place")
				}
			}
		})
	}
	wg.Wait()
}

// Scratch memory holds nothing once Hash or Product has returned, and whatever it held
// before has no effect: the tests' own memory is put where the calls borrow theirs.
func TestScratchIsErased(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range []struct{ n, l, log int }{{577, 64, 3}, {5000, 2000, 7}, {150_001, 70_000, 12}} {
			seed, x := input(3, c.n)
			s, err := NewSeed(seed, c.n, c.l)
			if err != nil {
				t.Fatal(err)
			}
			got, want := make([]uint64, (c.l+63)/64), hash(t, seed, x, c.n, c.l)
			erased(t, c.log, 1, func() { s.Hash(got, x) })
			if !slices.Equal(got, want) {
				t.Errorf("%d bits to %d: the hash depends on what scratch memory held", c.n, c.l)
			}
		}
		a, b, got := random(4, 100), random(5, 90), make([]uint64, 190)
		want := slices.Clone(got)
		Product(want, a, b)
		if erased(t, 8, 2, func() { Product(got, a, b) }); !slices.Equal(got, want) {
			t.Error("a product depends on what scratch memory held")
		}
	})
}

// erased calls f with n scratches of the test's in the pool, until it takes them all,
// and looks at what it has left in them.
func erased(t *testing.T, log, n int, f func()) {
	t.Helper()
	for range 1000 { // a pool may drop what it is given, and does so under the race detector
		mine, taken := make([]*scratch, n), 0
		before := random(7, 1<<log)
		for i := range mine {
			b := &scratch{log: log, rows: randomRows(6, 1<<log/4), lo: append(slices.Clone(before), 1)[: 1<<log : 1<<log+1], hi: random(8, 1<<log)}
			copy(b.turn[:], random(9, turned))
			mine[i] = b
			pools[log].Put(b)
		}
		f()
		for _, b := range mine {
			if slices.Equal(b.lo, before) {
				continue
			}
			taken++
			var or uint64
			for _, w := range slices.Concat(b.lo[:cap(b.lo)], b.hi, b.turn[:]) {
				or |= w
			}
			for _, r := range b.rows {
				for _, w := range r {
					or |= w
				}
			}
			if or != 0 {
				t.Fatalf("scratch memory of 2^%d points was not erased", log)
			}
		}
		if taken == n {
			return
		}
	}
	t.Fatal("the scratch memory of the test is never taken")
}

func TestInvalidShapes(t *testing.T) {
	for _, c := range []struct{ words, n, l int }{
		{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 2}, {1, 64, 65}, {1, 64, -1}, {0, -5, 1},
		{0, 64, 10}, {2, 64, 10}, {1, 66, 10}, {(MaxBits + 63) / 64, MaxBits + 1, 10},
	} {
		if _, err := NewSeed(make([]uint64, c.words), c.n, c.l); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("%d words, %d to %d: %v, want invalid", c.words, c.n, c.l, err)
		}
	}
}

func TestWrongLengthsPanic(t *testing.T) {
	s, err := NewSeed(make([]uint64, 2), 100, 50)
	if err != nil {
		t.Fatal(err)
	}
	released, err := NewSeed(make([]uint64, 2), 100, 50)
	if err != nil {
		t.Fatal(err)
	}
	released.Release()
	for name, f := range map[string]func(){
		"short output": func() { s.Hash(nil, make([]uint64, 2)) },
		"long output":  func() { s.Hash(make([]uint64, 2), make([]uint64, 2)) },
		"short input":  func() { s.Hash(make([]uint64, 1), make([]uint64, 1)) },
		"released":     func() { released.Hash(make([]uint64, 1), make([]uint64, 2)) },
		"product":      func() { Product(make([]uint64, 3), make([]uint64, 2), make([]uint64, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestUse(t *testing.T) {
	if _, err := Use("abacus"); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("unknown kernel: %v, want unsupported", err)
	}
	if !slices.Contains(Kernels(), "plain") {
		t.Errorf("no plain kernel among %q", Kernels())
	}
}
