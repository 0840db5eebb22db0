package uhash

import (
	"encoding/hex"
	"math/bits"
	"testing"
)

// The published vectors below are of hashes over the same field in other bit
// orders. GHASH calls the most significant bit of a byte what we call the least:
// reversing the bits of every byte maps one to the other. POLYVAL is GHASH with
// the bytes reversed and the point multiplied by x (RFC 8452 Appendix A). Both
// are bare sums: their length blocks are their own, so they are fed as blocks.

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bitReversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i, v := range b {
		r[i] = bits.Reverse8(v)
	}
	return r
}

func byteReversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i, v := range b {
		r[len(b)-1-i] = v
	}
	return r
}

// ghash is GHASH through our kernels.
func ghash(point, msg []byte) []byte {
	var h elem
	blocks(NewKey([16]byte(bitReversed(point))), &h, bitReversed(msg))
	sum := h.bytes()
	return bitReversed(sum[:])
}

// The GHASH values of test cases 2, 3 and 4 of the GCM specification.
var ghashVectors = []struct{ point, aad, text, lengths, want string }{
	{"66e94bd4ef8a2c3b884cfa59ca342b2e", "", "0388dace60b6a392f328c2b971b2fe78",
		"00000000000000000000000000000080", "f38cbb1ad69223dcc3457ae5b6b0f885"},
	{"b83b533708bf535d0aa6e52980d53b78", "",
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" +
			"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
		"00000000000000000000000000000200", "7f1b32b81b820d02614f8895ac1d4eac"},
	{"b83b533708bf535d0aa6e52980d53b78",
		"feedfacedeadbeeffeedfacedeadbeefabaddad2000000000000000000000000",
		"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" +
			"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e09100000000",
		"00000000000000a000000000000001e0", "698e57f70e6ecc7fd9463b7260a9ae5f"},
}

func TestGHASHVectors(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for i, v := range ghashVectors {
			got := ghash(unhex(t, v.point), unhex(t, v.aad+v.text+v.lengths))
			if hex.EncodeToString(got) != v.want {
				t.Errorf("GCM test case %d: %x, want %s", i+2, got, v.want)
			}
		}
	})
}

func TestPOLYVALVector(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		h := bitReversed(byteReversed(unhex(t, "25629347589242761d31f826ba4b757b")))
		point := Mul([16]byte(h), [16]byte{2}) // times x
		msg := append(byteReversed(unhex(t, "4f4f95668c83dfb6401762bb2d01a262")),
			byteReversed(unhex(t, "d1a24ddd2721d006bbe45f20d3c9f362"))...)
		got := byteReversed(ghash(bitReversed(point[:]), msg))
		if want := "f7a3b47b846119fae5b7866cf5e5b77e"; hex.EncodeToString(got) != want {
			t.Errorf("%x, want %s", got, want)
		}
	})
}

// TestTagVectors pins the padding, the length block and the order of everything:
// with r = 1 the hash is the plain sum of the blocks, with r = x each block is
// doubled once more than the next.
func TestTagVectors(t *testing.T) {
	for _, v := range []struct {
		r            [16]byte
		header, text string
		want         string
	}{
		{[16]byte{1}, "", "", "00000000000000000000000000000000"},
		{[16]byte{1}, "a", "", "60000000000000000000000000000000"}, // 61 xor 01
		{[16]byte{1}, "a", "b", "02000000000000000100000000000000"},
		{[16]byte{1}, "", "a", "61000000000000000100000000000000"},
		{[16]byte{2}, "", "a", "84010000000000000200000000000000"},  // 61*4, 01*2
		{[16]byte{2}, "a", "", "86010000000000000000000000000000"},  // 61*4 xor 01*2
		{[16]byte{2}, "a", "b", "82020000000000000200000000000000"}, // 61*8 xor 62*4 xor 01*2
	} {
		mask := [16]byte{}
		got := NewKey(v.r).Tag(&mask, []byte(v.header), []byte(v.text))
		if hex.EncodeToString(got[:]) != v.want {
			t.Errorf("r=%d %q %q: %x, want %s", v.r[0], v.header, v.text, got, v.want)
		}
	}
}
