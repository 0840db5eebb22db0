package cascade

import (
	"context"
	"testing"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

func FuzzBegin(f *testing.F) {
	f.Add(begin{1 << 20, 1 << 16, 40}.append(nil))
	f.Add(begin{0, 1 << 10, 0}.append(nil))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseBegin(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		if string(m.append(nil)) != string(b) {
			t.Fatalf("%+v is not what was read", m)
		}
	})
}

func FuzzTurn(f *testing.F) {
	t := turn{enter: 2, hunts: []byte{19, 63}}
	t.searches[1] = []byte{63, 0, 7, 1, 0}
	f.Add(t.append(nil))
	f.Add((&turn{}).append([]byte{}))
	f.Add([]byte{0, 255, 255, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := parseTurn(b)
		if err != nil {
			if !qsc.IsKind(err, qsc.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		if string(append(m.append(nil), rest...)) != string(b) {
			t.Fatalf("%+v is not what was read", m)
		}
	})
}

// script is a peer that says what the fuzzer wants: each message has the length
// that was expected, or another one if the fuzzer says so.
type script struct {
	b     []byte
	other bool
	spent int64
}

func (s *script) Send(_ context.Context, typ byte, msg []byte) error {
	if typ == typeParity {
		s.spent += int64(len(msg)) * 8
	}
	if len(msg) > distill.MaxMessage {
		return qsc.E("script.Send", qsc.Invalid, "", "a message of %d bytes", len(msg))
	}
	return nil
}

func (s *script) Receive(_ context.Context, typ byte, max int) ([]byte, error) {
	if len(s.b) == 0 {
		return nil, qsc.E("script.Receive", qsc.Unreachable, "", "the script is at its end")
	}
	n := min(max, len(s.b))
	if s.other && len(s.b) > 1 && s.b[0]&7 == 0 {
		n = min(int(s.b[1]), n)
	}
	msg := s.b[:n:n]
	s.b = s.b[n:]
	return msg, nil
}

// FuzzPeer lets either end talk with a peer that may say anything.
func FuzzPeer(f *testing.F) {
	f.Add(true, false, uint16(3000), make([]byte, 4000))
	f.Add(true, false, uint16(700), []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0})
	f.Add(false, true, uint16(700), append(begin{700, 1 << 16, 40}.append(nil), make([]byte, 500)...))
	f.Add(false, false, uint16(5), append(begin{5, 1 << 16, 40}.append(nil), 1, 0, 0, 0, 1, 1, 1, 1, 1))
	f.Fuzz(func(t *testing.T, alice, other bool, n uint16, b []byte) {
		bits, _ := sample(int(n), 0.02, 1)
		role := distill.Bob
		if alice {
			role = distill.Alice
		}
		s := &script{b: b, other: other}
		_, err := New(Config{}).Reconcile(t.Context(), s, role, bits[role], 0.02)
		if err != nil && !qsc.IsKind(err, qsc.Noisy) && !qsc.IsKind(err, qsc.Corrupt) && !qsc.IsKind(err, qsc.Unreachable) {
			t.Fatal(err)
		}
		if s.spent > int64(n)+slack+8*maxRounds {
			t.Fatalf("%d bits told of %d", s.spent, n)
		}
	})
}
