package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/keymgmttest"
)

// The end of a control block that is too short for a slot does not keep the
// block's place: else, with a ring of two, the block after the next finds none,
// and no handshake ever frees it.
func TestTailFreesItsSlot(t *testing.T) {
	const block = 64 << 10
	var ends [2]*Ledger
	var stocks [2]*keymgmttest.Stock
	for i := range ends {
		stocks[i] = &keymgmttest.Stock{Link: "x", Block: block}
		stocks[i].Add(keymgmt.SeqOf(keymgmt.ControlAB, 0), keymgmt.SeqOf(keymgmt.ControlAB, 1), keymgmt.SeqOf(keymgmt.ControlAB, 2))
		l, err := Open(Config{FS: durable.Mem(1 << 26), Link: "x", End: i, Block: block, Pad: 1 << 20, Source: stocks[i], Wait: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ends[i] = l
	}
	for range int(keymgmt.PadSize(block)) / keymgmt.SlotSize {
		shake(t, ends[0], ends[1])
	}
	third := keymgmt.SeqOf(keymgmt.ControlAB, 2)
	for start := time.Now(); !slices.Contains(stocks[1].Taken(), third); {
		if err := ends[1].Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Since(start) > 30*time.Second {
			t.Fatal("the block after the next found no place")
		}
	}
}

// shake sends one handshake's frame from a to b.
func shake(t *testing.T, a, b *Ledger) {
	t.Helper()
	pad, err := a.Reserve(t.Context(), keymgmt.Control, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, otp.Overhead+keymgmt.SlotSize-otp.KeyOverhead)
	if err := otp.Seal(frame, &pad, make([]byte, keymgmt.SlotSize-otp.KeyOverhead)); err != nil {
		t.Fatal(err)
	}
	h, err := otp.ParseHeader(frame)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.View(t.Context(), h)
	if err == nil {
		err = otp.Verify(&theirs, frame)
	}
	if err == nil {
		err = b.Consume(h)
	}
	if err == nil {
		_, err = otp.Decrypt(frame[otp.HeaderSize:], &theirs, frame)
	}
	if err != nil {
		t.Fatal(err)
	}
}
