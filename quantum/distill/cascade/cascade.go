// Package cascade corrects Bob's errors by Cascade, interactively: Alice tells
// parities of ranges of her bits, Bob tells which of them differ from his, and a
// binary search in every range that differs finds an error.
//
// 64 strands of bits lie side by side in words, so that one instruction serves 64
// of them, and all searches of all strands of a call take their next step in one
// message: the number of round trips does not grow with the number of bits.
//
// It does not estimate the error rate, verify that the ends agree, authenticate
// its messages or shorten the key by what it disclosed.
package cascade

import (
	"context"
	"sync"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// The types of message.
const (
	typeBegin  = distill.TypeReconcile + iota // Alice: layout
	typeParity                                // Alice: the parities asked for
	typeTurn                                  // Bob: which of them differ from his, and what he asks next
)

// Bounds of a call.
const (
	maxQBER   = 0.15    // beyond it no protocol has key left
	maxBits   = 1 << 32 // in one call
	maxRounds = 1 << 12 // a hundred to three hundred are usual
	slack     = 1 << 12 // bits that may be disclosed beyond the bits themselves
)

// Config are the settings; both ends have the same. The zero value is usable.
type Config struct {
	// Frame is the greatest length in bits of a strand, and the length of the
	// frames in which the result is to be verified. 1,024 to 65,536; 0: 65,536.
	// Longer strands lose less, shorter ones stay in the processor's caches.
	Frame int
}

// Reconciler is a distill.Reconciler. It keeps its memory, erased, from call to
// call. Calls may be made by several goroutines.
type Reconciler struct {
	frame int

	mu    sync.Mutex
	plans []*plan  // drawn lately, the newest last
	free  []*group // erased
}

var _ distill.Reconciler = (*Reconciler)(nil)

// New returns a Reconciler. A frame length out of range is taken to its bound.
func New(c Config) *Reconciler {
	if c.Frame == 0 {
		c.Frame = maxStrand
	}
	return &Reconciler{frame: min(max(c.Frame, minStrand), maxStrand)}
}

// Reconcile corrects bits in place and returns them. Its class is that of the
// bits. The leak is Alice's parities, each told once; what Bob says are parities
// of the errors and follows from hers and the errors alone (docs/design/cascade.md).
//
// Errors: Noisy when qber is above 15 %, when more is disclosed than there are bits,
// or when the searches do not come to an end; Corrupt when the other end says what
// cannot be; Invalid for bits whose words are not as many as their number wants;
// and those of w. After an error the bits may be changed and are of no use.
func (r *Reconciler) Reconcile(ctx context.Context, w distill.Wire, role distill.Role, bits distill.Bits, qber float64) (distill.Corrected, error) {
	const op = "cascade.Reconcile"
	none := distill.Corrected{}
	if bits.N < 0 || int64(bits.N) > maxBits || len(bits.W) != (bits.N+63)/64 {
		return none, qsc.E(op, qsc.Invalid, "", "%d bits in %d words", bits.N, len(bits.W))
	}
	own := begin{bits: uint64(bits.N), frame: uint32(r.frame), first: firstBlock(qber)}
	all, err := agree(ctx, w, role, own)
	if err != nil {
		return none, err
	}
	out := distill.Corrected{Bits: bits, Frame: r.frame}
	if bits.N == 0 {
		return out, nil
	}
	c := r.open(bits, int(all.first), role)
	defer r.close(c)
	if err := c.run(ctx, w); err != nil {
		return none, err
	}
	if role == distill.Bob {
		c.collect(bits)
	}
	out.Leak = c.leak
	return out, nil
}

// agree takes Alice's layout over to Bob, who holds it against his own. The
// length of the first blocks is rounded from a floating-point estimate, and two
// machines may round apart: Alice's counts.
func agree(ctx context.Context, w distill.Wire, role distill.Role, own begin) (begin, error) {
	const op = "cascade.Reconcile"
	all := own
	if role == distill.Alice {
		if err := w.Send(ctx, typeBegin, own.append(nil)); err != nil {
			return own, err
		}
	} else {
		msg, err := w.Receive(ctx, typeBegin, beginLen)
		if err != nil {
			return own, err
		}
		if all, err = parseBegin(msg); err != nil {
			return own, err
		}
		if all.bits != own.bits || all.frame != own.frame || all.first*2 < own.first || all.first > own.first*2 {
			return own, qsc.E(op, qsc.Corrupt, "", "the other end begins with %d bits, frames of %d and blocks of %d, this one with %d, %d and %d: the two ends are set differently or out of step", all.bits, all.frame, all.first, own.bits, own.frame, own.first)
		}
	}
	if all.first == 0 {
		return own, qsc.E(op, qsc.Noisy, "", "an error rate above %.0f %% leaves no key to reconcile: look after the optical alignment, or for an eavesdropper", maxQBER*100)
	}
	return all, nil
}
