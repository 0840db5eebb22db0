package twins

import (
	"context"
	"math"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Keys are some of a vendor's keys.
type Keys struct {
	IDs   []qsc.KeyID
	Size  int        // bytes of each
	Bytes qsc.Secret // one after the other; the receiver's
	Class qsc.Class  // what is known of them beyond the link's
}

// Limits are what a source can give.
type Limits struct {
	Size  int64 // bytes of each key, at least 8, at most a block's length
	Batch int64 // keys in one call, at most 65,535
}

// maxBatch is what a list can say.
const maxBatch = math.MaxUint16

// Source is one end of a vendor's system. Its calls come one after another, each of
// its link's own. A call that fails with Exhausted, Unreachable or Timeout is made
// again, after a while of the source's choosing (Later) or else a growing one; other
// errors cost the block.
type Source interface {
	// Limits is asked once, at the master.
	Limits(ctx context.Context, block int64) (Limits, error)
	// Draw gives n keys that it has never given and never gives again: at the
	// master.
	Draw(ctx context.Context, n int) (*Keys, error)
	// Twins gives the keys of those names, in that order: at the slave. It does not
	// give a key twice if it can tell.
	Twins(ctx context.Context, ids []qsc.KeyID) (*Keys, error)
}

// MaxHeld is how many names are told at once.
const MaxHeld = 2048

// Sharer is a Source of which an end may lack keys that the other has. The slave's
// tells what it holds, the master's draws what both have.
type Sharer interface {
	Source
	// Held returns at most MaxHeld names that it has not returned before, none when
	// there are no more: at the slave. anew begins again with all that it holds.
	Held(anew bool) []qsc.KeyID
	// Shared takes what the other end holds, at the master: more of it, or anew.
	Shared(anew bool, ids []qsc.KeyID)
}

// Warner is a Source with something to say in the link's status.
type Warner interface {
	// Alarm is empty, or what is wrong, in words. It is cheap.
	Alarm() string
}

// Later is an error that says when to ask again.
type Later struct {
	Err   error
	After time.Duration
}

// Error is Err's.
func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns Err.
func (l *Later) Unwrap() error { return l.Err }
