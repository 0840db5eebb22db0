package ikev2

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
	"github.com/quantum-secure-cloud/qsc/app/tunnel/vici"
)

// Initiator is the end that makes the IKE SAs. It leads the tunnel.
type Initiator struct {
	Socket string // of charon, vici.Socket for the usual place
	Conn   *Conn
	// Linger is how long the old IKE SA stays after both ends have turned to the
	// new one, for packets that are still under way; 0: DefaultLinger.
	Linger time.Duration

	staged  qsc.KeyID
	current qsc.KeyID // the PPK_ID that the loaded connection names; zero: none of ours
	before  []string  // IKE SAs from before Stage

	drained func(ctx context.Context, old []string) // of a test: what follows Linger
}

// DefaultLinger is longer than any path, as charon's own delay for rekeyed
// children is.
const DefaultLinger = 3 * time.Second

var _ tunnel.End = (*Initiator)(nil)

// Stage loads the PPK, points the connection at it and makes an IKE SA with its
// child beside the one that is there. Errors: Other with charon's words when the
// new IKE SA does not come up; Conflict when it came up without a PPK.
func (e *Initiator) Stage(ctx context.Context, k tunnel.Key) error {
	defer k.Secret.Zeroise() // charon has its copy
	if err := sized("ikev2.Stage", k); err != nil {
		return err
	}
	d := daemon{e.Socket}
	before, err := d.sas(ctx, e.Conn.Name, e.Conn.Child)
	if err != nil {
		return err
	}
	e.staged, e.before = k.ID, nil
	for _, s := range before {
		e.before = append(e.before, s.id)
	}
	if err := d.loadPPK(ctx, e.Conn.Name, k); err != nil {
		return err
	}
	if err := e.point(ctx, k.ID); err != nil {
		return err
	}
	return e.up(ctx)
}

// point loads the connection with a PPK_ID; a zero one leaves it without.
func (e *Initiator) point(ctx context.Context, id qsc.KeyID) error {
	conn := map[string]string{}
	if id != (qsc.KeyID{}) {
		conn["ppk_id"] = id.String()
	}
	return daemon{e.Socket}.call(ctx, "load-conn", e.Conn.message(conn, nil))
}

// up makes the new IKE SA and looks whether it is what was wanted. charon takes
// the connection's old IKE SA for another one, as its PPK_ID differs.
func (e *Initiator) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	msg := (&vici.Section{}).Set("ike", e.Conn.Name).Set("child", e.Conn.Child).
		Set("timeout", strconv.FormatInt((upTime-time.Second).Milliseconds(), 10)).Set("loglevel", "-1")
	d := daemon{e.Socket}
	if err := d.call(ctx, "initiate", msg); err != nil {
		return err
	}
	all, err := d.sas(ctx, e.Conn.Name, e.Conn.Child)
	if err != nil {
		return err
	}
	for _, s := range all {
		switch {
		case slices.Contains(e.before, s.id) || !s.up:
		case !s.ppk:
			return qsc.E("ikev2.Stage", qsc.Conflict, "", "the new IKE SA of %s does not use the PPK: set ppk_required = yes at both ends", e.Conn.Name)
		default:
			return nil
		}
	}
	return qsc.E("ikev2.Stage", qsc.Other, "", "charon made no new IKE SA of %s: unique = never is needed at both ends", e.Conn.Name)
}

// Switch has nothing to do: charon sends by the newest SA since Stage, which the
// responder has been ready for.
func (e *Initiator) Switch(context.Context, qsc.KeyID) error { return nil }

// Settle closes the old IKE SAs and takes the old PPKs out of charon.
func (e *Initiator) Settle(ctx context.Context, id qsc.KeyID) error {
	if id != e.staged && id != e.current {
		return qsc.E("ikev2.Settle", qsc.Conflict, "", "key %s is not in use", id)
	}
	e.current = id
	if len(e.before) > 0 {
		e.linger(ctx)
	}
	if err := e.close(ctx, func(id string) bool { return slices.Contains(e.before, id) }); err != nil {
		return err
	}
	e.before = nil
	return daemon{e.Socket}.unloadPPKs(ctx, e.Conn.Name, id)
}

// linger waits; a caller who leaves cuts it short.
func (e *Initiator) linger(ctx context.Context) {
	wait := e.Linger
	if wait == 0 {
		wait = DefaultLinger
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	if e.drained != nil {
		e.drained(ctx, e.before)
	}
}

// Revert points the connection back and closes what Stage has made.
func (e *Initiator) Revert(ctx context.Context, id qsc.KeyID) error {
	if id != e.staged || id == e.current {
		return nil
	}
	if err := e.point(ctx, e.current); err != nil {
		return err
	}
	if err := e.close(ctx, func(id string) bool { return !slices.Contains(e.before, id) }); err != nil {
		return err
	}
	e.staged = qsc.KeyID{}
	return daemon{e.Socket}.unloadPPKs(ctx, e.Conn.Name, e.current)
}

// close closes the connection's IKE SAs that which picks.
func (e *Initiator) close(ctx context.Context, which func(id string) bool) error {
	d := daemon{e.Socket}
	all, err := d.sas(ctx, e.Conn.Name, e.Conn.Child)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !which(s.id) {
			continue
		}
		msg := (&vici.Section{}).Set("ike-id", s.id).Set("timeout", "5000").Set("loglevel", "-1")
		if err := d.call(ctx, "terminate", msg); err != nil && d.has(ctx, e.Conn, s.id) {
			return err
		}
	}
	return nil
}

// has reports whether an IKE SA is still there.
func (d daemon) has(ctx context.Context, conn *Conn, id string) bool {
	all, err := d.sas(ctx, conn.Name, conn.Child)
	return err != nil || slices.ContainsFunc(all, func(s sa) bool { return s.id == id })
}
