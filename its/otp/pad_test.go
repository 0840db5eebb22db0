package otp

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestOnePadOneFrame(t *testing.T) {
	tx, rx := pair(0, 5)
	txAgain, rxAgain := tx, rx
	frame := sealed(t, &tx, random(5))
	if err := Seal(make([]byte, len(frame)), &txAgain, random(5)); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("second Seal, by a copy: %v", err)
	}
	if _, err := Open(make([]byte, 5), &rx, frame); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(make([]byte, 5), &rxAgain, frame); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("second Open, by a copy: %v", err)
	}
	if err := Seal(frame, &rxAgain, random(5)); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("Seal with a receiver's spent pad: %v", err)
	}
}

func TestVerifyThenDecrypt(t *testing.T) {
	tx, rx := pair(0, 5)
	body := random(5)
	frame, got := sealed(t, &tx, body), make([]byte, 5)
	if _, err := Decrypt(got, &rx, frame); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("Decrypt before Verify: %v", err)
	}
	if err := Verify(&rx, frame); err != nil {
		t.Fatal(err)
	}
	if err := Seal(make([]byte, len(frame)), &rx, body); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("Seal with a pad that verified: %v", err)
	}
	other := bytes.Clone(frame)
	other[len(other)-1] ^= 1
	if _, err := Decrypt(got, &rx, other); !qsc.IsKind(err, qsc.Conflict) || !zero(got) {
		t.Errorf("Decrypt of another frame: %v", err)
	}
	if n, err := Decrypt(got, &rx, frame); err != nil || n != 5 || !bytes.Equal(got, body) {
		t.Errorf("Decrypt: %d, %v", n, err)
	}
}

func TestErasedPadIsRefused(t *testing.T) {
	key := random(KeyOverhead + 5)
	tx := NewPad(0, 0, 0, testGuard, bytes.Clone(key), nil)
	frame := sealed(t, &tx, random(5))
	for name, p := range map[string]Pad{
		"key":   NewPad(0, 0, 0, testGuard, make([]byte, len(key)), nil),
		"guard": NewPad(0, 0, 0, make([]byte, GuardSize), bytes.Clone(key), nil),
	} {
		if err := Seal(make([]byte, len(frame)), &p, random(5)); !qsc.IsKind(err, qsc.Conflict) {
			t.Errorf("Seal with erased %s: %v", name, err)
		}
		if err := Verify(&p, frame); !qsc.IsKind(err, qsc.Conflict) {
			t.Errorf("Verify with erased %s: %v", name, err)
		}
	}
	p := NewPad(0, 0, 0, testGuard[:8], bytes.Clone(key), nil)
	if err := Seal(make([]byte, len(frame)), &p, random(5)); !qsc.IsKind(err, qsc.Invalid) {
		t.Errorf("Seal with half a guard: %v", err)
	}
}

func TestEraseIsCalledOnce(t *testing.T) {
	var calls int
	key := random(KeyOverhead + 5)
	erase := func() {
		calls++
		if !zero(key) {
			t.Error("erase came before the bytes were overwritten")
		}
	}
	p := NewPad(0, 0, 0, testGuard, key, erase)
	sealed(t, &p, random(5))
	_ = p.Burn()
	if calls != 1 {
		t.Errorf("erase was called %d times", calls)
	}
}

func TestBurn(t *testing.T) {
	key := random(KeyOverhead + 5)
	p := NewPad(0, 0, 0, testGuard, key, nil)
	if err := p.Burn(); err != nil || !zero(key) || !p.Spent() {
		t.Errorf("Burn: %v", err)
	}
	if err := Seal(make([]byte, Overhead+5), &p, random(5)); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("Seal with a burnt pad: %v", err)
	}
	_, rx := pair(0, 5)
	var none Pad
	if rx.Burn() != nil || none.Burn() != nil {
		t.Error("a receiver's pad or an empty one does not burn")
	}
}

// TestRaceForOnePad lets many goroutines seal with copies of one pad.
func TestRaceForOnePad(t *testing.T) {
	tx, _ := pair(0, 100)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		p, body := tx, bytes.Repeat([]byte{byte(i)}, 100)
		wg.Go(func() {
			if Seal(make([]byte, Overhead+100), &p, body) == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d frames were sealed with one pad", won.Load())
	}
}

func TestPadHasNoPrintableForm(t *testing.T) {
	p := NewPad(0, 0, 0, testGuard, bytes.Repeat([]byte{0xab}, 64), nil)
	var log strings.Builder
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: noTime})).Info("x", "p", p, "q", &p)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %x %s", p, p, &p, p, p), log.String()} {
		if !strings.Contains(s, "[secret]") || strings.Contains(s, "ab") || strings.Contains(s, "171") {
			t.Errorf("printed: %d characters that are not only [secret]", len(s))
		}
	}
}

// TestNothingIsAllocated covers the whole life of a frame but the minting.
func TestNothingIsAllocated(t *testing.T) {
	const n = 3 * tile
	body, frame, keys := make([]byte, n), make([]byte, Overhead+n), random(KeyOverhead+n)
	key := make([]byte, len(keys))
	tx := NewPad(0, 0, 0, testGuard, key, nil)
	renew := func() {
		copy(key, keys)
		copy(tx.life.guard[:], testGuard)
		tx.life.state.Store(fresh)
	}
	allocs := testing.AllocsPerRun(10, func() {
		renew()
		if Seal(frame, &tx, body) != nil {
			t.Fatal("Seal failed")
		}
		renew()
		if _, err := Open(body, &tx, frame); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
