package record

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
)

func id(n int) (k qsc.KeyID) {
	binary.BigEndian.PutUint64(k[:], uint64(n)+1)
	return k
}

func ids(from, to int) (out []qsc.KeyID) {
	for n := from; n < to; n++ {
		out = append(out, id(n))
	}
	return out
}

// What is used stays used over openings and rewritings, the newest of it.
func TestJournal(t *testing.T) {
	fs := durable.Mem(1 << 20)
	j, err := openJournal(fs)
	if err != nil {
		t.Fatal(err)
	}
	j.keep = 100
	for n := range 50 {
		if err := j.use(ids(10*n, 10*n+10)); err != nil {
			t.Fatal(err)
		}
		if len(j.order) > 210 || len(j.order) != len(j.has) {
			t.Fatalf("%d and %d names are kept", len(j.order), len(j.has))
		}
	}
	j.close()
	if j, err = openJournal(fs); err != nil {
		t.Fatal(err)
	}
	defer j.close()
	for n := range 500 {
		if n >= 400 && !j.used(id(n)) {
			t.Errorf("record %d is forgotten", n)
		}
	}
	if j.used(id(500)) {
		t.Error("an unused record is used")
	}
}

// A last entry that is cut off or garbled counts as far as it can be read, and more
// damage than that is refused.
func TestDamagedJournal(t *testing.T) {
	whole := appendEntry(appendEntry(append([]byte(nil), journalMagic...), []print{1, 2}), []print{3, 4, 5})
	for cut := journalHead; cut < len(whole); cut++ {
		order, ok, err := decodeJournal(whole[:cut])
		firstEntry := journalHead + 8 + 16
		if err != nil || ok != (cut == journalHead || cut == firstEntry) {
			t.Fatalf("cut at %d: %v, %v", cut, ok, err)
		}
		if cut >= firstEntry+4+16 && len(order) < 4 || cut >= firstEntry && len(order) < 2 {
			t.Fatalf("cut at %d: %d names", cut, len(order))
		}
	}
	fs := durable.Mem(1 << 22)
	f, err := fs.Open(journalFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(append(whole, bytes.Repeat([]byte{0xff}, 8*maxBatch+9)...), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(fs); !qsc.IsKind(err, qsc.Corrupt) {
		t.Error(err)
	}
	if err := f.Truncate(int64(len(whole) - 3)); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(fs)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if b, err := durable.ReadFile(fs, journalFile, maxJournal); err != nil || len(j.order) != 5 {
		t.Error(err, j.order)
	} else if order, ok, err := decodeJournal(b); !ok || err != nil || len(order) != 5 {
		t.Error("it was not mended:", ok, err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(appendEntry(append([]byte(nil), journalMagic...), []print{1, 2}))
	f.Add(append(append([]byte(nil), journalMagic...), 0, 0, 0, 9, 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		order, whole, err := decodeJournal(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		if 8*len(order) > len(b) || !whole && len(b) == journalHead {
			t.Fatalf("%d names in %d bytes", len(order), len(b))
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(bytes.Repeat([]byte{7}, 3*Size-1))
	f.Add(append(bytes.Repeat([]byte{1}, Size), make([]byte, Size)...))
	f.Add(append(make([]byte, idSize), bytes.Repeat([]byte{1}, Size)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		done := parseAll(b, func(id qsc.KeyID, at int) bool {
			if !bytes.Equal(id[:], b[at:at+idSize]) || at != n*Size || id == (qsc.KeyID{}) {
				t.Fatal("a name is not where it is said to be")
			}
			n++
			return n < 3
		})
		if stopped := n == 3; done%Size != 0 || done > len(b) || done/Size > n || !stopped && done/Size != n {
			t.Fatalf("%d bytes done, %d names", done, n)
		}
	})
}
