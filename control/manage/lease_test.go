package manage

import (
	"context"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/quantum-secure-cloud/qsc"
	"modernc.org/sqlite"
)

func dialectOf(s *Store) goose.Dialect {
	if _, ok := s.db.Driver().(*sqlite.Driver); ok {
		return goose.DialectSQLite3
	}
	return goose.DialectPostgres
}

// clock is a monotonic clock that the test sets.
type clock struct{ at time.Duration }

func (c *clock) now() time.Duration { return c.at }

func electors(t *testing.T, open opener) (*clock, *elector, *elector) {
	c := &clock{}
	s, s2 := open(t), open(t)
	return c, &elector{store: s, holder: "a", ttl: 3 * time.Second, now: c.now},
		&elector{store: s2, holder: "b", ttl: 3 * time.Second, now: c.now}
}

func steps(t *testing.T, all ...*elector) {
	t.Helper()
	for _, e := range all {
		must(t, e.step(t.Context()))
	}
}

// The second controller takes over a ttl after the first one's last sign of
// life, with a higher epoch, and at no time do both act.
func TestTakeOver(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		c, a, b := electors(t, open)
		for range 20 {
			steps(t, a, b)
			if a.leads() != 1 || b.leads() != 0 {
				t.Fatalf("at %v a leads %d, b leads %d", c.at, a.leads(), b.leads())
			}
			c.at += 750 * time.Millisecond
		}
		died := c.at
		for b.leads() == 0 {
			c.at += 250 * time.Millisecond
			steps(t, b)
			if a.leads() != 0 && b.leads() != 0 {
				t.Fatalf("at %v both lead", c.at)
			}
			if c.at-died > 4*time.Second {
				t.Fatal("nobody took over")
			}
		}
		if b.leads() != 2 {
			t.Fatalf("epoch %d, want 2", b.leads())
		}
		steps(t, a)
		if a.epoch != 0 {
			t.Fatal("the old leader did not notice")
		}
	})
}

func TestReleaseIsImmediate(t *testing.T) {
	engines(t, func(t *testing.T, open opener) {
		_, a, b := electors(t, open)
		steps(t, a, b)
		must(t, a.release(t.Context()))
		steps(t, b)
		if a.leads() != 0 || b.leads() != 2 {
			t.Fatalf("a leads %d, b leads %d", a.leads(), b.leads())
		}
	})
}

// A leader whose store is gone stops acting by itself, and goes on under the
// same epoch when the store comes back in time.
func TestStoreAway(t *testing.T) {
	c := &clock{}
	s := opened(t)(OpenSQLite(t.TempDir() + "/c.db"))
	broken := &away{Store: s}
	a := &elector{store: broken, holder: "a", ttl: 3 * time.Second, now: c.now}
	steps(t, a)
	broken.down = true
	for range 3 {
		c.at += time.Second
		want(t, a.step(t.Context()), qsc.Unreachable)
	}
	if a.leads() != 0 {
		t.Fatal("leads without a store")
	}
	broken.down = false
	steps(t, a)
	if a.leads() != 1 {
		t.Fatal("nobody else took the lease, yet it is lost")
	}
	must(t, a.raise(t.Context(), 40))
	if a.leads() != 41 {
		t.Fatalf("raised to %d", a.leads())
	}
	must(t, a.raise(t.Context(), 12))
	must(t, a.raise(t.Context(), 1<<63))
	steps(t, a)
	if a.leads() != 41 {
		t.Fatalf("epoch %d after a raise to less", a.leads())
	}
}

// away is a store whose server can be unplugged.
type away struct {
	*Store
	down bool
}

func (w *away) Keep(ctx context.Context, holder string, epoch uint64) error {
	if w.down {
		return qsc.E("test", qsc.Unreachable, "", "unplugged")
	}
	return w.Store.Keep(ctx, holder, epoch)
}
