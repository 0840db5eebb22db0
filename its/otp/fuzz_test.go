package otp

import (
	"bytes"
	"testing"
)

func FuzzParseHeader(f *testing.F) {
	b := make([]byte, HeaderSize)
	for _, h := range []Header{
		{Lane: 1, Epoch: 2, Pos: 3 * Align, Len: 4},
		{Lane: 255, Epoch: 1 << 31, Pos: 1<<64 - 48},
		{Pos: 1<<64 - Align, Len: MaxBody},
		{Lane: 1, Pos: 1<<64 - 48, Len: MaxBody, Clear: true},
	} {
		h.Put(b)
		f.Add(bytes.Clone(b))
	}
	f.Add(b[:HeaderSize-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		out := make([]byte, HeaderSize)
		h.Put(out)
		if !bytes.Equal(out, b[:HeaderSize]) {
			t.Errorf("%+v does not read back", h)
		}
		if h.Len > MaxBody || h.Pos+uint64(h.PadLen()) < h.Pos {
			t.Errorf("%+v is out of bounds", h)
		}
	})
}

// FuzzOpenClear is FuzzOpen for a frame in clear, given to the pad that any header
// names: neither kind of frame can be made of the other.
func FuzzOpenClear(f *testing.F) {
	key := bytes.Repeat([]byte{0x5a, 3, 0x77}, 40)[:KeyOverhead+40]
	guard := bytes.Repeat([]byte{9}, GuardSize)
	tx := NewPad(1, 2, 3*Align, guard, bytes.Clone(key[:KeyOverhead]), nil)
	truth := make([]byte, Overhead+40)
	if err := SealClear(truth, &tx, bytes.Repeat([]byte("b"), 40)); err != nil {
		f.Fatal(err)
	}
	f.Add(truth)
	f.Add(truth[:len(truth)-1])
	other := bytes.Clone(truth)
	other[2] = formatSealed
	f.Add(other)
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, err := ParseHeader(frame)
		if err != nil || h.PadLen() > len(key) {
			return
		}
		rx := NewPad(1, 2, 3*Align, guard, bytes.Clone(key[:h.PadLen()]), nil)
		dst := make([]byte, 40)
		_, err = Open(dst, &rx, frame)
		if (err == nil) != bytes.Equal(frame, truth) {
			t.Fatalf("%d bytes: %v", len(frame), err)
		}
		if err != nil && (!zero(dst) || rx.Spent() || !bytes.Equal(rx.life.key, key[:h.PadLen()])) {
			t.Fatal("a refused frame wrote or spent something")
		}
	})
}

// FuzzOpen changes a true frame in any way: only the true one opens.
func FuzzOpen(f *testing.F) {
	key := bytes.Repeat([]byte{0x5a, 3, 0x77}, 40)[:KeyOverhead+40]
	guard := bytes.Repeat([]byte{9}, GuardSize)
	tx := NewPad(1, 2, 3*Align, guard, bytes.Clone(key), nil)
	truth := sealed(f, &tx, bytes.Repeat([]byte("b"), 40))
	f.Add(truth)
	f.Add(truth[:len(truth)-1])
	f.Add(append(bytes.Clone(truth), 0))
	f.Add(append(bytes.Clone(truth[:len(truth)-1]), 0))
	f.Fuzz(func(t *testing.T, frame []byte) {
		rx := NewPad(1, 2, 3*Align, guard, bytes.Clone(key), nil)
		dst := make([]byte, 40)
		_, err := Open(dst, &rx, frame)
		if (err == nil) != bytes.Equal(frame, truth) {
			t.Fatalf("%d bytes: %v", len(frame), err)
		}
		if err != nil && (!zero(dst) || rx.Spent() || !bytes.Equal(rx.life.key, key)) {
			t.Fatal("a refused frame wrote or spent something")
		}
	})
}
