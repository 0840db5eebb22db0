package share

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/quantum-secure-cloud/qsc"
)

// dealing is a random sharing.
type dealing struct {
	k      int
	points []byte
	secret []byte
	shares [][]byte
}

func drawDealing(t *rapid.T) dealing {
	n := rapid.IntRange(2, 20).Draw(t, "n")
	d := dealing{
		k:      rapid.IntRange(2, n).Draw(t, "k"),
		points: rapid.SliceOfNDistinct(rapid.ByteRange(1, 255), n, n, rapid.ID[byte]).Draw(t, "points"),
		secret: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "secret"),
	}
	d.shares = dealWith(t, d, d.secret, "coeff")
	return d
}

// dealWith shares secret as d does, with coefficients of its own.
func dealWith(t *rapid.T, d dealing, secret []byte, label string) [][]byte {
	need := (d.k - 1) * len(secret)
	coeff := rapid.SliceOfN(rapid.Byte(), need, need).Draw(t, label)
	s, err := NewSplitter(d.k, d.points)
	if err != nil {
		t.Fatal(err)
	}
	shares := slices(len(d.points), len(secret))
	if err := s.Split(secret, coeff, shares); err != nil {
		t.Fatal(err)
	}
	return shares
}

// choose draws k of the shares, in any order.
func (d dealing) choose(t *rapid.T) (idx []int) {
	all := make([]int, len(d.points))
	for i := range all {
		all[i] = i
	}
	return rapid.Permutation(all).Draw(t, "order")[:d.k]
}

func combineAt(t *rapid.T, points []byte, shares [][]byte, at byte) []byte {
	c, err := NewCombiner(points, at)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(shares[0]))
	if err := c.Combine(out, shares); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnyKSharesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDealing(t)
		idx := d.choose(t)
		xs, have := pick(d.points, idx), pick(d.shares, idx)
		if !bytes.Equal(combineAt(t, xs, have, 0), d.secret) {
			t.Fatal("the secret did not come back")
		}
		for i, x := range d.points {
			if !bytes.Equal(combineAt(t, xs, have, x), d.shares[i]) {
				t.Fatal("a lost share did not come back")
			}
		}
	})
}

// The sum of shares is a share of the sum: what refresh, redistribution and
// computing on shares rest on.
func TestSharesAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDealing(t)
		other := rapid.SliceOfN(rapid.Byte(), len(d.secret), len(d.secret)).Draw(t, "other")
		shares := dealWith(t, d, other, "coeff of other")
		for i := range shares {
			for p := range shares[i] {
				shares[i][p] ^= d.shares[i][p]
			}
		}
		idx := d.choose(t)
		got := combineAt(t, pick(d.points, idx), pick(shares, idx), 0)
		for p := range got {
			got[p] ^= other[p]
		}
		if !bytes.Equal(got, d.secret) {
			t.Fatal("the sum of the shares is no share of the sum")
		}
	})
}

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint8Range(2, 255).Draw(t, "n")
		h := Header{
			Scheme: Shamir, Field: GF256, N: n,
			K:       rapid.Uint8Range(2, n).Draw(t, "k"),
			Point:   rapid.Uint8Range(1, 255).Draw(t, "point"),
			Class:   qsc.Class(rapid.Uint8().Draw(t, "class")),
			Kind:    Content(rapid.Uint8Range(0, 1).Draw(t, "kind")),
			Object:  qsc.ObjectID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "object")),
			Version: rapid.Uint64().Draw(t, "version"),
			Chunk:   rapid.Uint32().Draw(t, "chunk"),
			Length:  rapid.Uint32Range(0, MaxPayload).Draw(t, "length"),
		}
		b := make([]byte, HeaderSize)
		h.Put(b)
		back, err := ParseHeader(b)
		if err != nil || back != h {
			t.Fatalf("%+v became %+v: %v", h, back, err)
		}
	})
}

func TestAMDProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		msg := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "msg")
		r := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "r"))
		code := EncodeAMD(msg, r)
		got, err := DecodeAMD(code)
		if err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes do not come back: %v", len(msg), err)
		}
	})
}
