// Package tunnel brings keys of the network into the encryptors that people
// own: it changes the key of a tunnel at both of its ends in step, over and
// over, while traffic flows.
//
// One end leads, the other follows. The leader draws a key from its node, tells
// the follower the key's ID over a control connection (mutual TLS, IDs only),
// and both move from the old key to the new one in four steps, each of which can
// be undone until both have taken the last but one. Rooms: wireguard (pre-shared
// key of a peer), ikev2 (post-quantum pre-shared key of strongSwan, RFC 8784),
// which speak to the running program through its own control socket.
//
// It does not encrypt traffic, does not write a key anywhere but into the
// encryptor, and makes no security class better: what the encryptor does with
// the key is computational.
package tunnel

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
)

// KeySize is the length in bytes of the keys that both encryptors take: 256
// bits (RFC 8784 5.1 asks for at least as many; WireGuard takes no other).
const KeySize = 32

// Key is a key and its public name. Whoever is given one owns its bytes.
type Key struct {
	ID     qsc.KeyID
	Secret qsc.Secret
}

// MasterSource yields fresh keys that the follower's SlaveSource will know by
// ID: enc_keys of ETSI GS QKD 014.
type MasterSource interface {
	// Next draws one key of KeySize bytes. Errors: Exhausted, Denied,
	// Unreachable.
	Next(ctx context.Context) (qsc.KeyID, qsc.Secret, error)
}

// SlaveSource yields the other copy: dec_keys of ETSI GS QKD 014.
type SlaveSource interface {
	// ByID fetches a key once. Errors: NotFound, Denied, Unreachable.
	ByID(ctx context.Context, id qsc.KeyID) (qsc.Secret, error)
}

// End is one encryptor. Its four steps are called in order and not at the same
// time, and may be called again with the same ID when an answer was lost.
type End interface {
	// Stage takes ownership of k, also when it fails, and makes all ready; traffic
	// goes on under the old key.
	Stage(ctx context.Context, k Key) error
	// Switch puts the staged key in use and keeps what Revert needs.
	Switch(ctx context.Context, id qsc.KeyID) error
	// Settle forgets the old key: both ends use the new one.
	Settle(ctx context.Context, id qsc.KeyID) error
	// Revert goes back to the old key, from whatever step failed.
	Revert(ctx context.Context, id qsc.KeyID) error
}
