package ldpc

import (
	"context"
	"math"
	"runtime"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// Config sets a Reconciler. The zero value is usable; both ends must have the
// same.
type Config struct {
	Frame   int // bits of a frame, 0: 65,536; held to 1,024 … 2^20 and made a multiple of 64
	Workers int // decoders side by side at Bob, 0: GOMAXPROCS
}

// Reconciler corrects binary errors with few round trips: one message with all
// syndromes, then at most three rounds in which Bob names the bits that his
// decoder doubts most, of the frames that failed, and Alice discloses them
// (symmetric blind reconciliation). It implements distill.Reconciler and keeps
// nothing between calls, so it may be used by many goroutines.
type Reconciler struct{ cfg Config }

const (
	defaultFrame = 1 << 16
	minFrame     = 1 << 10
	rounds       = 3   // of disclosure
	passes       = 60  // of the decoder for one attempt
	maxQBER      = 0.2 // beyond, no protocol has key left
	minQBER      = 1e-4
)

// New returns a Reconciler.
func New(cfg Config) *Reconciler {
	if cfg.Frame == 0 {
		cfg.Frame = defaultFrame
	}
	cfg.Frame = (max(minFrame, min(MaxLength, cfg.Frame)) + 63) &^ 63
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	return &Reconciler{cfg}
}

// Reconcile implements distill.Reconciler. Alice's bits come back as they are,
// Bob's corrected in place, but for the frames in Failed, whose bits are what the
// last attempt left.
//
// Leak counts syndrome bits and disclosed bits. What Bob asks for follows from
// the errors and the syndrome alone, not from the key, and is not counted.
//
// Errors: Noisy for a qber over 0.2 and when not one frame could be corrected,
// Corrupt for messages that cannot be, Timeout when ctx ends, and those of w.
func (r *Reconciler) Reconcile(ctx context.Context, w distill.Wire, role distill.Role, bits distill.Bits, qber float64) (distill.Corrected, error) {
	if !(qber >= 0 && qber <= maxQBER) {
		return distill.Corrected{}, qsc.E("ldpc.Reconcile", qsc.Noisy, "", "error rate %.3g is beyond the %g that codes are made for: look at the device", qber, maxQBER)
	}
	if bits.N == 0 {
		return distill.Corrected{Bits: bits, Frame: r.cfg.Frame}, nil
	}
	l := layOut(bits.N, r.cfg.Frame, qber)
	end := r.bob
	if role == distill.Alice {
		end = r.alice
	}
	disclosed, failed, err := end(ctx, w, l, bits, qber)
	if err != nil {
		return distill.Corrected{}, err
	}
	if len(failed) == l.frames {
		return distill.Corrected{}, qsc.E("ldpc.Reconcile", qsc.Noisy, "", "not one of %d frames could be corrected at an estimated error rate of %.3g: the true one is higher", l.frames, qber)
	}
	return distill.Corrected{Bits: bits, Leak: l.syndromes() + disclosed, Frame: l.frame, Failed: failed}, nil
}

// layout says how n bits fall into frames and how many checks each gets.
type layout struct {
	n, frame, frames int
	checks           [2]int // of a whole frame, of the last where it is shorter
}

func layOut(n, frame int, qber float64) layout {
	l := layout{n: n, frame: min(frame, n), frames: (n + frame - 1) / frame}
	l.checks[0] = checks(l.frame, qber)
	if last := l.size(l.frames - 1); last != l.frame {
		l.checks[1] = checks(last, qber)
	}
	return l
}

// size is the number of key bits in frame i.
func (l layout) size(i int) int { return min(l.frame, l.n-i*l.frame) }

// checksOf is the number of syndrome bits of frame i.
func (l layout) checksOf(i int) int {
	if l.size(i) != l.frame {
		return l.checks[1]
	}
	return l.checks[0]
}

func (l layout) syndromes() (bits int64) {
	for i := range l.frames {
		bits += int64(l.checksOf(i))
	}
	return bits
}

// code is frame i's. A frame below the shortest code is filled up by known zeros.
func (l layout) code(i int) (*Code, error) {
	return NewCode(max(MinLength, l.size(i)), l.checksOf(i))
}

// spread is how many standard deviations of a frame's errors the first syndrome
// allows for, by the length that an error more costs.
const spread = 1.5

// threshold is the length of syndrome, over the least possible, that the codes
// need in long frames: measured, see docs/design/ldpc.md.
func threshold(q float64) float64 { return min(1.3, 1.05+0.001/q) }

// checks is the number of syndrome bits for size key bits at an error rate.
func checks(size int, qber float64) int {
	n := float64(max(MinLength, size))
	q := max(minQBER, qber)
	need := threshold(q)*n*h2(q) + spread*math.Sqrt(n*q*(1-q))*math.Log2((1-q)/q)
	least, most := math.Ceil(n/minRate), math.Floor(n-n/minRate)
	return int(max(least, min(most, need)))
}

// h2 is the binary entropy.
func h2(q float64) float64 { return -q*math.Log2(q) - (1-q)*math.Log2(1-q) }

// more is how many bits of a frame with m checks are disclosed in a round: some
// and then always more, since a frame that fails again was worse than thought.
func more(m, size, round int) int { return min(size, m*(3+3*round)/100+8) }
