package otp

import (
	"bytes"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

func clearFrame(t testing.TB, tx *Pad, body []byte) []byte {
	t.Helper()
	frame := make([]byte, Overhead+len(body))
	if err := SealClear(frame, tx, body); err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestClearRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, tile - 1, tile + 1, 1 << 18, MaxBody} {
		tx, rx := pair(uint64(n)*Align, 0)
		body := random(n)
		frame := clearFrame(t, &tx, body)
		if !bytes.Equal(frame[HeaderSize:HeaderSize+n], body) {
			t.Fatalf("%d bytes: the body is not in clear", n)
		}
		got := make([]byte, n)
		m, err := Open(got, &rx, frame)
		if err != nil || m != n || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: %d, %v", n, m, err)
		}
		if !zero(tx.life.key) || !zero(rx.life.key) || !tx.Spent() || !rx.Spent() {
			t.Fatalf("%d bytes: the pad is not erased", n)
		}
		tx, rx = pair(0, 0)
		copy(frame[HeaderSize:], body)
		if err := SealClear(frame, &tx, frame[HeaderSize:HeaderSize+n]); err != nil {
			t.Fatal(err)
		}
		if m, err := Open(frame[HeaderSize:], &rx, frame); err != nil || !bytes.Equal(frame[HeaderSize:HeaderSize+m], body) {
			t.Fatalf("%d bytes in place: %v", n, err)
		}
	}
}

// TestClearFormat rebuilds a clear frame by the text of docs/design/otp.md.
func TestClearFormat(t *testing.T) {
	key, body := random(KeyOverhead), random(20)
	want := append([]byte{'Q', 'F', 2, 3, 0, 0, 1, 2, 0, 0, 0, 9, 8, 7, 6, 0x50, 0, 0, 0, 20, 0, 0, 0, 0}, body...)
	var r [16]byte
	for i := range r {
		r[i] = key[i] ^ testGuard[i]
	}
	tag := uhash.NewKey(r).Tag((*[16]byte)(key[16:]), want[:HeaderSize], want[HeaderSize:])
	want = append(want, tag[:]...)
	pad := NewPad(3, 0x102, 0x908070650, testGuard, key, nil)
	if got := clearFrame(t, &pad, body); !bytes.Equal(got, want) {
		t.Errorf("frame %x, want %x", got, want)
	}
	h, err := ParseHeader(want)
	if err != nil || h != (Header{Lane: 3, Epoch: 0x102, Pos: 0x908070650, Len: 20, Clear: true}) || h.PadLen() != KeyOverhead {
		t.Errorf("header %+v, %v", h, err)
	}
}

func TestEveryFlipOfAClearFrameIsRefused(t *testing.T) {
	const n = 40
	tx, rx := pair(1<<20, 0)
	body := random(n)
	frame := clearFrame(t, &tx, body)
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

// TestClearAndSealedNeverMix changes only the format of a frame. With the true
// frame's pad the lengths disagree; with the pad that the changed header names,
// which has the same point and mask, the tag tells.
func TestClearAndSealedNeverMix(t *testing.T) {
	for _, n := range []int{0, 1, 16, 100} {
		key := random(KeyOverhead + n)
		mint := func(n int) Pad { return NewPad(1, 7, 96, testGuard, bytes.Clone(key[:n]), nil) }
		long, short := mint(KeyOverhead+n), mint(KeyOverhead)
		body := random(n)
		for name, f := range map[string]struct {
			frame     []byte
			format    byte
			own, peer int
		}{
			"sealed": {sealed(t, &long, body), formatClear, KeyOverhead + n, KeyOverhead},
			"clear":  {clearFrame(t, &short, body), formatSealed, KeyOverhead, KeyOverhead + n},
		} {
			forged := bytes.Clone(f.frame)
			forged[2] = f.format
			own, other := mint(f.own), mint(f.peer)
			if err := Verify(&own, forged); n > 0 && !qsc.IsKind(err, qsc.Invalid) || err == nil {
				t.Errorf("%s frame of %d bytes under its own pad as the other kind: %v", name, n, err)
			}
			if err := Verify(&other, forged); !qsc.IsKind(err, qsc.Tampered) {
				t.Errorf("%s frame of %d bytes under the other kind's pad: %v", name, n, err)
			}
			if err := Verify(&own, f.frame); err != nil || own.Spent() {
				t.Errorf("the true %s frame of %d bytes: %v", name, n, err)
			}
		}
	}
}

func TestClearSizes(t *testing.T) {
	for name, s := range map[string]struct{ dst, key, body int }{
		"pad of a sealed frame": {Overhead + 30, KeyOverhead + 30, 30},
		"pad too short":         {Overhead + 30, KeyOverhead - 16, 30},
		"no pad":                {Overhead, 0, 0},
		"dst too short":         {Overhead + 29, KeyOverhead, 30},
		"dst too long":          {Overhead + 31, KeyOverhead, 30},
		"body too long":         {Overhead + MaxBody + 1, KeyOverhead, MaxBody + 1},
	} {
		p := NewPad(0, 0, 0, testGuard, random(s.key), nil)
		dst := make([]byte, s.dst)
		if err := SealClear(dst, &p, make([]byte, s.body)); !qsc.IsKind(err, qsc.Invalid) || p.Spent() || !zero(dst) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tx, rx := pair(0, 0)
	buf := make([]byte, 200)
	for _, at := range []int{0, HeaderSize - 1, HeaderSize + 1, Overhead + 29} {
		if err := SealClear(buf[:Overhead+30], &tx, buf[at:at+30]); !qsc.IsKind(err, qsc.Invalid) {
			t.Errorf("body at byte %d of the frame: %v", at, err)
		}
	}
	frame := clearFrame(t, &tx, random(30))
	if err := SealClear(frame, &tx, make([]byte, 30)); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("a second frame under one pad: %v", err)
	}
	if _, err := Open(make([]byte, 29), &rx, frame); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("short buffer: %v", err)
	}
}
