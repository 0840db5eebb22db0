package pool

import (
	"math/rand/v2"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestHealthPassesGoodBytes(t *testing.T) {
	b := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	if err := NewHealth().Check(b); err != nil {
		t.Fatal(err)
	}
}

// TestHealthFindsBadBytes at exactly the cutoffs, and stays failed.
func TestHealthFindsBadBytes(t *testing.T) {
	stuck := []byte{1, 2, 9, 9, 9, 9, 9, 9}
	if h := NewHealth(); h.Check(stuck) != nil || !qsc.IsKind(h.Check([]byte{9}), qsc.Corrupt) || h.Check([]byte{1}) == nil {
		t.Error("the repetition count test does not find seven equal bytes")
	}
	lopsided := make([]byte, 0, proportionWindow)
	for i := range proportionCutoff - 1 {
		lopsided = append(lopsided, 7, byte(100+i))
	}
	if h := NewHealth(); h.Check(lopsided) != nil || !qsc.IsKind(h.Check([]byte{7}), qsc.Corrupt) {
		t.Error("the adaptive proportion test does not find its cutoff")
	}
	h := NewHealth()
	_ = h.Check(lopsided)
	rest := make([]byte, proportionWindow-len(lopsided))
	for i := range rest {
		rest[i] = byte(200 + i%50)
	}
	if err := h.Check(append(rest, 7, 7)); err != nil {
		t.Errorf("a new window begins with an old count: %v", err)
	}
}
