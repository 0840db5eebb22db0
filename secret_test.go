package qsc_test

import (
	"testing"

	"github.com/quantum-secure-cloud/qsc"
)

func TestSecret(t *testing.T) {
	b := []byte{1, 2, 3}
	s := qsc.NewSecret(b)
	if s.Len() != 3 || &s.Expose()[0] != &b[0] {
		t.Error("a secret is not the bytes it was given")
	}
	for _, c := range []struct {
		other []byte
		same  bool
	}{{[]byte{1, 2, 3}, true}, {[]byte{1, 2, 4}, false}, {[]byte{1, 2}, false}, {nil, false}} {
		if got := s.Equal(qsc.NewSecret(c.other)); got != c.same {
			t.Errorf("equal to one of %d bytes: %t, want %t", len(c.other), got, c.same)
		}
	}
	copied := s
	copied.Zeroise()
	if b[0]|b[1]|b[2] != 0 {
		t.Error("a zeroised secret still has its bytes, or its copy has")
	}
	var none qsc.Secret
	none.Zeroise()
	if none.Len() != 0 || !none.Equal(qsc.NewSecret(nil)) {
		t.Error("the zero Secret is not an empty one")
	}
}
