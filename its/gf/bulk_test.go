package gf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// buffers hands out slices that start anywhere in a word and are followed by
// guard bytes, so that writing too far shows.
type buffers struct {
	r    *rand.Rand
	seen [][]byte
}

const guard = 70

func newBuffers(seed uint64) *buffers { return &buffers{r: rand.New(rand.NewPCG(seed, 1))} }

func (b *buffers) get(n int) []byte {
	start := b.r.IntN(65)
	whole := make([]byte, start+n+guard)
	for i := range whole {
		whole[i] = byte(b.r.Uint32())
	}
	for i := range guard {
		whole[start+n+i] = byte(i) ^ 0xa5
	}
	b.seen = append(b.seen, whole)
	return whole[start : start+n : start+n]
}

func (b *buffers) check(t testing.TB) {
	t.Helper()
	for _, whole := range b.seen {
		tail := whole[len(whole)-guard:]
		for i, v := range tail {
			if v != byte(i)^0xa5 {
				t.Fatalf("a kernel wrote %d bytes beyond its output", i+1)
			}
		}
	}
}

// distinct returns n distinct elements, zero among them or not.
func (b *buffers) distinct(n int) []byte {
	out := make([]byte, n)
	for i, v := range b.r.Perm(256)[:n] {
		out[i] = byte(v)
	}
	return out
}

// checkSplit runs Split on every kernel against single elements multiplied the
// slow way.
func checkSplit(t testing.TB, seed uint64, k, n, length int) {
	t.Helper()
	b := newBuffers(seed)
	points, secret, coeff := b.distinct(n), b.get(length), b.get((k-1)*length)
	want := make([][]byte, n)
	for i, x := range points {
		want[i] = make([]byte, length)
		for p := range length {
			v := byte(0)
			for j := k - 2; j >= 0; j-- {
				v = mulSlow(v^coeff[j*length+p], x)
			}
			want[i][p] = v ^ secret[p]
		}
	}
	eachKernel(t, func(name string) {
		dst := make([][]byte, n)
		for i := range dst {
			dst[i] = b.get(length)
		}
		Split(dst, points, secret, coeff, k)
		for i := range dst {
			if !bytes.Equal(dst[i], want[i]) {
				t.Fatalf("%s: k=%d n=%d length=%d seed=%d: share %d is wrong", name, k, n, length, seed, i)
			}
		}
		b.check(t)
	})
}

// checkCombine does the same for Combine, into a slice of its own and in place.
func checkCombine(t testing.TB, seed uint64, k, length int) {
	t.Helper()
	b := newBuffers(seed)
	weights, src := make([]byte, k), make([][]byte, k)
	want := make([]byte, length)
	for i := range src {
		weights[i], src[i] = byte(b.r.Uint32()), b.get(length)
		for p := range want {
			want[p] ^= mulSlow(weights[i], src[i][p])
		}
	}
	eachKernel(t, func(name string) {
		dst := b.get(length)
		Combine(dst, weights, src)
		if !bytes.Equal(dst, want) {
			t.Fatalf("%s: k=%d length=%d seed=%d: sum is wrong", name, k, length, seed)
		}
		at := b.r.IntN(k)
		inPlace := append([][]byte(nil), src...)
		inPlace[at] = b.get(length)
		copy(inPlace[at], src[at])
		Combine(inPlace[at], weights, inPlace)
		if !bytes.Equal(inPlace[at], want) {
			t.Fatalf("%s: k=%d length=%d seed=%d: sum in place is wrong", name, k, length, seed)
		}
		b.check(t)
	})
}

// eachKernel runs f with each kernel in turn.
func eachKernel(t testing.TB, f func(name string)) {
	t.Helper()
	testkit.UnderKernels(t, Kernels(), Use, func(name string) {
		if Active() != name {
			t.Fatalf("%s is in use, want %s", Active(), name)
		}
		f(name)
	})
}

var lengths = []int{0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 127, 128, 129, 191, 255, 256, 257, 320, 511, 1000}

func TestKernelsSplit(t *testing.T) {
	for _, kn := range [][2]int{{2, 2}, {2, 3}, {2, 4}, {2, 9}, {3, 3}, {3, 5}, {4, 6}, {5, 7}, {7, 8}, {3, 17}} {
		for _, length := range lengths {
			checkSplit(t, uint64(length), kn[0], kn[1], length)
		}
	}
}

