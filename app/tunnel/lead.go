package tunnel

import (
	"context"
	"net"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Event is what happened, for logs and metrics. It carries no key.
type Event struct {
	ID   qsc.KeyID     // zero when none was drawn
	Step string        // the step that ended or failed: "settle" ends a rotation
	Took time.Duration // of the whole rotation; leader only
	Err  error
}

// Times of the leader that no caller has needed to change.
const (
	stepTime  = 15 * time.Second       // for one step and its answer
	endTime   = 30 * time.Second       // for a commit, once begun, whose caller has gone
	tries     = 4                      // of a step whose answer stays away
	firstWait = 250 * time.Millisecond // between these, doubling
)

// Leader is the end that draws keys and decides: the master.
type Leader struct {
	Tunnel string       // the same name at both ends
	Keys   MasterSource //
	End    End          //
	State  State        // remembers the last settled ID; zero: memory only
	// Dial opens an authenticated control connection (Dialer).
	Dial   func(ctx context.Context) (net.Conn, error)
	Report func(Event) // nil: none

	undo qsc.KeyID // given up here; the follower may still have it in use
	peer *control
}

// Run rotates at once and then every interval until ctx ends; it returns nil
// then, after a rotation that has come to its commit has ended. After a failure it tries again sooner: after a second, two, four and so
// on, at most interval.
func (l *Leader) Run(ctx context.Context, interval time.Duration) error {
	defer l.hangUp()
	again := time.Second
	for {
		wait := interval
		if l.Rotate(ctx) != nil {
			wait = min(again, interval)
			again = min(2*again, interval)
		} else {
			again = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Rotate draws one key and puts it in use at both ends. After an error both
// ends use the old key, or the next Rotate makes them agree. Errors: those of
// the source, the ends and the connection.
func (l *Leader) Rotate(ctx context.Context) error {
	start := time.Now()
	id, step, err := l.rotate(ctx)
	if l.Report != nil {
		l.Report(Event{ID: id, Step: step, Took: time.Since(start), Err: err})
	}
	return err
}

// rotate also says how far it came.
func (l *Leader) rotate(ctx context.Context) (id qsc.KeyID, step string, err error) {
	if err := l.ask(ctx, opHello, id); err != nil {
		return id, opHello, err
	}
	l.undo = qsc.KeyID{}
	id, secret, err := l.Keys.Next(ctx)
	if err != nil {
		return id, "draw", err
	}
	if secret.Len() != KeySize {
		n := secret.Len()
		secret.Zeroise()
		return id, "draw", qsc.E("tunnel.Rotate", qsc.Invalid, "", "the node gave a key of %d bytes, not %d: ask for keys of 256 bits", n, KeySize)
	}
	if err := l.ask(ctx, opPrepare, id); err != nil {
		secret.Zeroise()
		l.giveUp(ctx, id, false)
		return id, opPrepare, err
	}
	if err := l.End.Stage(ctx, Key{ID: id, Secret: secret}); err != nil {
		l.giveUp(ctx, id, true)
		return id, opPrepare, err
	}
	return l.commit(ctx, id)
}

// commit takes two staged ends to the new key: the follower first, so that the
// leader, which knows both outcomes, decides. It is not broken off by a caller
// who leaves: that would leave open what takes moments to end.
func (l *Leader) commit(ctx context.Context, id qsc.KeyID) (qsc.KeyID, string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if err := l.ask(ctx, opSwitch, id); err != nil {
		l.giveUp(ctx, id, true)
		return id, opSwitch, err
	}
	if err := l.End.Switch(ctx, id); err != nil {
		l.giveUp(ctx, id, true)
		return id, opSwitch, err
	}
	// Both use the new key. What fails from here on is mended by the next hello,
	// which settles what it does not undo.
	if err := l.End.Settle(ctx, id); err != nil {
		return id, opSettle, err
	}
	if err := l.State.write(l.Tunnel, id); err != nil {
		return id, opSettle, err
	}
	return id, opSettle, l.ask(ctx, opSettle, id)
}

// giveUp takes both ends back to the old key. The caller may have gone, so it
// has its own time.
func (l *Leader) giveUp(ctx context.Context, id qsc.KeyID, own bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
	defer cancel()
	l.undo = id
	if own {
		if err := l.End.Revert(ctx, id); err != nil && l.Report != nil {
			l.Report(Event{ID: id, Step: opRevert, Err: err})
		}
	}
	_, _ = l.askOnce(ctx, opRevert, id) // else the next hello does it
}

// ask takes the follower through one step, over a new connection when the old
// one has gone. Every step may be asked for again.
func (l *Leader) ask(ctx context.Context, op string, id qsc.KeyID) error {
	wait := firstWait
	for try := 1; ; try++ {
		lost, err := l.askOnce(ctx, op, id)
		if err == nil || try == tries || !lost {
			return err
		}
		select {
		case <-ctx.Done():
			return qsc.E("tunnel.Ask", qsc.Timeout, "", "stopped while the other end did not answer: %w", err)
		case <-time.After(wait):
			wait *= 2
		}
	}
}

// askOnce also reports whether it is not known what the follower did: nobody
// answered. A follower that answers with a failure has done what it says.
func (l *Leader) askOnce(ctx context.Context, op string, id qsc.KeyID) (lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if l.peer == nil {
		c, err := l.Dial(ctx)
		if err != nil {
			return silent(err), err
		}
		l.peer = newControl(c)
	}
	r := request{Op: op, Tunnel: l.Tunnel}
	if id != (qsc.KeyID{}) {
		r.ID = id.String()
	}
	if l.undo != (qsc.KeyID{}) {
		r.Undo = l.undo.String()
	}
	a, err := l.peer.ask(ctx, r)
	if err != nil {
		l.hangUp()
		return silent(err), err
	}
	return false, a.err()
}

func silent(err error) bool { return qsc.IsKind(err, qsc.Unreachable) || qsc.IsKind(err, qsc.Timeout) }

func (l *Leader) hangUp() {
	if l.peer != nil {
		_ = l.peer.c.Close()
		l.peer = nil
	}
}
