package uhash

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestStreamEqualsTag(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		k, mask := NewKey([16]byte(random(rng, 16))), [16]byte(random(rng, 16))
		for range 200 {
			header, body := random(rng, rng.IntN(40)), random(rng, rng.IntN(5000))
			var h Hash
			h.Init(k, header)
			for p := body; len(p) > 0; {
				c := 1 + rng.IntN(min(len(p), 1+rng.IntN(2000)))
				h.Write(p[:c])
				p = p[c:]
			}
			if h.Tag(&mask) != k.Tag(&mask, header, body) {
				t.Fatalf("header %d body %d: the stream gives another tag", len(header), len(body))
			}
		}
	})
}

// TestEncodingIsInjective tries what a padded encoding gets wrong first.
func TestEncodingIsInjective(t *testing.T) {
	z := make([]byte, 64)
	k, mask := NewKey([16]byte{7, 7, 7, 9: 1}), [16]byte{}
	seen := map[[16]byte]string{}
	for i := range 40 {
		for j := range 40 {
			tag, name := k.Tag(&mask, z[:i], z[:j]), fmt.Sprintf("%d+%d zeros", i, j)
			if other, ok := seen[tag]; ok {
				t.Fatalf("%s and %s have one tag", name, other)
			}
			seen[tag] = name
		}
	}
}

func TestVerifyRefusesEveryFlip(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	k, mask := NewKey([16]byte(random(rng, 16))), [16]byte(random(rng, 16))
	header, body := random(rng, 24), random(rng, 50)
	tag := k.Tag(&mask, header, body)
	if !k.Verify(&mask, header, body, tag) {
		t.Fatal("the true tag is refused")
	}
	for _, b := range [][]byte{header, body, tag[:], mask[:]} {
		for i := range 8 * len(b) {
			b[i/8] ^= 1 << (i % 8)
			if k.Verify(&mask, header, body, tag) {
				t.Fatalf("bit %d of %d bytes flipped and accepted", i, len(b))
			}
			b[i/8] ^= 1 << (i % 8)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r, mask, header, body := [16]byte{1}, [16]byte{2}, make([]byte, 24), make([]byte, 5000)
	eachKernel(t, func(t *testing.T) {
		n := testing.AllocsPerRun(20, func() {
			var k Key
			k.ResetFor(&r, len(body))
			h := k.Start(header)
			h.Write(body)
			h.Tag(&mask)
			k.Zeroise()
		})
		if n != 0 {
			t.Errorf("a stream under a key on the stack: %v allocations", n)
		}
		k := NewKey(r)
		n = testing.AllocsPerRun(20, func() {
			k.Reset(&r)
			k.Verify(&mask, header, body, k.Tag(&mask, header, body))
		})
		if n != 0 {
			t.Errorf("Reset, Tag and Verify: %v allocations", n)
		}
	})
}

func TestKeyHasNoPrintableForm(t *testing.T) {
	k := NewKey([16]byte(bytes.Repeat([]byte{0xab}, 16)))
	var h Hash
	h.Init(k, nil)
	var log strings.Builder
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey { // its digits may be any
			return slog.Attr{}
		}
		return a
	}
	slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: noTime})).Info("x", "k", k, "h", &h)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %x %s", k, k, k, k, k), fmt.Sprintf("%v %x", &h, &h), log.String()} {
		if !strings.Contains(s, "[secret]") || strings.Contains(s, "ab") || strings.Contains(s, "171") {
			t.Errorf("printed: %d characters that are not only [secret]", len(s))
		}
	}
}

func TestZeroise(t *testing.T) {
	k := NewKey([16]byte{1, 2, 3})
	k.Zeroise()
	if k.pow != [maxPow]elem{} {
		t.Error("powers are left")
	}
}

func TestUseUnknownKernel(t *testing.T) {
	if _, err := Use("abacus"); !qsc.IsKind(err, qsc.Unsupported) {
		t.Errorf("got %v", err)
	}
}

// FuzzKernels compares every kernel with the bit-by-bit reference.
func FuzzKernels(f *testing.F) {
	f.Add([]byte("key"), []byte("mask"), []byte("header"), []byte("body"), 3, 100)
	f.Add(bytes.Repeat([]byte{0xff}, 16), []byte{}, []byte{}, make([]byte, 3000), 1024, 5000)
	f.Add([]byte{1}, []byte{}, make([]byte, 24), bytes.Repeat([]byte{0x80}, 1041), 17, 0)
	f.Fuzz(func(t *testing.T, r, m, header, body []byte, cut, hint int) {
		var point, mask [16]byte
		copy(point[:], r)
		copy(mask[:], m)
		want := mask
		msg := append(append(bytes.Clone(header), make([]byte, -len(header)&15)...), body...)
		msg = append(msg, make([]byte, -len(body)&15)...)
		l := elem{uint64(len(header)), uint64(len(body))}.bytes()
		ref := refHorner(load(point[:]), elem{}, append(msg, l[:]...)).bytes()
		for i := range want {
			want[i] ^= ref[i]
		}
		cut = min(max(cut, 0), len(body))
		for _, name := range Kernels() {
			restore, err := Use(name)
			if err != nil {
				t.Fatal(err)
			}
			var k Key
			k.ResetFor(&point, hint)
			var h Hash
			h.Init(&k, header)
			h.Write(body[:cut])
			h.Write(body[cut:])
			if got := h.Tag(&mask); got != want {
				t.Errorf("%s: header %d, body %d cut at %d, hint %d: wrong tag", name, len(header), len(body), cut, hint)
			}
			restore()
		}
	})
}
