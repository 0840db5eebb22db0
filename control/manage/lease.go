package manage

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Lease is the leader's row. (Epoch, Beat) changes with every sign of life and
// never returns to a former value.
type Lease struct {
	Holder string // "": free
	Epoch  uint64
	Beat   uint64
}

// Lease reads the row.
func (s *Store) Lease(ctx context.Context) (l Lease, err error) {
	err = s.db.QueryRowContext(ctx, sqlLease).Scan(&l.Holder, &l.Epoch, &l.Beat)
	return l, failed("manage.Lease", err)
}

// Take makes holder the leader if nothing has changed since seen was read, and
// returns its epoch, which no other leader ever has. Errors: Conflict when
// somebody was faster or the old leader lives.
func (s *Store) Take(ctx context.Context, holder string, seen Lease) (epoch uint64, err error) {
	err = s.one(ctx, "manage.Take", sqlTake, &epoch, holder, int64(seen.Epoch), int64(seen.Beat))
	return epoch, lost("manage.Take", err)
}

// Keep tells that the leader of epoch lives. Errors: Conflict when there is
// another.
func (s *Store) Keep(ctx context.Context, holder string, epoch uint64) error {
	var got uint64
	return lost("manage.Keep", s.one(ctx, "manage.Keep", sqlKeep, &got, int64(epoch), holder))
}

// Release frees the lease at once. Errors: Conflict as Keep.
func (s *Store) Release(ctx context.Context, holder string, epoch uint64) error {
	var got uint64
	return lost("manage.Release", s.one(ctx, "manage.Release", sqlRelease, &got, int64(epoch), holder))
}

// Raise moves the leader's own epoch up to a larger one: the way on when the
// store was set back and nodes know higher epochs. Errors: Conflict as Keep.
func (s *Store) Raise(ctx context.Context, holder string, epoch, to uint64) error {
	var got uint64
	return lost("manage.Raise", s.one(ctx, "manage.Raise", sqlRaise, &got, int64(epoch), holder, int64(to)))
}

func lost(op string, err error) error {
	if qsc.IsKind(err, qsc.NotFound) {
		return qsc.E(op, qsc.Conflict, "", "another controller leads")
	}
	return err
}

// leases is what an elector needs of the Store.
type leases interface {
	Lease(ctx context.Context) (Lease, error)
	Take(ctx context.Context, holder string, seen Lease) (uint64, error)
	Keep(ctx context.Context, holder string, epoch uint64) error
	Release(ctx context.Context, holder string, epoch uint64) error
	Raise(ctx context.Context, holder string, epoch, to uint64) error
}

// elector gets and keeps the lease. It compares only durations of its own
// monotonic clock, never two machines' clocks, and none with the database's:
//
// A contender takes the lease after it has seen the same (Epoch, Beat) for a
// whole ttl, counted from after its first reading. A leader acts only until two
// thirds of a ttl after the start of its last successful Keep. The reading came
// after that Keep's commit, the commit after the start: while the two clocks
// run equally fast to within a third, the leader has stopped when the contender
// begins. Should they not (a machine asleep), nodes still refuse the lower
// epoch, and two leaders never share one, for Take is one statement.
type elector struct {
	store  leases
	holder string
	ttl    time.Duration
	now    func() time.Duration

	epoch  uint64        // 0: not the leader
	until  time.Duration // the leader acts before it
	seen   Lease
	seenAt time.Duration
	read   bool
}

// leads returns the epoch in which this controller may act now, or 0.
func (e *elector) leads() uint64 {
	if e.now() >= e.until {
		return 0
	}
	return e.epoch
}

// step renews the lease or tries to get it. It is called about four times a ttl.
// The error is of the store; what the elector holds stays right.
func (e *elector) step(ctx context.Context) error {
	if e.epoch != 0 {
		return e.keep(ctx)
	}
	return e.contend(ctx)
}

func (e *elector) keep(ctx context.Context) error {
	start := e.now()
	err := e.store.Keep(ctx, e.holder, e.epoch)
	switch {
	case err == nil:
		e.until = start + e.ttl*2/3
	case qsc.IsKind(err, qsc.Conflict):
		e.epoch, e.read = 0, false
		return nil
	}
	return err
}

func (e *elector) contend(ctx context.Context) error {
	row, err := e.store.Lease(ctx)
	if err != nil {
		return err
	}
	if after := e.now(); !e.read || row != e.seen {
		e.seen, e.seenAt, e.read = row, after, true
	}
	start := e.now()
	if row.Holder != "" && start-e.seenAt < e.ttl {
		return nil
	}
	epoch, err := e.store.Take(ctx, e.holder, row)
	if err == nil {
		e.epoch, e.until = epoch, start+e.ttl*2/3
	}
	if qsc.IsKind(err, qsc.Conflict) {
		return nil
	}
	return err
}

// raise lifts the epoch above seen.
func (e *elector) raise(ctx context.Context, seen uint64) error {
	if e.leads() == 0 || seen < e.epoch || seen >= maxEpoch {
		return nil
	}
	err := e.store.Raise(ctx, e.holder, e.epoch, seen+1)
	if err == nil {
		e.epoch = seen + 1
	}
	return err
}

// release gives the lease back, so that the next leader need not wait.
func (e *elector) release(ctx context.Context) error {
	if e.epoch == 0 {
		return nil
	}
	epoch := e.epoch
	e.epoch, e.until = 0, 0
	return e.store.Release(ctx, e.holder, epoch)
}

const maxEpoch = 1 << 62 // fits the store's integers
