package distill

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
	"github.com/quantum-secure-cloud/qsc/quantum/tails"
)

// StreamBound is what gives the length of a Stream's key: the asymptotic
// one-way rate of a binary symmetric channel, with the phase error taken for the
// bit error.
const StreamBound = "asymptotic-bsc"

// StreamConfig describes one end of a Stream.
type StreamConfig struct {
	Role  Role
	World quantum.World
	Block int         // sifted bits in a round
	QBER  float64     // of the channel, from 0 up to ½
	Rate  qsc.BitRate // of sifted bits in the world's time; 0: 10⁹
}

// Stream is a sifted stream with errors and nothing else, for tests and benchmarks
// of distillation: a binary symmetric channel as fast as the processor makes it. It
// is no physics: no pulses, no losses, no bases, and its bound is not one against
// general attacks.
type Stream struct {
	cfg StreamConfig

	mu    sync.Mutex
	extra float64 // errors that an attacker adds
	seen  float64
	sifts uint64
}

var (
	_ Protocol           = (*Stream)(nil)
	_ quantum.Attackable = (*Stream)(nil)
)

// NewStream opens an end. Error: Invalid.
func NewStream(cfg StreamConfig) (*Stream, error) {
	if cfg.Block < 1 || cfg.Block > maxBits || !(cfg.QBER >= 0 && cfg.QBER < 0.5) || cfg.Rate < 0 {
		return nil, qsc.E("distill.NewStream", qsc.Invalid, "", "1 to %d bits in a block and an error rate from 0 up to ½ are needed, not %d and %v", maxBits, cfg.Block, cfg.QBER)
	}
	if cfg.Rate == 0 {
		cfg.Rate = 1e9
	}
	return &Stream{cfg: cfg}, nil
}

// source is the stream of the world for a purpose, of a block that begins at a time.
func (s *Stream) source(purpose string, at time.Time, salt uint64) *rand.ChaCha8 {
	seed := s.cfg.World.Seed
	for i := range min(len(purpose), 16) {
		seed[i] ^= purpose[i]
	}
	mix := func(at int, v uint64) {
		binary.BigEndian.PutUint64(seed[at:], binary.BigEndian.Uint64(seed[at:])^v)
	}
	mix(16, uint64(at.UnixNano()))
	mix(24, salt)
	return rand.NewChaCha8(seed)
}

// Sift implements Protocol. Both ends say how long their block is, and no more.
func (s *Stream) Sift(ctx context.Context, w Wire, start Start) (*Sifted, error) {
	var msg [8]byte
	binary.BigEndian.PutUint64(msg[:], uint64(s.cfg.Block))
	if err := w.Send(ctx, TypeSift, msg[:]); err != nil {
		return nil, err
	}
	theirs, err := w.Receive(ctx, TypeSift, len(msg))
	if err != nil {
		return nil, err
	}
	if string(theirs) != string(msg[:]) {
		return nil, qsc.E("distill.Sift", qsc.Corrupt, "", "the two ends' blocks have different lengths")
	}
	b := NewBits(s.cfg.Block)
	r := s.source("stream bits", start.At, 0)
	for i := range b.W {
		b.W[i] = r.Uint64()
	}
	b = b.cut(b.N)
	extra, count := s.attack()
	if s.cfg.Role == Bob {
		flip(b, s.source("stream errors", start.At, 0), s.cfg.QBER)
	}
	flip(b, s.source("stream attack", start.At, count<<1|uint64(s.cfg.Role)), extra)
	took := time.Duration(float64(s.cfg.Block) / float64(s.cfg.Rate) * float64(time.Second))
	return &Sifted{Bits: b, QBER: max(s.cfg.QBER, 1e-4), Until: start.At.Add(max(took, 1))}, nil
}

// attack returns the errors that the attacker adds now and the count of sifts.
func (s *Stream) attack() (extra float64, count uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sifts++
	return s.extra, s.sifts
}

// flip flips bits with a probability each. The right bits before a wrong one are
// geometrically many, which whole parts of exponential numbers are: the cost goes with
// the errors.
func flip(b Bits, src *rand.ChaCha8, q float64) {
	if q <= 0 {
		return
	}
	r := rand.New(src)
	scale := -1 / math.Log1p(-q)
	for at := 0; ; at++ {
		gap := r.ExpFloat64() * scale
		if gap >= float64(b.N-at) {
			return
		}
		at += int(gap)
		b.W[at>>6] ^= 1 << (at & 63)
	}
}

// Length implements Protocol: n(1 - h(q)) less what was disclosed, with q the
// observed error rate raised by Hoeffding's term for 10⁻¹⁰, and 2 log2(1/10⁻¹⁰) for
// the hash. EpsSec is 1: of a finite block it promises nothing.
func (s *Stream) Length(_ *Sifted, o Outcome) (Length, error) {
	const eps = 1e-10
	if o.Kept < 1 {
		return Length{}, qsc.E("distill.Length", qsc.Scarce, "", "no bits are left")
	}
	q := float64(o.Errors) / float64(o.Kept)
	s.mu.Lock()
	s.seen = q
	s.mu.Unlock()
	up := min(0.5, q+math.Sqrt(math.Log(1/eps)/(2*float64(o.Kept))))
	l := float64(o.Kept)*(1-tails.Entropy(up)) - float64(o.Leak+o.Verify) - 2*math.Log2(1/eps)
	return Length{Bits: int64(math.Floor(l)), Bound: StreamBound, EpsSec: 1, EpsCor: o.EpsCor, Phi: up,
		Params: map[string]any{"block": s.cfg.Block, "qber": s.cfg.QBER, "eps": eps}}, nil
}

// Progress implements Protocol.
func (s *Stream) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Progress{QBER: s.seen, Sifted: s.cfg.Rate}
}

// Attack implements quantum.Attackable, at the end whose bits it changes:
// intercept-resend turns a quarter of the bits it meets, noise half of them.
func (s *Stream) Attack(a quantum.Attack) error {
	if !(a.Strength >= 0 && a.Strength <= 1) {
		return qsc.E("distill.Attack", qsc.Invalid, "", "strength %v is not from 0 to 1", a.Strength)
	}
	var extra float64
	switch a.Kind {
	case quantum.InterceptResend:
		extra = a.Strength / 4
	case quantum.Noise:
		extra = a.Strength / 2
	default:
		return qsc.E("distill.Attack", qsc.Unsupported, "", "a bare stream has no %s", a.Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extra = extra
	return nil
}

// Close implements Protocol.
func (s *Stream) Close() error { return nil }
