package otp

import (
	"bytes"
	"crypto/subtle"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

var rng = rand.New(rand.NewPCG(3, 5))

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

var testGuard = random(GuardSize)

// pair returns the same pad at both ends.
func pair(pos uint64, n int) (tx, rx Pad) {
	key := random(KeyOverhead + n)
	return NewPad(1, 7, pos, testGuard, bytes.Clone(key), nil), NewPad(1, 7, pos, testGuard, key, nil)
}

func sealed(t testing.TB, tx *Pad, body []byte) []byte {
	t.Helper()
	frame := make([]byte, Overhead+len(body))
	if err := Seal(frame, tx, body); err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestRoundTrip(t *testing.T) {
	sizes := []int{tile - 1, tile, tile + 1, 3*tile + 5, 1 << 18, MaxBody}
	for n := range 1001 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		tx, rx := pair(uint64(n)*Align, n)
		body := random(n)
		frame := sealed(t, &tx, body)
		got := make([]byte, n)
		m, err := Open(got, &rx, frame)
		if err != nil || m != n || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: %d, %v", n, m, err)
		}
		if !zero(tx.life.key) || !zero(rx.life.key) || !tx.Spent() || !rx.Spent() {
			t.Fatalf("%d bytes: the pad is not erased", n)
		}
	}
}

