package keymgmt

import (
	"context"

	"github.com/quantum-secure-cloud/qsc"
)

// Path names the nodes that key passes, from the node that asks for it to the
// node it is shared with, both included and none twice. A path of two nodes is
// a link.
type Path []qsc.NodeID

// Hops returns the number of links on the path.
func (p Path) Hops() int { return len(p) - 1 }

// Protection says over how many paths a key is made and how many of them it
// takes to know it. Need = Paths is the XOR of all sub-keys; Need < Paths makes
// them Shamir shares, so that Paths-Need paths may be lost unnoticed. The zero
// value is one path.
type Protection struct {
	Paths int `json:"paths" toml:"paths"` // m, 1 to MaxPaths
	Need  int `json:"need" toml:"need"`   // t, 1 ≤ t ≤ m; 0 means m
}

// MaxPaths bounds the paths of one key.
const MaxPaths = 8

// Route is how a node reaches another now.
type Route struct {
	Paths    []Path // at least one; all begin and end at the same two nodes
	Need     int    // of Protection
	Disjoint bool   // no node but the ends, and no link, is on two paths
	Epoch    uint64 // of the controller that gave it; 0: found by the node itself
}

// RouteSource gives a node its routes. Control fills it; a node without a
// controller finds its own.
type RouteSource interface {
	// Route returns the route to use now. Where the network has not as many
	// disjoint paths as p asks for, the paths are maximally disjoint and Disjoint
	// is false; there may be fewer of them, never fewer than one.
	// Errors: NotFound when no path leads there; Invalid for an impossible p.
	Route(to qsc.NodeID, p Protection) (Route, error)
}

// Delivery is one stretch of key that two nodes share, as either end sees it.
type Delivery struct {
	From, To qsc.NodeID // From asked for it
	Label    []byte     // whatever From gave Make; public
	Key      qsc.Secret // owned by the receiver
	Class    qsc.Class  // weakest of all link keys it was made of
	Hops     int        // of the longest path
	Paths    int        // paths that were asked for
	Need     int        // paths one must hold to know the key
	Disjoint bool       // as in Route
}

// Relay makes key that two nodes share, over trusted nodes that do not keep it,
// and carries short public messages between them. In the announce form every
// node between publishes the XOR of its two link keys; an eavesdropper, the
// controller, and any Need-1 of the disjoint paths' relays together learn
// nothing of the key.
type Relay interface {
	// Make returns n key bytes once the other node's Sink has them too. label is
	// at most MaxLabel bytes and reaches the other side in clear.
	//
	// Errors: NotFound without a path; Exhausted when too few paths have key;
	// Unreachable or Timeout when the answer stayed away: the other side may have
	// the key, and Sink decides there what becomes of it; Tampered when the paths
	// do not yield one verified key; Invalid for a bad n or label.
	Make(ctx context.Context, to qsc.NodeID, p Protection, label []byte, n int) (Delivery, error)

	// Tell carries a message of at most MaxTold bytes to any node, authenticated
	// link by link and public, at most once, best effort. Errors: NotFound,
	// Unreachable, Invalid.
	Tell(ctx context.Context, to qsc.NodeID, topic Topic, body []byte) error

	// Receive takes a message that a neighbour's Carrier has sent. It may block
	// to slow the neighbour down.
	Receive(ctx context.Context, peer qsc.NodeID, msg []byte) error

	Status() RelayStatus

	// Close ends every round; waiting calls end with Unreachable.
	Close() error
}

// Bounds of what a relay carries, in bytes.
const (
	MaxRound = 1 << 20  // key of one round
	MaxLabel = 256      //
	MaxTold  = 16 << 10 //
)

// Topic numbers what a public message between two nodes is about. The numbers
// are given out once, here.
type Topic uint8

// The topics.
const (
	TopicSync Topic = 1 + iota // keymgmt/supply: which segments and streams live
	TopicOpen                  // keymgmt/supply: an application stream is opened or closed
	TopicGift                  // keymgmt/supply: a multicast key, under one-time pad
)

// Sink is the far end of Make and Tell. Supply fills it.
type Sink interface {
	// Accept stores a delivery durably before it returns nil; only then does the
	// node that asked for it learn of it. An error refuses it: the key is burnt.
	Accept(d Delivery) error
	// Told takes a message. It must not block.
	Told(from qsc.NodeID, topic Topic, body []byte)
}

// Carrier sends messages to neighbours: in clear, under one-time tags made from
// the link's key, in order, each at most once. transport fills it.
type Carrier interface {
	// Send queues the concatenation of parts and returns; it waits only while the
	// peer is slow. Errors: NotFound without a link, Unreachable while it is down.
	Send(ctx context.Context, peer qsc.NodeID, parts ...[]byte) error
}

// RelayStatus is what a relay tells of itself.
type RelayStatus struct {
	Made     int64 `json:"made"`     // bytes of key made with this node at either end
	Relayed  int64 `json:"relayed"`  // bytes announced as a node between
	Failed   int64 `json:"failed"`   // rounds given up
	Tampered int64 `json:"tampered"` // rounds whose check failed
	Lost     int64 `json:"lost"`     // paths lost without a round failing
	Open     int   `json:"open"`     // rounds under way
}
