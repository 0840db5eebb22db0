package fleettest

import (
	"testing"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
)

// spy is a test that is told of failures and goes on.
type spy struct {
	testing.TB
	failures int
}

func (s *spy) Helper()               {}
func (s *spy) Logf(string, ...any)   {}
func (s *spy) Error(...any)          { s.failures++ }
func (s *spy) Errorf(string, ...any) { s.failures++ }

// answer is one of a KME: so many keys of so many bytes, of one value.
func answer(keys, size int, value byte) *etsi014.Container {
	b := make([]byte, keys*size)
	for i := range b {
		b[i] = value
	}
	return &etsi014.Container{IDs: make([]qsc.KeyID, keys), Size: size, Bytes: qsc.NewSecret(b), Extension: []byte(`{"qsc_hops": 2}`)}
}

// Keys that differ, and others than were asked for, fail the test that draws them.
func TestDrawingCompares(t *testing.T) {
	for name, c := range map[string]struct {
		enc, dec *etsi014.Container
		ok       bool
	}{
		"alike":     {answer(3, 32, 7), answer(3, 32, 7), true},
		"unlike":    {answer(3, 32, 7), answer(3, 32, 8), false},
		"too few":   {answer(2, 32, 7), answer(2, 32, 7), false},
		"too short": {answer(3, 16, 7), answer(3, 16, 7), false},
		"cut":       {answer(3, 32, 7), answer(2, 32, 7), false},
	} {
		s := &spy{TB: t}
		d := &Drawing{t: s, plan: Plan{Number: 3, Bits: 256}, last: time.Now()}
		d.note(c.enc, c.dec)
		if now := d.Now(); now.Draws != 1 || now.Keys != 3 || now.Told.Hops != 2 || d.Bytes(now) != 96 {
			t.Errorf("%s: %+v", name, now)
		}
		if d.Mark(); (s.failures == 0) != c.ok {
			t.Errorf("%s: %d failures", name, s.failures)
		}
		if again := d.Mark(); again.Keys != 0 || again.Told.Hops != 2 || s.failures > 1 {
			t.Errorf("%s: after a mark %+v, %d failures", name, again, s.failures)
		}
	}
}

// A pause counts in the span that it ends in, in that which a mark cuts it into, and
// for what has not come yet.
func TestPauses(t *testing.T) {
	d := &Drawing{t: t, plan: Plan{Number: 1, Bits: 256}, last: time.Now().Add(-time.Minute)}
	if s := d.Mark(); s.Gap < time.Minute {
		t.Error("what has not come yet is no pause:", s)
	}
	d.note(answer(1, 32, 7), answer(1, 32, 7))
	if s := d.Mark(); s.Gap < time.Minute {
		t.Error("a pause that a mark cuts is shorter:", s)
	}
	if s := d.Mark(); s.Gap > 30*time.Second {
		t.Error("a pause counts for ever:", s)
	}
	for gap, failures := range map[time.Duration]int{longestPause: 0, longestPause + 1: 1} {
		s := &spy{TB: t}
		if (Span{Keys: 1, Gap: gap}).Calm(s, "test"); s.failures != failures {
			t.Errorf("a pause of %v: %d failures", gap, s.failures)
		}
	}
	s := &spy{TB: t}
	if (Span{}).Calm(s, "test"); s.failures != 1 {
		t.Error("no key at all is calm")
	}
	quick, slow := Span{Gap: time.Millisecond}, Span{Gap: longestPause / 5}
	s = &spy{TB: t}
	long := Span{Keys: 1, Gap: longestPause + time.Second}
	if long.Calm(s, "test", quick); s.failures != 1 {
		t.Error("too long a pause on a machine that keeps up is calm")
	}
	s = &spy{TB: t}
	if long.Calm(s, "test", quick, slow); s.failures != 0 {
		t.Error("a pause is not calm on a machine on which a fifth of it is usual")
	}
}

// What says that a key is lost, and what is tried again.
func TestLost(t *testing.T) {
	d := &Drawing{plan: Plan{Lost: []qsc.Kind{qsc.Invalid}}}
	for kind, want := range map[qsc.Kind]bool{qsc.NotFound: true, qsc.Denied: true, qsc.Invalid: true, qsc.Unreachable: false, qsc.Exhausted: false} {
		if d.lost(qsc.E("test", kind, "", "no")) != want {
			t.Error(kind, "is a lost key:", !want)
		}
	}
}
