package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Flush implements keymgmt.Ledger. Pads that are reserved or consumed and not
// yet spent by their holder are waited for. Errors: Timeout; what the disk says.
func (l *Ledger) Flush(ctx context.Context) error {
	const op = "ledger.Flush"
	l.mu.Lock()
	var all []*extent
	for _, n := range l.lanes {
		all = append(all, n.out...)
	}
	l.flushes++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.flushes--
		l.mu.Unlock()
	}()
	for {
		l.mu.Lock()
		changed, left := l.changed, pendingOf(all)
		closed := l.open(op)
		l.mu.Unlock()
		if left == 0 || closed != nil {
			return closed
		}
		if err := l.sweep(noLane); err != nil {
			return l.wrap(op, err)
		}
		l.mu.Lock()
		left = pendingOf(all)
		l.mu.Unlock()
		if left == 0 {
			return nil
		}
		if err := l.await(ctx, op, changed); err != nil {
			return err
		}
	}
}

func pendingOf(all []*extent) (n int) {
	for _, e := range all {
		if !e.synced {
			n++
		}
	}
	return n
}

// Status implements keymgmt.Ledger. The book of a lane is counted from two
// sides: what is left from the table and the position, the rest from counters.
func (l *Ledger) Status() keymgmt.Status {
	s := keymgmt.Status{Link: l.cfg.Link, End: l.cfg.End, Epoch: l.cfg.Epoch, Block: l.cfg.Block, Source: l.cfg.Source.Status()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Class = l.class
	for i, n := range l.lanes {
		s.Lanes[i] = n.book()
		if !s.Lanes[i].Balanced() {
			s.Alarms = append(s.Alarms, fmt.Sprintf("link %s: the account of lane %d does not balance: report it, and keep the directory", l.cfg.Link, i))
		}
	}
	if l.waiters > 0 {
		s.Exhausted, s.Waiting = true, time.Since(l.waiting)
	}
	for _, a := range []string{l.fault, l.broken, s.Source.Alarm} {
		if a != "" {
			s.Alarms = append(s.Alarms, a)
		}
	}
	return s
}

func (n *lane) book() keymgmt.Account {
	a := keymgmt.Account{Produced: n.account.produced, Used: n.account.used, Burnt: n.account.burnt,
		Left: n.left(), Capacity: int64(n.ring.size)}
	a.Erased = a.Used + a.Burnt - n.unerased()
	return a
}
