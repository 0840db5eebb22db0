package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Bounds of the control port. A leader needs one connection; the others leave
// room for strangers, who are gone when they have not said who they are in time.
const (
	maxPeers = 64
	hello    = 5 * time.Second // to show a certificate
	idle     = 2 * time.Minute // that a leader may say nothing
)

// Follower is the end that is told when to change: the slave.
type Follower struct {
	Tunnel string      // the same name at both ends
	Keys   SlaveSource //
	End    End         //
	State  State       // remembers the last settled ID; zero: memory only
	Report func(Event) // nil: none; called from the serving goroutine

	mu       sync.Mutex // one step at a time
	staged   qsc.KeyID  // zero: none
	ready    bool       // staged can be switched to
	switched bool       // staged is in use here
	last     qsc.KeyID
	loaded   bool
}

// Serve answers leaders on ln, whose connections are authenticated already
// (Listen), until ctx ends. It closes ln and returns nil then.
func (f *Follower) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	defer ln.Close()
	var serving sync.WaitGroup
	defer serving.Wait()
	slots := make(chan struct{}, maxPeers)
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return qsc.E("tunnel.Serve", qsc.Unreachable, "", "the control port is gone: %w", err)
		}
		select {
		case slots <- struct{}{}:
			serving.Go(func() {
				defer func() { <-slots }()
				f.serve(ctx, c)
			})
		default: // a peer that opens many keeps those it has
			_ = c.Close()
		}
	}
}

// serve answers one connection until it ends.
func (f *Follower) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if t, ok := c.(*tls.Conn); ok {
		_ = t.SetDeadline(time.Now().Add(hello))
		if t.HandshakeContext(ctx) != nil {
			return
		}
	}
	r := bufio.NewReaderSize(c, maxLine)
	for {
		_ = c.SetDeadline(time.Now().Add(idle))
		line, err := readLine(r)
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Time{}) // fetching a key has its own time
		a := f.answer(ctx, line)
		_ = c.SetDeadline(time.Now().Add(idle))
		text, _ := json.Marshal(a)
		if _, err := c.Write(append(text, '\n')); err != nil {
			return
		}
	}
}

// answer takes one request through one step.
func (f *Follower) answer(ctx context.Context, line []byte) answer {
	r, id, undo, err := decodeRequest(line)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && r.Tunnel != f.Tunnel {
		err = qsc.E("tunnel.Follower", qsc.NotFound, "", "this end serves tunnel %q, not %q: give both ends the same name", f.Tunnel, r.Tunnel)
	}
	if err == nil {
		f.load()
		err = f.step(ctx, r.Op, id, undo)
	}
	if f.Report != nil && (err != nil || r.Op == opSettle) {
		f.Report(Event{ID: id, Step: r.Op, Err: err})
	}
	a := answer{}
	if f.last != (qsc.KeyID{}) {
		a.Last = f.last.String()
	}
	if err != nil {
		a.Kind, a.Error = qsc.KindOf(err), limit(err.Error(), maxLine/4)
	}
	return a
}

func (f *Follower) load() {
	if !f.loaded {
		f.last, _ = f.State.read()
		f.loaded = true
	}
}

func (f *Follower) step(ctx context.Context, op string, id, undo qsc.KeyID) error {
	switch op {
	case opHello:
		return f.resolve(ctx, undo)
	case opPrepare:
		return f.prepare(ctx, id, undo)
	case opSwitch:
		return f.change(ctx, id)
	case opSettle:
		return f.settle(ctx, id)
	case opRevert:
		return f.revert(ctx, id)
	}
	return qsc.E("tunnel.Follower", qsc.Unsupported, "", "unknown operation %q: run the same version at both ends", limit(op, 40))
}

// resolve ends what a lost connection left open: a key the leader gave up is
// undone, any other that is in use here stays in use.
func (f *Follower) resolve(ctx context.Context, undo qsc.KeyID) error {
	switch {
	case f.staged == qsc.KeyID{}:
		return nil
	case f.switched && f.staged != undo:
		return f.settle(ctx, f.staged)
	}
	return f.revert(ctx, f.staged)
}

func (f *Follower) prepare(ctx context.Context, id, undo qsc.KeyID) error {
	if f.staged == id && f.ready {
		return nil
	}
	if err := f.resolve(ctx, undo); err != nil {
		return err
	}
	secret, err := f.Keys.ByID(ctx, id)
	if err != nil {
		return err
	}
	if secret.Len() != KeySize {
		n := secret.Len()
		secret.Zeroise()
		return qsc.E("tunnel.Prepare", qsc.Invalid, "", "the node gave a key of %d bytes, not %d: ask for keys of 256 bits", n, KeySize)
	}
	f.staged, f.ready, f.switched = id, false, false
	if err := f.End.Stage(ctx, Key{ID: id, Secret: secret}); err != nil {
		_ = f.revert(ctx, id) // else the next hello does it
		return err
	}
	f.ready = true
	return nil
}

func (f *Follower) change(ctx context.Context, id qsc.KeyID) error {
	if err := f.expect(id); err != nil || f.switched {
		return err
	}
	if !f.ready {
		return qsc.E("tunnel.Change", qsc.Conflict, "", "key %s could not be staged here: begin again with a new key", id)
	}
	if err := f.End.Switch(ctx, id); err != nil {
		return err
	}
	f.switched = true
	return nil
}

func (f *Follower) settle(ctx context.Context, id qsc.KeyID) error {
	if f.staged == (qsc.KeyID{}) && f.last == id {
		return nil // asked again
	}
	if err := f.expect(id); err != nil {
		return err
	}
	if !f.switched {
		return qsc.E("tunnel.Settle", qsc.Conflict, "", "key %s is not in use here yet", id)
	}
	if err := f.End.Settle(ctx, id); err != nil {
		return err
	}
	f.staged, f.ready, f.switched, f.last = qsc.KeyID{}, false, false, id
	return f.State.write(f.Tunnel, id)
}

func (f *Follower) revert(ctx context.Context, id qsc.KeyID) error {
	if f.staged != id || id == (qsc.KeyID{}) {
		if f.last == id && id != (qsc.KeyID{}) {
			return qsc.E("tunnel.Revert", qsc.Conflict, "", "key %s is settled and its predecessor forgotten", id)
		}
		return nil
	}
	if err := f.End.Revert(ctx, id); err != nil {
		return err
	}
	f.staged, f.ready, f.switched = qsc.KeyID{}, false, false
	return nil
}

func (f *Follower) expect(id qsc.KeyID) error {
	if f.staged == id && id != (qsc.KeyID{}) {
		return nil
	}
	return qsc.E("tunnel.Follower", qsc.Conflict, "", "key %s is not staged here; this end was restarted: begin again with a new key", id)
}

func limit(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
