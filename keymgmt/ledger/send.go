package ledger

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Reserve implements keymgmt.Ledger.
//
// Order: the marks that cover the pad are durable (commit), then the pad is
// handed out. Most calls find themselves below a mark made ahead and touch no
// disk.
func (l *Ledger) Reserve(ctx context.Context, use keymgmt.Use, lo, hi int) (otp.Pad, error) {
	const op = "ledger.Reserve"
	n := l.lanes[keymgmt.SendData(l.cfg.End)]
	if use == keymgmt.Control {
		n, lo, hi = l.lanes[keymgmt.SendControl(l.cfg.End)], keymgmt.SlotSize, keymgmt.SlotSize
	}
	if lo < 1 || hi < lo || uint64(lo) > l.u {
		return otp.Pad{}, qsc.E(op, qsc.Invalid, string(l.cfg.Link), "a pad of %d to %d bytes: ask for 1 to %d", lo, hi, l.u)
	}
	for {
		pad, pos, size, changed, err := l.take(n, uint64(lo), uint64(hi))
		switch {
		case err != nil || pad.Len() > 0:
			n.ring.fetch(pos + size)
			return pad, err
		case size > 0:
			err = l.markUpTo(n, pos, size)
		default:
			err = l.starve(ctx, n, changed)
		}
		if err != nil {
			return otp.Pad{}, l.wrap(op, err)
		}
	}
}

// take hands out the next pad if its mark is durable. Else it says which
// stretch to mark first; a size of 0 means that there is no key until changed.
func (l *Ledger) take(n *lane, lo, hi uint64) (pad otp.Pad, pos, size uint64, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = l.changed
	if err := l.open("ledger.Reserve"); err != nil {
		return pad, 0, 0, changed, err
	}
	size = n.find(lo, hi)
	pos = n.next
	if size == 0 || pos+aligned(size) > n.mark {
		return pad, pos, aligned(size), changed, nil
	}
	e := n.spend(pos, size)
	n.next = e.to
	key := n.ring.at(pos, pos+size)
	pad = otp.NewPad(n.id, l.cfg.Epoch, pos, n.at(pos / n.u).guard[:], key, func() { l.erasedPad(n, e) })
	return pad, pos, size, changed, nil
}

// aligned rounds up to where the next pad may begin.
func aligned(n uint64) uint64 { return (n + otp.Align - 1) &^ (otp.Align - 1) }

// spend books a pad whose mark is durable, and burns the few bytes from its end
// to where the next pad may begin.
func (n *lane) spend(pos, size uint64) *extent {
	e := &extent{from: pos, to: pos + aligned(size)}
	clear(n.ring.at(pos+size, e.to))
	n.account.used += int64(size)
	n.account.burnt += int64(e.to - pos - size)
	n.out = append(n.out, e)
	n.active = true
	return e
}

// find moves next to where a pad of at least lo bytes begins, burning what is
// too short, and returns how long the pad may be, at most hi; 0: no key yet.
func (n *lane) find(lo, hi uint64) uint64 {
	for {
		i := n.next / n.u
		if !n.has(i) {
			j, ok := n.firstFrom(i)
			if !ok {
				return 0
			}
			n.skip(j * n.u)
			continue
		}
		run, final := n.run(i, hi)
		if run >= lo {
			return min(run, hi)
		}
		if !final {
			return 0
		}
		n.skip(n.next + run)
	}
}

// run returns how many bytes from next on are contiguous, counting no further
// than hi, and whether it can never become more. A control slot lies within a
// block.
func (n *lane) run(i, hi uint64) (run uint64, final bool) {
	if control(n.id) {
		return (i+1)*n.u - n.next, true
	}
	wrap := n.ring.toWrap(n.next)
	end := (i + 1) * n.u
	for end-n.next < min(hi, wrap) && n.has(end/n.u) {
		end += n.u
	}
	run = min(end-n.next, wrap)
	return run, run == wrap || end/n.u < n.nextIndex
}

// firstFrom returns the lowest block present from i on.
func (n *lane) firstFrom(i uint64) (low uint64, ok bool) {
	for s := range n.slot {
		b := &n.slot[s]
		if b.state == present && b.index >= i && (!ok || b.index < low) {
			low, ok = b.index, true
		}
	}
	return low, ok
}

// erasedPad is called when a pad has been overwritten in memory.
func (l *Ledger) erasedPad(n *lane, e *extent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish(n, e)
}

// finish notes that nobody uses e any more. mu is held.
func (l *Ledger) finish(n *lane, e *extent) {
	e.done = true
	n.spent += e.to - e.from
	if n.spent >= min(n.ring.size/4, 16<<20) {
		n.spent = 0
		poke(l.sweepC)
	}
	if l.flushes > 0 {
		l.notify()
	}
}

// starve waits for a change since take found no key, or says at once that no key
// will come.
func (l *Ledger) starve(ctx context.Context, n *lane, changed <-chan struct{}) error {
	// Asked before mu is taken: a source may hold its own lock while it asks us
	// what we want.
	stocked := l.cfg.Source.Status().Waiting > 0
	l.mu.Lock()
	if changed != l.changed { // what came since may have been the last
		l.mu.Unlock()
		return nil
	}
	if l.dry && (!n.waitingToErase() || !stocked) {
		l.mu.Unlock()
		return l.exhausted(n)
	}
	if l.waiters == 0 {
		l.waiting = time.Now()
	}
	l.waiters++
	if n.waitingToErase() {
		poke(l.sweepC)
	}
	l.mu.Unlock()
	err := l.await(ctx, "", changed)
	l.mu.Lock()
	l.waiters--
	l.mu.Unlock()
	return err
}

func (l *Ledger) exhausted(n *lane) error {
	a, b := l.cfg.Ends[0], l.cfg.Ends[1]
	if a == "" || b == "" {
		a, b = "A", "B"
	}
	if l.cfg.End == 1 {
		a, b = b, a
	}
	what := "key"
	if control(n.id) {
		what = "handshake key"
	}
	return qsc.E("", qsc.Exhausted, "", "link %s has no %s left in direction %s→%s: run \"qsc link provision %s\"", l.cfg.Link, what, a, b, l.cfg.Link)
}
