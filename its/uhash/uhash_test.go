package uhash

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc/internal/testkit"
)

// polyMod reduces a polynomial held as an integer, bit by bit.
func polyMod(p *big.Int) *big.Int {
	mod := new(big.Int).SetBit(big.NewInt(0x87), 128, 1)
	for p.BitLen() > 128 {
		p.Xor(p, new(big.Int).Lsh(mod, uint(p.BitLen()-129)))
	}
	return p
}

func polyMul(a, b *big.Int) *big.Int {
	p := new(big.Int)
	for i := range b.BitLen() {
		if b.Bit(i) == 1 {
			p.Xor(p, new(big.Int).Lsh(a, uint(i)))
		}
	}
	return polyMod(p)
}

func toPoly(b []byte) *big.Int {
	r := bytes.Clone(b)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return new(big.Int).SetBytes(r)
}

func fromPoly(p *big.Int) (b [16]byte) {
	p.FillBytes(b[:])
	for i, j := 0, 15; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b
}

// refTag is the definition: the sum of b_i r^(m-i+1), by explicit powers.
func refTag(r, mask [16]byte, header, body []byte) [16]byte {
	pad := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, -len(b)&15)...) }
	msg := append(pad(header), pad(body)...)
	msg = binary.LittleEndian.AppendUint64(msg, uint64(len(header)))
	msg = binary.LittleEndian.AppendUint64(msg, uint64(len(body)))
	sum, rp, pow := new(big.Int), toPoly(r[:]), big.NewInt(1)
	for i := len(msg) - 16; i >= 0; i -= 16 {
		pow = polyMul(pow, rp)
		sum.Xor(sum, polyMul(toPoly(msg[i:i+16]), pow))
	}
	return fromPoly(sum.Xor(sum, toPoly(mask[:])))
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// refMul is multiplication by shift and add, bit by bit.
func refMul(a, b elem) (c elem) {
	for i := range 128 {
		word := b.lo
		if i >= 64 {
			word = b.hi
		}
		if word>>(i%64)&1 == 1 {
			c.lo ^= a.lo
			c.hi ^= a.hi
		}
		over := a.hi >> 63
		a = elem{a.lo<<1 ^ over*0x87, a.hi<<1 | a.lo>>63}
	}
	return c
}

// refHorner is the hash of whole blocks, bit by bit.
func refHorner(r, h elem, p []byte) elem {
	for ; len(p) > 0; p = p[16:] {
		b := load(p)
		h = refMul(elem{h.lo ^ b.lo, h.hi ^ b.hi}, r)
	}
	return h
}

// eachKernel runs f as a subtest under every kernel of this machine.
func eachKernel(t *testing.T, f func(t *testing.T)) { testkit.EachKernel(t, Kernels(), Use, f) }

// No branch and no address of the assembly depends on data.
func TestAssemblyIsOblivious(t *testing.T) { testkit.Oblivious(t, "kernel_amd64.s") }

func TestTagAgainstDefinition(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := range 70 {
			r, mask := [16]byte(random(rng, 16)), [16]byte(random(rng, 16))
			header, body := random(rng, rng.IntN(40)), random(rng, n)
			if got, want := NewKey(r).Tag(&mask, header, body), refTag(r, mask, header, body); got != want {
				t.Fatalf("header %d body %d: %x, want %x", len(header), n, got, want)
			}
		}
	})
}

// TestBlocks compares every group and tail length of every kernel, with keys
// prepared for short and for long messages, with Horner's rule bit by bit.
func TestBlocks(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 9))
		msg := random(rng, 16*(3*maxPow+5))
		for _, hint := range []int{0, 65, 600, 4096} {
			r, h0 := [16]byte(random(rng, 16)), load(random(rng, 16))
			var k Key
			k.ResetFor(&r, hint)
			for n := 0; n <= len(msg); n += 16 {
				h := h0
				blocks(&k, &h, msg[:n])
				if n%(16*7) == 0 && h != refHorner(load(r[:]), h0, msg[:n]) {
					t.Fatalf("%d powers, %d blocks: wrong", k.n, n/16)
				}
				want := h0
				blocksPlain(&k, &want, msg[:n])
				if h != want {
					t.Fatalf("%d powers, %d blocks: differs from plain", k.n, n/16)
				}
			}
		}
	})
}

func TestExpand(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		k := NewKey([16]byte{3, 0xff, 15: 0x91})
		want := elem{1, 0}
		for i := 1; i <= k.n; i++ {
			if want = refMul(want, k.pow[maxPow-1]); k.pow[maxPow-i] != want {
				t.Fatalf("power %d of %d is wrong", i, k.n)
			}
		}
	})
}

func TestKeySurvivesChangeOfKernel(t *testing.T) {
	body := random(rand.New(rand.NewPCG(4, 4)), 5000)
	mask, want := [16]byte{}, [16]byte{}
	for _, from := range Kernels() {
		restore, _ := Use(from)
		k := NewKey([16]byte{1, 2, 3, 15: 200})
		restore()
		for _, to := range Kernels() {
			restore, _ := Use(to)
			got := k.Tag(&mask, nil, body)
			restore()
			if want == mask {
				want = got
			}
			if got != want {
				t.Errorf("key made under %s, used under %s: another tag", from, to)
			}
		}
	}
}

func TestMul(t *testing.T) {
	ones := [16]byte(bytes.Repeat([]byte{0xff}, 16))
	eachKernel(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for i := range 300 {
			a, b := [16]byte(random(rng, 16)), [16]byte(random(rng, 16))
			switch i {
			case 0:
				a, b = ones, ones
			case 1:
				a = ones
			case 2:
				b = [16]byte{1}
			case 3:
				a = [16]byte{}
			}
			want := fromPoly(polyMul(toPoly(a[:]), toPoly(b[:])))
			if got := Mul(a, b); got != want || Mul(b, a) != want {
				t.Fatalf("%x * %x = %x, want %x", a, b, got, want)
			}
		}
	})
}
