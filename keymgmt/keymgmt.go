// Package keymgmt is the door of the key management layer: the contract of the
// key ledger, which stores the key of one link end, hands every byte out once
// and accounts for it.
//
// It seals and opens nothing itself (package its/otp) and moves nothing
// (package transport). Room: ledger.
package keymgmt

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

// The four lanes of a link. End A is the first end named in the network
// description. Every key block belongs to one lane by its Seq alone, so two
// ends never contend for a bit.
const (
	DataAB    otp.Lane = iota // pads of frames from A to B
	DataBA                    // pads of frames from B to A
	ControlAB                 // one-slot pads of A's handshakes
	ControlBA                 // one-slot pads of B's handshakes
	Lanes     = 4
)

// lanePeriod blocks hold one control block for each direction and share the
// rest evenly between the two data lanes.
const lanePeriod = 256

// SlotSize is the length of a control slot in bytes: one handshake frame.
const SlotSize = 1024

// PadSize returns how many pad bytes a key block of the given length yields: the
// first otp.GuardSize bytes of every block are its guard and never pad.
func PadSize(block int64) int64 { return block - otp.GuardSize }

// LaneOf maps a block's Seq to its lane and to its index in that lane. The pad
// position of the block's first pad byte is index × PadSize(block length).
func LaneOf(seq uint64) (lane otp.Lane, index uint64) {
	period, r := seq/lanePeriod, seq%lanePeriod
	switch {
	case r == 0:
		return ControlAB, period
	case r == 1:
		return ControlBA, period
	case r%2 == 0:
		return DataAB, period*(lanePeriod/2-1) + r/2 - 1
	default:
		return DataBA, period*(lanePeriod/2-1) + r/2 - 1
	}
}

// SeqOf is the inverse of LaneOf.
func SeqOf(lane otp.Lane, index uint64) uint64 {
	const perPeriod = lanePeriod/2 - 1
	switch lane {
	case ControlAB:
		return index * lanePeriod
	case ControlBA:
		return index*lanePeriod + 1
	default:
		return index/perPeriod*lanePeriod + (index%perPeriod+1)*2 + uint64(lane)
	}
}

// Use says what a pad is reserved for.
type Use uint8

// The uses of a sending pad.
const (
	Data    Use = iota // a frame of a session
	Control            // a handshake: always exactly SlotSize bytes
)

// Ledger is one end of one link: a ring of key blocks on disk for every lane.
// Sending pads come from this end's two sending lanes, receiving pads from the
// peer's. All methods may be called from several goroutines.
//
// The rule of every method: durably mark, then use. A crash burns key; it never
// lets a byte serve twice.
type Ledger interface {
	// Reserve takes the next pad of the sending lane, at least min and at most
	// max bytes long and contiguous; for Control, one slot whatever min and max.
	// The pad is durably marked as used before Reserve returns. When the lane is
	// empty Reserve waits for key as long as ctx allows, if the link makes key.
	//
	// min is at most PadSize of a block. Fewer than min bytes before a missing
	// block or the end of the ring are burnt. The pad must be spent (sealed or
	// burnt) soon: it holds its ring slot until then.
	//
	// Errors: Exhausted when the lane is empty and the link is a finite stock
	// (the text says how to provision); Timeout when ctx ends first; NoSpace,
	// Corrupt when the mark cannot be made durable (nothing was reserved);
	// Invalid for an impossible min or max.
	Reserve(ctx context.Context, use Use, min, max int) (otp.Pad, error)

	// View returns the receiving pad that h names, without consuming it. It
	// waits a short time for a block that is still on its way.
	//
	// Errors: Conflict when any byte of it was consumed, burnt or lies below the
	// lane's floor (a replay); Exhausted when the block never came; Invalid when
	// h names no receiving lane, another epoch or an impossible range.
	View(ctx context.Context, h otp.Header) (otp.Pad, error)

	// Consume durably marks the range of h as used. It is called after the tag
	// was verified and before the body is acted on. Errors as View, and NoSpace.
	Consume(h otp.Header) error

	// Marks is this end's half of a reconciliation. A transport that will send
	// frames again within a resumed session lowers the Floor (never the Pos) of
	// its sending data lane to the position of the oldest of them.
	Marks() Marks

	// Reconcile compares the peer's marks with this end's. Whatever one of the
	// two has used, burnt or never received is burnt here, durably. It is called
	// with marks that arrived under a fresh control slot, at every (re)connect.
	// Nothing at or above the Floor of a sending peer is burnt but blocks beyond
	// its Pos that it never got. It is idempotent. Conflict when the epochs
	// differ or the peer's sending state is older than what this end has already
	// received: a restored backup. Invalid for impossible marks.
	Reconcile(peer Marks) error

	// Flush returns when every consumed byte so far is overwritten on the medium.
	Flush(ctx context.Context) error

	// Status is the account of this end.
	Status() Status

	// Close records the exact position and erases what was consumed. It burns
	// only what lies below something already received. Pads still out stay valid.
	Close() error
}

// MaxRanges is how many ranges of present blocks a lane's marks can carry.
const MaxRanges = 12

// Range is a run of block indices of one lane, Last included.
type Range struct{ First, Last uint64 }

// LaneMarks is the state of one lane at one end.
type LaneMarks struct {
	Floor  uint64  // pad position below which nothing is served any more
	Pos    uint64  // sender: position of the next pad, ≥ Floor; receiver: end of the last pad it really received
	Next   uint64  // block index below which every block was received or is lost
	Blocks []Range // blocks present at or above the floor, rising; at most MaxRanges
	More   bool    // there were more ranges: blocks above the last are not spoken of
}

// Marks is what the two ends of a link tell each other at every reconnect.
type Marks struct {
	Epoch uint32
	Lanes [Lanes]LaneMarks
}

// Account is the book of one lane, in pad bytes (PadSize of each block):
// Produced = Used + Burnt + Left.
type Account struct {
	Produced int64 `json:"produced"` // accepted from the link
	Used     int64 `json:"used"`     // given to a frame, sent or received
	Burnt    int64 `json:"burnt"`    // lost to a crash, a gap or a disagreement
	Left     int64 `json:"left"`     // still to be used
	Erased   int64 `json:"erased"`   // of used and burnt: overwritten
	Capacity int64 `json:"capacity"` // of the ring
}

// Balanced reports whether the book closes.
func (a Account) Balanced() bool { return a.Produced == a.Used+a.Burnt+a.Left }

// Status is what a ledger tells of itself.
type Status struct {
	Link      qsc.LinkID
	End       int // 0: this is end A, 1: end B
	Epoch     uint32
	Block     int64 // bytes
	Lanes     [Lanes]Account
	Class     qsc.Class // weakest block accepted in this epoch
	Exhausted bool      // a Reserve is waiting for key now
	Waiting   time.Duration
	Source    quantum.Status
	Alarms    []string
}

// SendData and RecvData return the data lanes of an end, 0 for A and 1 for B.
func SendData(end int) otp.Lane { return DataAB + otp.Lane(end) }

// RecvData returns the lane on which an end receives data.
func RecvData(end int) otp.Lane { return DataAB + otp.Lane(1-end) }

// SendControl returns the control lane on which an end sends.
func SendControl(end int) otp.Lane { return ControlAB + otp.Lane(end) }

// RecvControl returns the control lane on which an end receives.
func RecvControl(end int) otp.Lane { return ControlAB + otp.Lane(1-end) }