func TestInPlace(t *testing.T) {
	for _, n := range []int{0, 1, 100, 2*tile + 3} {
		tx, rx := pair(9*Align, n)
		body := random(n)
		buf := make([]byte, Overhead+n)
		copy(buf[HeaderSize:], body)
		if err := Seal(buf, &tx, buf[HeaderSize:HeaderSize+n]); err != nil {
			t.Fatal(err)
		}
		if m, err := Open(buf[HeaderSize:], &rx, buf); err != nil || !bytes.Equal(buf[HeaderSize:HeaderSize+m], body) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// TestFormat rebuilds a frame by the text of docs/design/otp.md.
func TestFormat(t *testing.T) {
	key, body := random(KeyOverhead+20), random(20)
	want := []byte{'Q', 'F', 1, 3, 0, 0, 1, 2, 0, 0, 0, 9, 8, 7, 6, 0x50, 0, 0, 0, 20, 0, 0, 0, 0}
	for i := range body {
		want = append(want, body[i]^key[32+i])
	}
	var r [16]byte
	for i := range r {
		r[i] = key[i] ^ testGuard[i]
	}
	tag := uhash.NewKey(r).Tag((*[16]byte)(key[16:32]), want[:HeaderSize], want[HeaderSize:])
	want = append(want, tag[:]...)
	pad := NewPad(3, 0x102, 0x908070650, testGuard, key, nil)
	if got := sealed(t, &pad, body); !bytes.Equal(got, want) {
		t.Errorf("frame %x, want %x", got, want)
	}
	h, err := ParseHeader(want)
	if err != nil || h != (Header{Lane: 3, Epoch: 0x102, Pos: 0x908070650, Len: 20}) || h.PadLen() != 52 {
		t.Errorf("header %+v, %v", h, err)
	}
}

// TestEveryFlipIsRefused flips each bit of a frame; whatever the reason of the
// refusal, the pad stays good for the true frame and nothing is written.
func TestEveryFlipIsRefused(t *testing.T) {
	const n = 40
	tx, rx := pair(1<<20, n)
	body := random(n)
	frame := sealed(t, &tx, body)
	got := make([]byte, n)
	for i := range 8 * len(frame) {
		frame[i/8] ^= 1 << (i % 8)
		_, err := Open(got, &rx, frame)
		kind := qsc.KindOf(err)
		if i < 8*HeaderSize && kind != qsc.Invalid && kind != qsc.Unsupported || i >= 8*HeaderSize && kind != qsc.Tampered {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
		frame[i/8] ^= 1 << (i % 8)
	}
	if !zero(got) || rx.Spent() {
		t.Fatal("a refused frame wrote or spent something")
	}
	if _, err := Open(got, &rx, frame); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("the true frame after the false ones: %v", err)
	}
}

// TestHeaderIsTagged gives the receiver a pad that agrees with the changed
// header, so that only the tag can tell.
func TestHeaderIsTagged(t *testing.T) {
	key := random(KeyOverhead + 8)
	tx := NewPad(1, 7, 96, testGuard, bytes.Clone(key), nil)
	frame := sealed(t, &tx, random(8))
	for name, rx := range map[string]Pad{
		"lane":     NewPad(2, 7, 96, testGuard, bytes.Clone(key), nil),
		"epoch":    NewPad(1, 8, 96, testGuard, bytes.Clone(key), nil),
		"position": NewPad(1, 7, 112, testGuard, bytes.Clone(key), nil),
		"length":   NewPad(1, 7, 96, testGuard, bytes.Clone(key[:len(key)-1]), nil),
		"guard":    NewPad(1, 7, 96, random(GuardSize), bytes.Clone(key), nil),
	} {
		forged := bytes.Clone(frame)
		if name == "length" {
			forged = append(forged[:HeaderSize+7], forged[HeaderSize+8:]...)
		}
		if _, err := Open(make([]byte, 8), &rx, frame); name != "guard" && !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("wrong %s: %v", name, err)
		}
		Header{Lane: rx.Lane(), Epoch: rx.Epoch(), Pos: rx.Pos(), Len: uint32(rx.Len() - KeyOverhead)}.Put(forged)
		if _, err := Open(make([]byte, 8), &rx, forged); !qsc.IsKind(err, qsc.Tampered) {
			t.Errorf("forged %s: %v", name, err)
		}
	}
}

// TestKnownBodyGivesNoFrame is the attack the guard is there for: the attacker
// knows a body, hence the pad under it, keeps the true frame back and sends one
// of his own that claims to start inside that stretch.
func TestKnownBodyGivesNoFrame(t *testing.T) {
	key, body := random(KeyOverhead+200), random(200)
	tx := NewPad(1, 7, 0, testGuard, bytes.Clone(key), nil)
	frame := sealed(t, &tx, body)
	known := make([]byte, 200) // pad[32:232]
	subtle.XORBytes(known, frame[HeaderSize:HeaderSize+200], body)

	forge := func(guard []byte) []byte {
		own := NewPad(1, 7, KeyOverhead, guard, bytes.Clone(known[:KeyOverhead+50]), nil)
		return sealed(t, &own, make([]byte, 50))
	}
	rx := NewPad(1, 7, KeyOverhead, testGuard, key[KeyOverhead:2*KeyOverhead+50], nil)
	if err := Verify(&rx, forge(random(GuardSize))); !qsc.IsKind(err, qsc.Tampered) {
		t.Errorf("a forged frame: %v", err)
	}
	if err := Verify(&rx, forge(testGuard)); err != nil {
		t.Errorf("the test does not forge: with the guard it would have to pass: %v", err)
	}
}

func TestWrongSizes(t *testing.T) {
	body := random(30)
	for name, s := range map[string]struct{ dst, key, body int }{
		"pad too short": {Overhead + 30, KeyOverhead + 29, 30},
		"pad too long":  {Overhead + 30, KeyOverhead + 31, 30},
		"no pad":        {Overhead, 0, 0},
		"dst too short": {Overhead + 29, KeyOverhead + 30, 30},
		"dst too long":  {Overhead + 31, KeyOverhead + 30, 30},
		"body too long": {Overhead + MaxBody + 1, KeyOverhead + MaxBody + 1, MaxBody + 1},
	} {
		p := NewPad(0, 0, 0, testGuard, random(s.key), nil)
		if err := Seal(make([]byte, s.dst), &p, make([]byte, s.body)); !qsc.IsKind(err, qsc.Invalid) || p.Spent() {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none Pad
	if err := Seal(make([]byte, Overhead), &none, nil); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("zero Pad: %v", err)
	}
	tx, rx := pair(0, 30)
	frame := sealed(t, &tx, body)
	for n := range frame {
		if _, err := Open(make([]byte, 30), &rx, frame[:n]); !qsc.IsKind(err, qsc.Invalid) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := Open(make([]byte, 30), &rx, append(frame, 0)); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, err := Open(make([]byte, 29), &rx, frame); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("short buffer: %v", err)
	}
}

func TestOverlapIsRefused(t *testing.T) {
	tx, rx := pair(0, 30)
	buf := make([]byte, 200)
	for _, at := range []int{0, HeaderSize - 1, HeaderSize + 1, Overhead + 29} {
		if err := Seal(buf[:Overhead+30], &tx, buf[at:at+30]); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("body at byte %d of the frame: %v", at, err)
		}
	}
	frame := append(sealed(t, &tx, random(30)), make([]byte, 30)...)
	if _, err := Open(frame[HeaderSize+1:], &rx, frame[:Overhead+30]); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("buffer one byte into the body: %v", err)
	}
}
