// Package distill makes key of what two quantum devices have measured, at both
// ends of a link, over a public channel that it authenticates: sifting, parameter
// estimation, reconciliation, verification, privacy amplification.
//
// What belongs to one kind of device (sifting, estimation, the length of the key)
// is a Protocol; how errors are corrected is a Reconciler. The package knows
// neither optics nor codes, keeps no key once its caller has it, and routes
// nothing.
package distill

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Role is an end's part. Alice's bits are the key: she is the reference of
// reconciliation in either direction of the light. Where the receiver's data
// are the reference (reverse reconciliation), the receiver has the role Alice.
type Role uint8

// The two roles.
const (
	Alice Role = iota // end 0 of the link: listens
	Bob               // end 1: calls, corrects
)

// Bits are N bits in words: bit i is W[i/64]>>(i%64)&1. Bits beyond N are 0.
type Bits struct {
	W []uint64
	N int
}

// NewBits returns n zero bits.
func NewBits(n int) Bits { return Bits{make([]uint64, (n+63)/64), n} }

// Bit returns bit i, 0 or 1.
func (b Bits) Bit(i int) uint64 { return b.W[i>>6] >> (i & 63) & 1 }

// Set makes bit i v's lowest bit.
func (b Bits) Set(i int, v uint64) {
	b.W[i>>6] = b.W[i>>6]&^(1<<(i&63)) | v&1<<(i&63)
}

// Zeroise erases the bits.
func (b Bits) Zeroise() { clear(b.W) }

// Wire carries the public messages of one round, in order. Both ends put every
// message into the transcript that is authenticated at the round's end, so what
// is received is not to be trusted before: it may cost key, never secrecy.
type Wire interface {
	// Send sends a message of a type. It may return before the other end has it.
	// msg is the caller's again after the call. Errors: Unreachable, Timeout.
	Send(ctx context.Context, typ byte, msg []byte) error

	// Receive returns the next message, which must be of the type and at most max
	// bytes. It belongs to the caller until the next Receive. Errors: Corrupt for
	// another type or a longer message, Unreachable, Timeout.
	Receive(ctx context.Context, typ byte, max int) ([]byte, error)
}

// MaxMessage bounds one message. Longer lists go in several.
const MaxMessage = 4 << 20

// The types of message: each stage its own range, so that ends that are out of
// step notice.
const (
	TypeSift      byte = 0x10 // to 0x2f: protocols
	TypeReconcile byte = 0x30 // to 0x4f: reconcilers
	TypeEngine    byte = 0x50 // to 0x6f: the engine
)

// Start says where a round's raw data begin.
type Start struct {
	Round uint64
	At    time.Time // Alice's proposal that Bob took; events before it are not used
}

// Sifted is one end's raw key of a round. The two ends differ in a fraction of
// its bits.
type Sifted struct {
	Bits    Bits
	QBER    float64   // estimate to begin reconciliation with, the same at both ends
	Agreed  bool      // the protocol has reconciled already (continuous variables)
	Leak    int64     // bits that the protocol has disclosed about Bits so far
	Frame   int       // bits in a frame, where Agreed; the last may be shorter
	Failed  []int     // frames that did not reconcile, where Agreed; the same at both ends
	Errors  int64     // corrected, where Agreed
	Until   time.Time // the raw data's end: the next round begins here
	Private any       // the protocol's counts, handed back to Length
}

// Outcome is what is left after reconciliation and verification.
type Outcome struct {
	Sifted  int64 // bits that went in
	Kept    int64 // bits in frames that were verified
	Leak    int64 // bits disclosed about kept and dropped frames, verification not included
	Verify  int64 // bits of the hashes that verified the frames
	Errors  int64 // corrected in the kept frames; exact at both ends
	Frames  int
	Dropped int
	EpsCor  float64 // probability that a kept frame differs
}

// Length is how much of the kept bits is secret.
type Length struct {
	Bits   int64 // ≤ Kept; ≤ 0: no key
	Bound  string
	EpsSec float64
	EpsCor float64
	Phi    float64        // phase error bound, 0 where it has no meaning
	Params map[string]any // every parameter and count that the length rests on
}

// Progress is how far a protocol is with gathering the round's data.
type Progress struct {
	Fraction float64       // 0 to 1
	Left     time.Duration // until the block is full
	QBER     float64       // seen last, 0 to 1
	Sifted   qsc.BitRate   // seen last
	Alarm    string        // empty, or what is wrong with the device, in words
}

// Protocol is one end of a kind of device. Calls of Sift come one after another;
// Length is called once for each, and may be called while the next Sift runs.
// Progress and Close are called by any goroutine at any time.
type Protocol interface {
	// Sift gathers one block of raw data from start.At on, at the pace of the
	// device, and sifts it with the other end. Everything it discloses goes over w.
	//
	// Errors: Scarce when too little was detected in the time that the device
	// allows, Noisy when the error rate leaves no hope of key, Corrupt when the
	// other end says what cannot be, and those of w. Both ends fail or neither,
	// unless w fails.
	Sift(ctx context.Context, w Wire, start Start) (*Sifted, error)

	// Length applies the bound to what was counted, never to what was expected.
	// Both ends come to the same result. Errors: Scarce, Noisy.
	Length(s *Sifted, o Outcome) (Length, error)

	Progress() Progress
	Close() error
}

// Corrected is a reconciler's result. At Bob, Bits are what Alice's should be.
type Corrected struct {
	Bits   Bits
	Leak   int64 // bits disclosed, by both ends
	Frame  int   // bits in a frame; the last may be shorter
	Failed []int // frames that the reconciler knows to have failed; the same at both ends
}

// Reconciler corrects Bob's errors.
type Reconciler interface {
	// Reconcile may change bits in place and returns them or others. qber is the
	// same at both ends. Errors: Noisy where the errors are more than it can
	// correct, Corrupt, and those of w.
	Reconcile(ctx context.Context, w Wire, role Role, bits Bits, qber float64) (Corrected, error)
}

// Setup is what a protocol's end is opened with.
type Setup struct {
	Role    Role
	World   quantum.World
	Channel quantum.Channel
	Now     func() time.Time // nil: time.Now
	Pace    bool             // wait until the device would have measured; else as fast as it goes
}

// Runnable is a device with an event level.
type Runnable interface {
	quantum.Device
	// Protocol opens one end. Error: Invalid.
	Protocol(Setup) (Protocol, error)
}
