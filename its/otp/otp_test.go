package otp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
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
		tx, rx := pair(uint64(n), n)
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

func TestDoubleUse(t *testing.T) {
	tx, rx := pair(0, 5)
	again, rxAgain := tx, rx
	frame := sealed(t, &tx, random(5))
	if err := Seal(make([]byte, len(frame)), &again, random(5)); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("second Seal: %v", err)
	}
	if _, err := Open(make([]byte, 5), &rx, frame); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(make([]byte, 5), &rxAgain, frame); !qsc.IsKind(err, qsc.Conflict) {
		t.Errorf("second Open: %v", err)
	}
}
