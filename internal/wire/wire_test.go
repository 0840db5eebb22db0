package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestRoundTrip(t *testing.T) {
	w := Writer{}
	w.U8(1).U16(2).U32(3).U64(4).Raw([]byte("raw")).Bytes([]byte("bytes")).Text("text")
	r := NewReader(w.B)
	if r.U8() != 1 || r.U16() != 2 || r.U32() != 3 || r.U64() != 4 || string(r.Take(3)) != "raw" ||
		string(r.Bytes(5)) != "bytes" || r.Text() != "text" || r.Done() != nil {
		t.Fatal("a record came back changed")
	}
}

func TestFaults(t *testing.T) {
	w := Writer{}
	w.Bytes([]byte("bytes"))
	for name, r := range map[string]*Reader{
		"over its limit": NewReader(w.B),
		"cut short":      NewReader(w.B[:6]),
		"too many":       NewReader(append(w.B, 0)),
	} {
		limit := 5
		if name == "over its limit" {
			limit = 4
		}
		r.Bytes(limit)
		if err := r.Done(); !qsc.IsKind(err, qsc.Corrupt) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if r.U64() != 0 || r.Take(1) != nil {
			t.Error("a reader with a fault still yields something")
		}
	}
}

func TestLongTextIsCut(t *testing.T) {
	w := Writer{}
	w.Text(strings.Repeat("x", 1<<17))
	if got := NewReader(w.B).Text(); len(got) != 1<<16-1 {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzReader(f *testing.F) {
	w := Writer{}
	f.Add(w.U8(9).Bytes([]byte("abc")).Text("x").B, 3)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, 1<<30)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		r := NewReader(b)
		r.U8()
		got := r.Bytes(limit)
		text := r.Text()
		if r.Done() != nil {
			return
		}
		w := Writer{}
		if w.U8(b[0]).Bytes(got).Text(text); !bytes.Equal(w.B, b) {
			t.Error("what was read is not what was written")
		}
	})
}
