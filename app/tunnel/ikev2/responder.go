package ikev2

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
)

// Responder is the end that answers the IKE SAs. It follows.
//
// A responder installs a child a moment before the initiator has it; what it
// sends in this moment under the new child is lost. With Userspace it holds its
// traffic on the old child until Switch (lanes.go).
type Responder struct {
	Socket    string // of charon, vici.Socket for the usual place
	Conn      *Conn
	Userspace bool   // charon encrypts itself (plugin kernel-libipsec)
	Reqid     uint32 // with Userspace: of two free request IDs the first; 0: DefaultReqid

	staged   qsc.KeyID
	current  qsc.KeyID
	lanes    *lanes
	from, to int // lanes of the old and the new child
}

// DefaultReqid is far above those that charon hands out itself.
const DefaultReqid = 715_001

var _ tunnel.End = (*Responder)(nil)

// Stage loads the PPK beside the one in use, and the connection, so that the
// initiator's next IKE SA is taken.
func (e *Responder) Stage(ctx context.Context, k tunnel.Key) error {
	defer k.Secret.Zeroise() // charon has its copy
	if err := sized("ikev2.Stage", k); err != nil {
		return err
	}
	e.staged = k.ID
	if err := (daemon{e.Socket}).loadPPK(ctx, e.Conn.Name, k); err != nil {
		return err
	}
	if !e.Userspace {
		return e.load(ctx, nil)
	}
	if err := e.openLanes(ctx); err != nil {
		return err
	}
	return e.load(ctx, e.lanes.child(e.to))
}

func (e *Responder) load(ctx context.Context, child map[string]string) error {
	return daemon{e.Socket}.call(ctx, "load-conn", e.Conn.message(nil, child))
}

// openLanes looks anew each time: charon may have been restarted.
func (e *Responder) openLanes(ctx context.Context) error {
	first := e.Reqid
	if first == 0 {
		first = DefaultReqid
	}
	l := &lanes{daemon{e.Socket}, e.Conn, first, 0}
	if err := l.open(ctx); err != nil {
		return err
	}
	e.lanes, e.from, e.to = l, l.front, 1-l.front
	return nil
}

// Switch turns outgoing traffic to the new child, where that is in our hand.
func (e *Responder) Switch(ctx context.Context, id qsc.KeyID) error {
	if id != e.staged {
		return qsc.E("ikev2.Switch", qsc.Conflict, "", "key %s is not staged", id)
	}
	if e.lanes == nil {
		return nil
	}
	return e.lanes.turn(ctx, e.to)
}

// Settle takes the old PPKs out of charon. The initiator closes the old IKE SAs.
func (e *Responder) Settle(ctx context.Context, id qsc.KeyID) error {
	if id != e.staged && id != e.current {
		return qsc.E("ikev2.Settle", qsc.Conflict, "", "key %s is not in use", id)
	}
	e.current = id
	return daemon{e.Socket}.unloadPPKs(ctx, e.Conn.Name, id)
}

// Revert turns traffic back and takes the new PPK out.
func (e *Responder) Revert(ctx context.Context, id qsc.KeyID) error {
	if id != e.staged || id == e.current {
		return nil
	}
	if e.lanes != nil {
		if err := e.lanes.turn(ctx, e.from); err != nil {
			return err
		}
		if err := e.load(ctx, e.lanes.child(e.from)); err != nil {
			return err
		}
	}
	e.staged = qsc.KeyID{}
	return daemon{e.Socket}.unloadPPKs(ctx, e.Conn.Name, e.current)
}
