package timetag

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func mustBeCorrupt(t *testing.T, err error) {
	t.Helper()
	if !qsc.IsKind(err, qsc.Corrupt) {
		t.Fatal(err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("twenty bytes of text"), true)
	f.Fuzz(func(t *testing.T, b []byte, low bool) {
		r := NewReader(bytes.NewReader(b), Order(low))
		for n := 0; ; n++ {
			e, err := r.Read()
			if err == io.EOF {
				if 8*n != len(b) {
					t.Fatal("events are missing")
				}
				return
			}
			if err != nil {
				mustBeCorrupt(t, err)
				return
			}
			var back [8]byte
			Order(low).put(back[:], e.word())
			if !bytes.Equal(back[:], b[8*n:8*n+8]) {
				t.Fatal("an event does not come back")
			}
		}
	})
}

func FuzzRaw(f *testing.F) {
	f.Add(raw(Event{Time: 3, Detectors: 1}, Event{Time: 9, Detectors: 8}).Append(nil))
	f.Add((&Raw{}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRaw(b)
		if err != nil {
			mustBeCorrupt(t, err)
			return
		}
		again := r.Append(nil)
		copy(again[8:12], b[8:12]) // the number may be left out
		copy(again, b[:4])
		if !bytes.Equal(again, b) {
			t.Fatal("a packet does not come back")
		}
	})
}

func FuzzTimes(f *testing.F) {
	b, _ := (&Times{Width: 1, At: []uint32{3, 1000, 70000}, Told: []uint8{1, 0, 1}}).Append(nil)
	f.Add(b)
	b, _ = (&Times{Order: 4, Width: 4, At: []uint32{3, 1000, 70000}, Told: []uint8{15, 0, 9}}).Append(nil)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseTimes(b)
		if err != nil {
			mustBeCorrupt(t, err)
			return
		}
		for i := range p.At {
			if i > 0 && p.At[i] <= p.At[i-1] {
				t.Fatal("times do not rise")
			}
		}
		order := p.Order
		if order == 1 { // an order of one bit can only say "long" and "end"
			return
		}
		again, sent := p.Append(nil)
		q, err := ParseTimes(again)
		if err != nil || sent != len(p.At) || len(q.At) != sent || !bytes.Equal(q.Told, p.Told) && sent > 0 {
			if last := len(p.At) - 1; last >= 0 && p.At[last] >= 1<<32-2 { // moved beyond the end
				return
			}
			t.Fatalf("%d of %d events come back, %v", sent, len(p.At), err)
		}
	})
}

func FuzzValues(f *testing.F) {
	f.Add((&Values{Width: 1, Kept: []uint8{1, 0, 1}}).Append(nil))
	f.Add((&Values{Width: 3, Kept: []uint8{7, 0, 1}}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseValues(b)
		if err != nil {
			mustBeCorrupt(t, err)
			return
		}
		if again := v.Append(nil); !bytes.Equal(again[4:], b[4:]) {
			t.Fatal("values do not come back")
		}
	})
}

func FuzzTold(f *testing.F) {
	f.Add((&told{epoch: 5, packet: []byte("x")}).marshal())
	f.Add((&told{verdict: full, epoch: 5}).marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseTold(b)
		if err != nil {
			mustBeCorrupt(t, err)
			return
		}
		if !bytes.Equal(m.marshal(), b) {
			t.Fatal("a message does not come back")
		}
	})
}

func FuzzMatches(f *testing.F) {
	f.Add((&matches{state: locked, coincidences: 5, same: []int{0, 3, 4}, tests: []byte{1}}).marshal(), 7)
	f.Add(binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 10}, 0xffffffff), 12)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		m, err := parseMatches(b, min(max(n, 0), MaxEvents))
		if err != nil {
			mustBeCorrupt(t, err)
			return
		}
		for i, x := range m.same {
			if x < 0 || x >= n || i > 0 && x <= m.same[i-1] {
				t.Fatalf("place %d is %d of %d", i, x, n)
			}
		}
		if _, _, err := m.split(make([]uint8, n)); err != nil {
			mustBeCorrupt(t, err)
		}
	})
}
