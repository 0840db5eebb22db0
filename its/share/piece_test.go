package share

import (
	"bytes"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// goodHeader is a header with every field set to something of its own.
func goodHeader() Header {
	return Header{
		Scheme: Shamir, Field: GF256, K: 2, N: 3, Point: 2, Class: qsc.OSRandom,
		Kind: Metadata, Object: qsc.ObjectID(noise(5, 16)),
		Version: 0x0102030405060708, Chunk: 0x11121314, Length: 20,
	}
}

// goodPiece is a sealed piece with its key and mask.
func goodPiece(t testing.TB) (piece []byte, key *uhash.Key, mask *[16]byte) {
	t.Helper()
	h := goodHeader()
	piece = noise(6, PieceSize(int(h.N), int(h.Length)))
	h.Put(piece)
	key = uhash.NewKey([16]byte(noise(7, 16)))
	m := [16]byte(noise(8, 16))
	if err := SealPiece(piece, key, &m); err != nil {
		t.Fatal(err)
	}
	return piece, key, &m
}

// The bytes of the header, as docs/design/share.md has them.
func TestHeaderBytes(t *testing.T) {
	h := goodHeader()
	h.Object = qsc.ObjectID([]byte("0123456789abcdef"))
	want := "QSCS" + "\x01\x01\x01\x02\x03\x02\x01\x01" + "0123456789abcdef" +
		"\x01\x02\x03\x04\x05\x06\x07\x08" + "\x11\x12\x13\x14" + "\x00\x00\x00\x14" +
		string(make([]byte, 20))
	got := bytes.Repeat([]byte{0xff}, HeaderSize+1)
	h.Put(got)
	if string(got[:HeaderSize]) != want {
		t.Fatalf("header is\n%x, want\n%x", got[:HeaderSize], want)
	}
	if got[HeaderSize] != 0xff {
		t.Fatal("Put wrote beyond the header")
	}
	back, err := ParseHeader(got)
	if err != nil || back != h {
		t.Fatalf("read back %+v, %v; want %+v", back, err, h)
	}
}

func TestHeaderRefusals(t *testing.T) {
	for _, c := range []struct {
		at   int
		to   byte
		want string
	}{
		{0, 'X', "magic"}, {3, 0, "magic"}, {4, 0, "format version 0"}, {4, 2, "format version 2"},
		{5, 0, "scheme 0"}, {5, 2, "scheme 2"}, {6, 0, "field 0"}, {6, 9, "field 9"},
		{7, 0, "k=0"}, {7, 1, "k=1"}, {7, 4, "exceeds n=3"}, {8, 1, "exceeds n=1"}, {8, 0, "exceeds n=0"},
		{9, 0, "point is 0"}, {11, 2, "content kind 2"}, {40, 0x40, "payload length"},
		{44, 1, "reserved byte 44"}, {63, 0x80, "reserved byte 63"},
	} {
		b := make([]byte, HeaderSize)
		goodHeader().Put(b)
		b[c.at] = c.to
		_, err := ParseHeader(b)
		wantError(t, err, qsc.Corrupt, c.want)
		_, err = ParsePiece(b)
		wantError(t, err, qsc.Corrupt, c.want)
	}
	for n := range HeaderSize {
		_, err := ParseHeader(make([]byte, n))
		wantError(t, err, qsc.Corrupt, "cut short")
	}
}

func TestPieceLengths(t *testing.T) {
	piece, key, mask := goodPiece(t)
	if want := 64 + 20 + 3*16 + 16; len(piece) != want {
		t.Fatalf("piece of %d bytes, want %d", len(piece), want)
	}
	for n := HeaderSize; n < len(piece); n++ {
		wantError(t, VerifyPiece(piece[:n], key, mask), qsc.Corrupt, "cut short")
		wantError(t, SealPiece(piece[:n], key, mask), qsc.Corrupt, "cut short")
	}
	wantError(t, VerifyPiece(append(piece, 0), key, mask), qsc.Corrupt, "too long")
}

func TestPieceViews(t *testing.T) {
	piece, _, _ := goodPiece(t)
	p, err := ParsePiece(piece)
	if err != nil {
		t.Fatal(err)
	}
	if &p.Payload[0] != &piece[64] || len(p.Payload) != 20 || cap(p.Payload) != 20 {
		t.Error("payload is not the view it should be")
	}
	if &p.MaskShares[0] != &piece[84] || len(p.MaskShares) != 48 || cap(p.MaskShares) != 48 {
		t.Error("mask shares are not the view they should be")
	}
	if !bytes.Equal(p.Tag[:], piece[132:]) {
		t.Error("tag is not the last 16 bytes")
	}
}

// Every bit of the piece is under the tag, and so is the key and the mask.
func TestAnyFlippedBitIsFound(t *testing.T) {
	piece, key, mask := goodPiece(t)
	if err := VerifyPiece(piece, key, mask); err != nil {
		t.Fatal(err)
	}
	for bit := range len(piece) * 8 {
		piece[bit/8] ^= 1 << (bit % 8)
		err := VerifyPiece(piece, key, mask)
		if !qsc.IsKind(err, qsc.Tampered) && !qsc.IsKind(err, qsc.Corrupt) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
		if bit/8 >= HeaderSize {
			wantError(t, err, qsc.Tampered, "chunk 286397204 share 2")
		}
		piece[bit/8] ^= 1 << (bit % 8)
	}
	mask[3] ^= 4
	wantError(t, VerifyPiece(piece, key, mask), qsc.Tampered, "does not fit")
	mask[3] ^= 4
	wantError(t, VerifyPiece(piece, uhash.NewKey([16]byte{1}), mask), qsc.Tampered, "does not fit")
}

// A whole chunk's life: masks are shared beside the payload, come back from
// any k pieces, and verify every piece.
func TestMasksTravelInsideThePieces(t *testing.T) {
	const k, n, length = 2, 3, 777
	secret, masks := noise(20, length), noise(21, n*TagSize)
	data, tags := split(t, k, Points(n), secret, 22), split(t, k, Points(n), masks, 23)
	key := uhash.NewKey([16]byte(noise(24, 16)))
	pieces, headers := slices(n, PieceSize(n, length)), make([]Header, n)
	for i, b := range pieces {
		headers[i] = goodHeader()
		headers[i].Point, headers[i].Length = byte(i+1), length
		headers[i].Put(b)
		copy(b[HeaderSize:], data[i])
		copy(b[HeaderSize+length:], tags[i])
		if err := SealPiece(b, key, (*[16]byte)(masks[i*TagSize:])); err != nil {
			t.Fatal(err)
		}
	}
	subsets(n, k, func(idx []int) {
		if err := CheckSet(pick(headers, idx)); err != nil {
			t.Fatal(err)
		}
		var payloads, maskShares [][]byte
		for _, b := range pick(pieces, idx) {
			p, err := ParsePiece(b)
			if err != nil {
				t.Fatal(err)
			}
			payloads, maskShares = append(payloads, p.Payload), append(maskShares, p.MaskShares)
		}
		xs := pick(Points(n), idx)
		back := interpolate(t, xs, maskShares, 0)
		for _, i := range idx {
			if err := VerifyPiece(pieces[i], key, (*[16]byte)(back[i*TagSize:])); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(interpolate(t, xs, payloads, 0), secret) {
			t.Fatal("the secret did not come back")
		}
	})
}

func TestCheckSet(t *testing.T) {
	good := func(points ...byte) []Header {
		hs := make([]Header, len(points))
		for i, x := range points {
			hs[i] = goodHeader()
			hs[i].Point = x
		}
		return hs
	}
	for _, ok := range [][]Header{good(1, 2), good(3, 1), good(1, 2, 3), good(200, 7)} {
		if err := CheckSet(ok); err != nil {
			t.Errorf("%d good shares refused: %v", len(ok), err)
		}
	}
	wantError(t, CheckSet(nil), qsc.Insufficient, "no share")
	wantError(t, CheckSet(good(1)), qsc.Insufficient, "2 are needed")
	wantError(t, CheckSet(good(1, 1)), qsc.Invalid, "points 0 and 1 of the list are both 1")
	wantError(t, CheckSet(good(1, 0)), qsc.Invalid, "point 1 of the list is 0")
	wantError(t, CheckSet(good(0, 1)), qsc.Invalid, "point is 0")
	wantError(t, CheckSet(good(1, 2, 3, 4)), qsc.Invalid, "only n=3")
	for name, change := range map[string]func(*Header){
		"object":             func(h *Header) { h.Object[15] ^= 1 },
		"version":            func(h *Header) { h.Version++ },
		"scheme":             func(h *Header) { h.Scheme++ },
		"field":              func(h *Header) { h.Field++ },
		"threshold k":        func(h *Header) { h.K++ },
		"number of shares n": func(h *Header) { h.N++ },
		"chunk":              func(h *Header) { h.Chunk++ },
		"content kind":       func(h *Header) { h.Kind = Data },
		"length":             func(h *Header) { h.Length++ },
	} {
		hs := good(1, 2, 3)
		change(&hs[2])
		wantError(t, CheckSet(hs), qsc.Invalid, "shares 0 and 2 differ in "+name)
	}
	hs := good(1, 2)
	hs[1].Class = qsc.ITS
	if err := CheckSet(hs); err != nil {
		t.Errorf("classes may differ: %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	b := make([]byte, HeaderSize)
	goodHeader().Put(b)
	f.Add(b)
	f.Add(b[:63])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		again := make([]byte, HeaderSize)
		h.Put(again)
		if !bytes.Equal(again, b[:HeaderSize]) {
			t.Fatalf("%x reads as %+v, which is written %x", b[:HeaderSize], h, again)
		}
	})
}

func FuzzParsePiece(f *testing.F) {
	piece, key, mask := goodPiece(f)
	other := uhash.NewKey([16]byte(noise(9, 16)))
	f.Add(piece)
	f.Add(piece[:100])
	f.Add(append(bytes.Clone(piece), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePiece(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		if n := HeaderSize + len(p.Payload) + len(p.MaskShares) + TagSize; n != len(b) {
			t.Fatalf("parts are %d bytes of %d", n, len(b))
		}
		if err := VerifyPiece(b, key, mask); err == nil && !bytes.Equal(b, piece) {
			t.Fatal("a piece that was never sealed verifies")
		}
		b = bytes.Clone(b) // the engine keeps what it gave
		if SealPiece(b, other, mask) != nil || VerifyPiece(b, other, mask) != nil {
			t.Fatal("a well-formed piece cannot be sealed and verified")
		}
	})
}
