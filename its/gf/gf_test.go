package gf

import "testing"

// mulSlow multiplies polynomials bit by bit and reduces by long division; it
// shares no step with the package.
func mulSlow(a, b byte) byte {
	var p uint32
	for i := range 8 {
		if b>>i&1 == 1 {
			p ^= uint32(a) << i
		}
	}
	for i := 15; i >= 8; i-- {
		if p>>i&1 == 1 {
			p ^= Poly << (i - 8)
		}
	}
	return byte(p)
}

func TestMulAgainstLongDivision(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			if got, want := Mul(byte(a), byte(b)), mulSlow(byte(a), byte(b)); got != want {
				t.Fatalf("Mul(%#x, %#x) = %#x, want %#x", a, b, got, want)
			}
		}
	}
}

// FIPS 197 section 4.2 multiplies in the same field: {57}·{83} = {c1},
// {57}·{13} = {fe}.
func TestMulStandardVectors(t *testing.T) {
	if got := Mul(0x57, 0x83); got != 0xc1 {
		t.Errorf("{57}·{83} = %#x, want c1", got)
	}
	if got := Mul(0x57, 0x13); got != 0xfe {
		t.Errorf("{57}·{13} = %#x, want fe", got)
	}
}

func TestInv(t *testing.T) {
	if Inv(0) != 0 {
		t.Errorf("Inv(0) = %#x, want 0", Inv(0))
	}
	for a := 1; a < 256; a++ {
		if p := mulSlow(byte(a), Inv(byte(a))); p != 1 {
			t.Fatalf("%#x · Inv = %#x, want 1", a, p)
		}
	}
}