func TestKernelsCombine(t *testing.T) {
	for _, k := range []int{1, 2, 3, 4, 5, 9, 40} {
		for _, length := range lengths {
			checkCombine(t, uint64(length), k, length)
		}
	}
}

// Lengths beyond one tile.
func TestTiles(t *testing.T) {
	checkSplit(t, 1, 2, 3, tileMax+tileMin+65)
	checkSplit(t, 2, 9, 2, 2*tileMin+129)
	checkCombine(t, 3, 2, 2*tileMax+33)
	checkCombine(t, 4, 4, tileMax+1)
}

func TestTileSize(t *testing.T) {
	for k := 2; k <= 255; k++ {
		if n := tile(k); n < tileMin || n > tileMax || n%tileMin != 0 {
			t.Fatalf("tile(%d) = %d", k, n)
		}
	}
}

func TestMostSharesOfAll(t *testing.T) { checkSplit(t, 5, 255, 255, 67) }

// Every factor on every value, through every kernel.
func TestEveryProduct(t *testing.T) {
	src := make([]byte, 256)
	for i := range src {
		src[i] = byte(i)
	}
	eachKernel(t, func(name string) {
		dst := make([]byte, 256)
		for w := range 256 {
			Combine(dst, []byte{byte(w), 0}, [][]byte{src, src})
			for a, got := range dst {
				if want := mulSlow(byte(w), byte(a)); got != want {
					t.Fatalf("%s: %#x·%#x = %#x, want %#x", name, w, a, got, want)
				}
			}
		}
	})
}

func TestUse(t *testing.T) {
	names := Kernels()
	if names[len(names)-1] != "plain" || Active() != names[0] {
		t.Fatalf("kernels %v, active %s", names, Active())
	}
	if _, err := Use("abacus"); err == nil {
		t.Fatal("a kernel that does not exist was accepted")
	}
	restore, err := Use("plain")
	if err != nil || Active() != "plain" {
		t.Fatalf("%s in use, %v", Active(), err)
	}
	restore()
	if Active() != names[0] {
		t.Fatalf("%s in use after restore", Active())
	}
}

func TestWrongLengthsPanic(t *testing.T) {
	ten, nine := make([]byte, 10), make([]byte, 9)
	for name, f := range map[string]func(){
		"k":        func() { Split([][]byte{ten}, []byte{1}, ten, nil, 1) },
		"coeff":    func() { Split([][]byte{ten}, []byte{1}, ten, nine, 2) },
		"points":   func() { Split([][]byte{ten}, []byte{1, 2}, ten, ten, 2) },
		"share":    func() { Split([][]byte{nine}, []byte{1}, ten, ten, 2) },
		"weights":  func() { Combine(ten, []byte{1}, [][]byte{ten, ten}) },
		"no input": func() { Combine(ten, nil, nil) },
		"input":    func() { Combine(ten, []byte{1}, [][]byte{nine}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			f()
		})
	}
}

func TestNoAllocation(t *testing.T) {
	secret, coeff, points := make([]byte, 100), make([]byte, 100), []byte{1, 2, 3}
	a, b, c := make([]byte, 100), make([]byte, 100), make([]byte, 100)
	if n := testing.AllocsPerRun(10, func() {
		Split([][]byte{a, b, c}, points, secret, coeff, 2)
		Combine(secret, points[:2], [][]byte{a, b})
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzKernels(f *testing.F) {
	for i, length := range lengths {
		f.Add(uint64(i), uint8(i), uint8(2*i), uint16(length))
	}
	f.Fuzz(func(t *testing.T, seed uint64, k, n uint8, length uint16) {
		kk, nn := 2+int(k)%12, 1+int(n)%20
		checkSplit(t, seed, kk, nn, int(length)%3000)
		checkCombine(t, seed, 1+int(k)%12, int(length)%3000)
	})
}

func ExampleCombine() {
	secret, coeff := []byte("attack at dawn"), []byte("any 14 bytes..")
	shares := [][]byte{make([]byte, 14), make([]byte, 14)}
	Split(shares, []byte{1, 2}, secret, coeff, 2)
	back := make([]byte, 14)
	// The weights of points 1 and 2 at 0 are 2/(1+2) and 1/(1+2).
	third := Inv(3)
	Combine(back, []byte{Mul(2, third), third}, shares)
	fmt.Println(string(back))
	// Output: attack at dawn
}
