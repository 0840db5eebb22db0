// Package quantum is the door of the quantum layer: the contract by which any
// QKD link, real, couriered or simulated, hands the same key blocks to the
// nodes at both of its ends.
//
// It does not store key, split it by direction or account for it: that is the
// key ledger's duty (package keymgmt). Rooms: preshared, simulated.
package quantum

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// KeyBlock is one block of secret key, bit for bit the same at both ends of a
// link. The names follow ETSI GS QKD 015 and ITU-T Y.3803.
type KeyBlock struct {
	Link  qsc.LinkID
	ID    qsc.KeyID  // the same at both ends; says nothing of stock
	Epoch uint32     // rises when the link is provisioned anew
	Seq   uint64     // place in the link's stream, from 0; never used twice in an epoch
	Key   qsc.Secret // exactly the link's block length; owned by the receiver

	QBER       float64 // quantum bit error rate, 0 to 1; 0 where it has no meaning
	Efficiency float64 // reconciliation efficiency f ≥ 1; 0 where it has no meaning
	EpsSec     float64 // secrecy parameter of the bound; 0 is perfect
	EpsCor     float64 // correctness parameter; 0 is perfect
	Bound      string  // the bound that gave the length, "couriered", "simulated" or whose word it is; at most 24 bytes are kept
	Round      uint64  // of distillation, whose Record says under what it was made; else 0
	Class      qsc.Class
	ProducedAt time.Time
}

// Status is what a link tells of itself.
type Status struct {
	Kind      string        // "preshared", "simulated", …
	Rate      qsc.BitRate   // secret key rate; 0 for a finite stock
	NextBlock time.Duration // until the next block is expected; negative: never
	Waiting   int64         // bytes made and not yet taken
	QBER      float64
	F         float64 // reconciliation efficiency seen last; 0 where it has no meaning
	Bound     string  // what gives the length of the key
	Device    string  // the preset of the device, "" where there is none
	Alarm     string  // empty, or what is wrong and what to do, in words
	Class     qsc.Class
}

// Link is one end of a QKD link. Both ends deliver the same blocks under the
// same Seq; an end may miss blocks that the other has.
//
// A Link is used by one goroutine at a time, Status and Close by any.
type Link interface {
	// Next returns the next block whose Seq the caller wants, in rising order
	// for those wanted. A finite stock keeps the unwanted for later; a live
	// source, which cannot hold them, loses them. It waits until a block comes.
	//
	// Errors: Timeout when ctx ends; Exhausted when a finite stock is empty and
	// stays so until it is provisioned (the call may be made again); Corrupt or
	// Tampered when stored blocks are damaged; Unreachable when the device is
	// gone.
	Next(ctx context.Context, want func(seq uint64) bool) (KeyBlock, error)

	// Accept says that the block is durable at the caller. The link erases its
	// own copy. A block not accepted before a crash is delivered again or lost,
	// never altered.
	Accept(b KeyBlock) error

	// Status is cheap and never blocks.
	Status() Status

	// Close stops a waiting Next with Unreachable and erases what is in memory.
	Close() error
}
