package ledger

import (
	"context"
	"errors"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// View implements keymgmt.Ledger. A pad that was viewed and not consumed must
// not be burnt: drop it.
func (l *Ledger) View(ctx context.Context, h otp.Header) (otp.Pad, error) {
	const op = "ledger.View"
	n, err := l.receiving(op, h)
	if err != nil {
		return otp.Pad{}, err
	}
	from, end := h.Pos, h.Pos+uint64(h.PadLen())
	to := h.Pos + aligned(uint64(h.PadLen()))
	ctx, cancel := context.WithTimeoutCause(ctx, l.cfg.Wait, errNeverCame)
	defer cancel()
	for {
		l.mu.Lock()
		changed := l.changed
		here, err := l.lookup(op, n, from, to)
		if here {
			pad := otp.NewPad(n.id, l.cfg.Epoch, from, n.at(from / n.u).guard[:], n.ring.at(from, end), func() { l.erasedView(n, from, to) })
			l.mu.Unlock()
			n.ring.fetch(end)
			return pad, nil
		}
		if n.waitingToErase() {
			poke(l.sweepC)
		}
		l.mu.Unlock()
		if err != nil {
			return otp.Pad{}, err
		}
		if err := l.await(ctx, op, changed); err != nil {
			if errors.Is(err, errNeverCame) {
				err = qsc.E(op, qsc.Exhausted, string(l.cfg.Link), "the key block of position %d did not come within %v", from, l.cfg.Wait)
			}
			return otp.Pad{}, err
		}
	}
}

var errNeverCame = errors.New("the wait for a key block ended")

// Consume implements keymgmt.Ledger.
//
// Order: marks that cover the stretch are durable (commit), then it counts as
// consumed and Consume returns.
func (l *Ledger) Consume(h otp.Header) error {
	const op = "ledger.Consume"
	n, err := l.receiving(op, h)
	if err != nil {
		return err
	}
	size := uint64(h.PadLen())
	for {
		done, err := l.consume(op, n, h.Pos, size)
		if done || err != nil {
			return err
		}
		if err := l.markUpTo(n, h.Pos, aligned(size)); err != nil {
			return l.wrap(op, err)
		}
	}
}

// consume takes the stretch if its mark is durable; else it reports false.
func (l *Ledger) consume(op string, n *lane, from, size uint64) (bool, error) {
	to := from + aligned(size)
	l.mu.Lock()
	defer l.mu.Unlock()
	here, err := l.lookup(op, n, from, to)
	if err != nil {
		return false, err
	}
	if !here {
		return false, qsc.E(op, qsc.Exhausted, string(l.cfg.Link), "the key block of position %d is not here", from)
	}
	if to > n.mark {
		return false, nil
	}
	if control(n.id) {
		n.raise(from) // handshakes come in order; older ones are dead
	}
	if err := n.consume(from, to); err != nil {
		return false, l.wrap(op, err)
	}
	n.seen = max(n.seen, to)
	n.open[from] = n.spend(from, size)
	n.dropTail()
	return true, nil
}

// receiving checks h against the geometry and returns its lane.
func (l *Ledger) receiving(op string, h otp.Header) (*lane, error) {
	bad := func(format string, args ...any) (*lane, error) {
		return nil, qsc.E(op, qsc.Invalid, string(l.cfg.Link), format, args...)
	}
	if h.Lane >= keymgmt.Lanes || sends(h.Lane, l.cfg.End) {
		return bad("lane %d is not one this end receives on", h.Lane)
	}
	if h.Epoch != l.cfg.Epoch {
		return bad("a frame of epoch %d on a link of epoch %d: provision both ends together", h.Epoch, l.cfg.Epoch)
	}
	n, size := l.lanes[h.Lane], uint64(h.PadLen())
	if h.Pos%otp.Align != 0 || h.Pos > noEnd-size || aligned(size) > n.ring.toWrap(h.Pos) {
		return bad("no pad of %d bytes lies at %d", size, h.Pos)
	}
	if in := h.Pos % n.u; control(h.Lane) && (size != keymgmt.SlotSize || in%keymgmt.SlotSize != 0 || in+size > n.u) {
		return bad("no handshake slot lies at %d", h.Pos)
	}
	return n, nil
}

// lookup reports whether all of [from, to) is here and unused; false without an
// error means that a block may still come. mu is held.
func (l *Ledger) lookup(op string, n *lane, from, to uint64) (bool, error) {
	if err := l.open(op); err != nil {
		return false, err
	}
	if err := n.win.Check(from, int(to-from)); err != nil {
		if control(n.id) {
			return false, qsc.E(op, qsc.Conflict, string(l.cfg.Link), "a handshake that was used before: a replay, or the peer's key ledger is an old copy (then stop both nodes, remove links/%s below both their directories, and start anew): %w", l.cfg.Link, err)
		}
		return false, l.wrap(op, err)
	}
	here := true
	for i := from / n.u; i <= (to-1)/n.u; i++ {
		switch b := n.at(i); {
		case n.has(i):
		case b.index == i && b.state == burnt, b.index == i && b.state == gone:
			return false, qsc.E(op, qsc.Conflict, string(l.cfg.Link), "the key at %d was burnt", from)
		case i < n.nextIndex:
			return false, qsc.E(op, qsc.Exhausted, string(l.cfg.Link), "the key block of position %d never came", from)
		default:
			here = false
		}
	}
	return here, nil
}

// erasedView is called when a viewed pad has been overwritten in memory.
func (l *Ledger) erasedView(n *lane, from, to uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := n.open[from]
	if e == nil || e.to != to {
		return
	}
	delete(n.open, from)
	l.finish(n, e)
}
