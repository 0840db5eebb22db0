package ldpc

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

// shapes are codes of every lift, with and without a short last row and block,
// with and without leaves.
var shapes = [][2]int{{256, 6}, {256, 250}, {1000, 333}, {4096, 700}, {4097, 3900}, {16384, 2800}, {40000, 20001}, {65536, 64000}, {131072, 26215}}

func code(t testing.TB, n, m int) *Code {
	t.Helper()
	c, err := NewCode(n, m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// neighbours lists the variables of each check, from the definition of a row.
func neighbours(c *Code) [][]int {
	list := make([][]int, c.m)
	for r, row := range c.rows {
		for j := range row.checks {
			for _, e := range row.edges {
				if v := e.col*c.z + (j+e.shift)%c.z; v < c.n {
					list[r*c.z+j] = append(list[r*c.z+j], v)
				}
			}
		}
	}
	return list
}

func randomWords(rng *rand.Rand, n int) []uint64 {
	w := make([]uint64, (n+63)/64)
	for i := range w {
		w[i] = rng.Uint64()
	}
	if n%64 != 0 {
		w[n/64] &= 1<<(n%64) - 1
	}
	return w
}

func TestSyndromeIsTheParitiesOfTheGraph(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, s := range shapes {
		c := code(t, s[0], s[1])
		x := randomWords(rng, c.N())
		got := make([]uint64, (c.M()+63)/64)
		c.Syndrome(got, x)
		want := make([]uint64, len(got))
		for i, list := range neighbours(c) {
			for _, v := range list {
				want[i/64] ^= x[v/64] >> (v % 64) & 1 << (i % 64)
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v: word %d of the syndrome differs", s, i)
			}
		}
	}
}

func TestSyndromeIsLinear(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, s := range shapes {
		c := code(t, s[0], s[1])
		x, y := randomWords(rng, c.N()), randomWords(rng, c.N())
		sx, sy, sum := make([]uint64, (c.M()+63)/64), make([]uint64, (c.M()+63)/64), make([]uint64, (c.M()+63)/64)
		c.Syndrome(sx, x)
		c.Syndrome(sy, y)
		for i := range x {
			x[i] ^= y[i]
		}
		c.Syndrome(sum, x)
		for i := range sum {
			if sum[i] != sx[i]^sy[i] {
				t.Fatalf("%v: the syndrome of a sum is not the sum of the syndromes", s)
			}
		}
	}
}

func TestNoShortCyclesThroughLowDegrees(t *testing.T) {
	for _, s := range [][2]int{{1000, 333}, {4096, 700}, {4097, 3900}, {8192, 4000}} {
		c := code(t, s[0], s[1])
		checks := make([][]int32, c.n)
		for i, list := range neighbours(c) {
			for _, v := range list {
				checks[v] = append(checks[v], int32(i))
			}
		}
		seen, fours, leaves := map[[2]int32]bool{}, 0, 0
		for v, list := range checks {
			if len(list) == 0 {
				t.Fatalf("%v: variable %d is in no check", s, v)
			}
			if len(list) == 1 {
				leaves++
			}
			if len(list) > 3 {
				continue
			}
			for i := range list {
				for j := range i {
					p := [2]int32{list[j], list[i]}
					if seen[p] {
						fours++
					}
					seen[p] = true
				}
			}
		}
		if fours > 0 {
			t.Errorf("%v: %d cycles of four through variables of degree 2 and 3 alone", s, fours)
		}
		if p := plan(c.cols, c.m/c.z, c.n, c.m); leaves > (p.leaves+1)*c.z {
			t.Errorf("%v: %d variables of degree 1, the plan has %d", s, leaves, p.leaves*c.z)
		}
	}
}

// The graphs themselves must not change: ends of different versions would not
// understand each other.
func TestCodesStayTheSame(t *testing.T) {
	want := map[[2]int]string{{256, 6}: "69296eb20c4a2785", {4096, 700}: "3f760f9de33e375c", {16384, 13107}: "7dc1afd414caf503", {65536, 64000}: "48f4d25eb6d4dbc"}
	for s, w := range want {
		c := code(t, s[0], s[1])
		h := fnv.New64a()
		for _, r := range c.rows {
			for _, e := range r.edges {
				_ = binary.Write(h, binary.BigEndian, [2]uint32{uint32(e.col), uint32(e.shift)})
			}
		}
		if got := fmt.Sprintf("%x", h.Sum64()); got != w {
			t.Errorf("code %v has digest %s, was %s: give changed codes another name on the wire", s, got, w)
		}
	}
}

func TestNewCodeRefusesShapes(t *testing.T) {
	for _, s := range [][2]int{{0, 0}, {255, 100}, {1 << 21, 1 << 20}, {1024, 20}, {1024, 1005}, {1024, -5}} {
		if _, err := NewCode(s[0], s[1]); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("NewCode%v: %v", s, err)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	first := code(t, 256, 100)
	if code(t, 256, 100) != first {
		t.Error("a code was made twice")
	}
	for m := 101; m < 101+cacheSize; m++ {
		code(t, 256, m)
	}
	if len(cache.codes) > cacheSize || len(cache.order) != len(cache.codes) {
		t.Errorf("%d codes kept, %d in order", len(cache.codes), len(cache.order))
	}
	if again := code(t, 256, 100); again == first {
		t.Error("the oldest code was not let go")
	}
}
