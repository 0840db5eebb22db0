package uhash

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"
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

func TestTagAgainstDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 80 {
		r, mask := [16]byte(random(rng, 16)), [16]byte(random(rng, 16))
		header, body := random(rng, rng.IntN(40)), random(rng, n)
		if got, want := NewKey(r).Tag(&mask, header, body), refTag(r, mask, header, body); got != want {
			t.Fatalf("header %d body %d: %x, want %x", len(header), n, got, want)
		}
	}
}
