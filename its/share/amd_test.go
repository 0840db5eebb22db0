package share

import (
	"bytes"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/gf"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

func TestAMDRoundTrip(t *testing.T) {
	for n := range 200 {
		msg := noise(uint64(n), n)
		code := EncodeAMD(msg, [16]byte(noise(uint64(n)+1, 16)))
		if len(code) != AMDSize(n) || len(code) < n+33 || len(code) > n+64 || len(code)/16%2 == 0 {
			t.Fatalf("%d bytes became %d", n, len(code))
		}
		got, err := DecodeAMD(code)
		if err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes do not come back: %v", n, err)
		}
	}
}

// The check by its formula, powers one by one: d = 3.
func TestAMDFormula(t *testing.T) {
	r := [16]byte(noise(3, 16))
	code := EncodeAMD(noise(4, 40), r)
	power, sum := r, [16]byte{}
	add := func(term [16]byte) {
		for i := range sum {
			sum[i] ^= term[i]
		}
	}
	for i := range 3 {
		add(uhash.Mul([16]byte(code[16*i:]), power))
		power = uhash.Mul(power, r)
	}
	add(uhash.Mul(power, r)) // r^(3+2)
	if !bytes.Equal(code[64:], sum[:]) || !bytes.Equal(code[48:64], r[:]) {
		t.Fatal("the code is not s, r, r^5 + Σ s_i·r^i")
	}
}

// Errors added to one share, of every bit, are found after recombination.
func TestAMDFindsATamperedShare(t *testing.T) {
	code := EncodeAMD([]byte("a record"), [16]byte(noise(9, 16)))
	shares := split(t, 2, Points(3), code, 10)
	for bit := range len(code) * 8 {
		shares[1][bit/8] ^= 1 << (bit % 8)
		_, err := DecodeAMD(interpolate(t, []byte{1, 2}, shares[:2], 0))
		wantError(t, err, qsc.Tampered, "altered")
		shares[1][bit/8] ^= 1 << (bit % 8)
	}
	msg, err := DecodeAMD(interpolate(t, []byte{1, 2}, shares[:2], 0))
	if err != nil || string(msg) != "a record" {
		t.Fatalf("untouched shares: %v", err)
	}
}

// In a field small enough to try every r, the share of r that lets an error
// pass never exceeds d+1: the bound's argument, with d = 3 over GF(2^8).
func TestAMDBoundInASmallField(t *testing.T) {
	const d = 3
	eval := func(s [d]byte, r byte) byte {
		acc := r
		for i := d - 1; i >= 0; i-- {
			acc = gf.Mul(acc, r) ^ s[i]
		}
		return gf.Mul(acc, r)
	}
	worst := 0
	for trial := range 3000 {
		b := noise(uint64(trial)+100, 8)
		s, ds := [d]byte(b), [d]byte(b[3:])
		dr, dt := b[6], b[7]
		switch trial % 3 {
		case 0:
			dr = 0
		case 1:
			ds = [d]byte{}
		}
		if dr == 0 && ds == [d]byte{} {
			continue
		}
		bad := [d]byte{s[0] ^ ds[0], s[1] ^ ds[1], s[2] ^ ds[2]}
		pass := 0
		for r := range 256 {
			if eval(bad, byte(r)^dr) == eval(s, byte(r))^dt {
				pass++
			}
		}
		worst = max(worst, pass)
	}
	if worst > d+1 || worst == 0 {
		t.Fatalf("an error passes for %d values of r of 256, the bound is 1 to %d", worst, d+1)
	}
}

func TestAMDRefusesOtherCodes(t *testing.T) {
	for _, n := range []int{0, 1, 16, 32, 47, 49, 64, 96} {
		_, err := DecodeAMD(make([]byte, n))
		wantError(t, err, qsc.Tampered, "cannot be an AMD code")
	}
	// A right check over blocks that EncodeAMD never makes.
	for name, s := range map[string][]byte{
		"no mark":          make([]byte, 16),
		"wrong mark":       append(make([]byte, 15), 0x81),
		"too much padding": append([]byte{0x80}, make([]byte, 47)...),
	} {
		r := [16]byte(noise(30, 16))
		tag := amdTag(s, r)
		_, err := DecodeAMD(append(append(bytes.Clone(s), r[:]...), tag[:]...))
		if !qsc.IsKind(err, qsc.Tampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeAMD(f *testing.F) {
	f.Add(EncodeAMD(nil, [16]byte{}))
	f.Add(EncodeAMD([]byte("seed"), [16]byte{1, 2, 3}))
	f.Add(make([]byte, 48))
	f.Fuzz(func(t *testing.T, code []byte) {
		msg, err := DecodeAMD(code)
		if err != nil {
			if !qsc.IsKind(err, qsc.Tampered) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		r := [16]byte(code[len(code)-32:])
		if !bytes.Equal(EncodeAMD(msg, r), code) {
			t.Fatal("a code that decodes is not the one its message encodes to")
		}
	})
}
