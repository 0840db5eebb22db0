package events

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

var (
	_ quantum.Attackable = (*Target)(nil)
	_ interface {
		quantum.Attackable
		Progress() distill.Progress
		Close() error
	} = (*End)(nil)
)

// Only what the device suffers is taken, at a strength that there is; what is
// refused leaves the attack under way, and strength 0 ends it whatever the kind.
func TestTarget(t *testing.T) {
	var none quantum.Attack
	noise := quantum.Attack{Kind: quantum.Noise, Strength: 0.5}
	for _, c := range []struct {
		a, after quantum.Attack
		kind     qsc.Kind // none: it is taken
	}{
		{a: noise, after: noise},
		{a: quantum.Attack{Kind: quantum.Blinding, Strength: 1}, after: noise, kind: qsc.Unsupported},
		{a: quantum.Attack{Kind: quantum.Noise, Strength: math.NaN()}, after: noise, kind: qsc.Invalid},
		{a: quantum.Attack{Kind: quantum.Noise, Strength: 1.1}, after: noise, kind: qsc.Invalid},
		{a: quantum.Attack{Strength: -1}, after: noise, kind: qsc.Invalid},
		{a: none}, {a: quantum.Attack{Kind: quantum.Noise}}, {a: quantum.Attack{Kind: quantum.Blinding}},
	} {
		e := NewEnd("test", "in the dark")
		if err := e.Attack(noise); err != nil || e.Attacked() != noise {
			t.Fatalf("%+v under way: %v", e.Attacked(), err)
		}
		err := e.Attack(c.a)
		if (c.kind == 0) != (err == nil) || err != nil && !qsc.IsKind(err, c.kind) || e.Attacked() != c.after {
			t.Errorf("%+v: %v, then %+v is under way", c.a, err, e.Attacked())
		}
		if c.kind == qsc.Unsupported && !strings.Contains(err.Error(), "makes no sense in the dark: try intercept-resend or noise") {
			t.Error(err)
		}
	}
	if got := new(Target).Attacked(); got != none {
		t.Errorf("%+v from the beginning", got)
	}
}

// The wait is as long as the setup's clock says, none without a pace, and ends with
// the context, whose error has a kind even where nothing is waited for.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		slow := func() time.Time { return begin.Add(-time.Minute) }
		over, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for _, c := range []struct {
			s     distill.Setup
			until time.Duration
			took  time.Duration
		}{
			{distill.Setup{Pace: true}, time.Second, time.Second}, {distill.Setup{Pace: true}, -time.Second, 0},
			{distill.Setup{}, time.Second, 0}, {distill.Setup{Pace: true, Now: slow}, time.Second, time.Minute + time.Second},
		} {
			begin = time.Now()
			if err := Await(over, "test", c.s, begin.Add(c.until)); err != nil || time.Since(begin) != c.took {
				t.Errorf("until %v with pace %t: %v in %v", c.until, c.s.Pace, err, time.Since(begin))
			}
		}
		if err := Await(over, "test", distill.Setup{Pace: true}, time.Now().Add(2*time.Hour)); !qsc.IsKind(err, qsc.Timeout) {
			t.Errorf("the context ended: %v", err)
		}
		if err := Await(over, "test", distill.Setup{}, time.Now()); !qsc.IsKind(err, qsc.Timeout) {
			t.Errorf("the context has ended: %v", err)
		}
	})
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]time.Duration{1.5: 1500 * time.Millisecond, 0: 0, -2: -2 * time.Second} {
		if got := Seconds(s); got != want {
			t.Errorf("%v s are %v", s, got)
		}
	}
	for _, s := range []float64{1e10, math.Inf(1), math.NaN()} {
		if got := Seconds(s); got < 280*365*24*time.Hour {
			t.Errorf("%v s are %v", s, got)
		}
	}
	if got := Seconds(math.Inf(-1)); got > -280*365*24*time.Hour {
		t.Errorf("-Inf s are %v", got)
	}
}
