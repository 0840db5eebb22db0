package wireguard

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/app/tunnel"
)

// End is one peer of one device as an end of a tunnel. Both sides of the tunnel
// have one.
type End struct {
	Device Device
	Peer   PeerID

	key  tunnel.Key // staged or in use, until Settle
	old  *qsc.Secret
	done qsc.KeyID // settled last
}

var _ tunnel.End = (*End)(nil)

// Stage reads the key that is in use, so that Revert has it whatever happens to
// this process's memory of earlier ones, and changes nothing. Errors: NotFound
// when the device has no such peer.
func (e *End) Stage(ctx context.Context, k tunnel.Key) error {
	if k.Secret.Len() != tunnel.KeySize {
		k.Secret.Zeroise()
		return qsc.E("wireguard.Stage", qsc.Invalid, "", "a pre-shared key is %d bytes", tunnel.KeySize)
	}
	e.forget()
	e.key = k
	p, err := e.Device.peer(ctx, e.Peer)
	if err != nil {
		return err
	}
	e.old = &p.PSK
	return nil
}

// Switch sets the staged key. The session that runs goes on.
func (e *End) Switch(ctx context.Context, id qsc.KeyID) error {
	if e.key.ID != id || e.old == nil {
		return qsc.E("wireguard.Switch", qsc.Conflict, "", "key %s is not staged", id)
	}
	return e.Device.SetPSK(ctx, e.Peer, e.key.Secret)
}

// Settle wipes both keys from memory; the device has the new one.
func (e *End) Settle(_ context.Context, id qsc.KeyID) error {
	if e.key.ID != id && e.done != id {
		return qsc.E("wireguard.Settle", qsc.Conflict, "", "key %s is not in use", id)
	}
	e.forget()
	e.done = id
	return nil
}

// Revert sets the old key again. Without a staged key there is nothing to undo.
func (e *End) Revert(ctx context.Context, id qsc.KeyID) error {
	if e.key.ID != id {
		return nil
	}
	if e.old != nil {
		if err := e.Device.SetPSK(ctx, e.Peer, *e.old); err != nil {
			return err
		}
	}
	e.forget()
	return nil
}

func (e *End) forget() {
	e.key.Secret.Zeroise()
	e.key = tunnel.Key{}
	if e.old != nil {
		e.old.Zeroise()
		e.old = nil
	}
}

// peer returns one peer; the others' keys are wiped.
func (d Device) peer(ctx context.Context, id PeerID) (found Peer, err error) {
	peers, err := d.Peers(ctx)
	if err != nil {
		return found, err
	}
	known := false
	for _, p := range peers {
		if p.ID == id && !known {
			found, known = p, true
			continue
		}
		p.PSK.Zeroise()
	}
	if !known {
		return found, qsc.E("wireguard.Peer", qsc.NotFound, "", "the device has no peer %s; add it with wg before its key can be rotated", id)
	}
	return found, nil
}

// Handshake returns the peer as the device shows it, its key wiped: to see when
// a new key has been confirmed by a handshake.
func (d Device) Handshake(ctx context.Context, id PeerID) (Peer, error) {
	p, err := d.peer(ctx, id)
	p.PSK.Zeroise()
	return p, err
}
