package distill

import (
	"context"
	"io"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

const (
	// stages is how long everything behind sifting may take.
	stages = 15 * time.Minute
	// buffered is how much raw data a device holds for a round that begins late.
	buffered = time.Minute
	// horizon is how far ahead of this end's clock and raw data the other's may be:
	// what it says of them nobody vouches for yet, and a device waits for it.
	horizon = 5 * time.Minute
	// longSkip is how much is left out at most of the raw data of a device that runs
	// ahead of the clock: 1 s << 6, so that the two ends do not part by a horizon.
	longSkip = 6
	// slack is by how much Alice's length may exceed Bob's, in bits: both compute it
	// in floating point from the same counts.
	slack = 64
)

// plan is a round under way.
type plan struct {
	round   uint64
	began   time.Time
	start   start
	theirs  begin
	shared  masks // batches that both ends have
	carry   int   // words left over by rounds before that go into its blocks
	sifted  *Sifted
	seen    float64 // error rate that the protocol told of after sifting
	outcome Outcome
	bound   Length
	said    length // what Alice announced
	key     Bits   // verified, not yet amplified
	seed    []uint64
	epsAuth float64
	faults  uint64 // of the link before it
}

// round makes one round, up to what is left to do for each end alone. After an
// error the connection is of no more use.
func (s *session) round(ctx context.Context) error {
	p, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err := s.raw(ctx, p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stages,
		qsc.E("distill", qsc.Timeout, string(s.l.cfg.Link), "the round takes longer than %v: the other end is too slow, or holds this one up", stages))
	defer cancel()
	for _, stage := range []func(context.Context, *plan) error{s.reconcile, s.agree, s.tellSeed, s.tags} {
		if err := stage(ctx, p); err != nil {
			p.erase()
			return err
		}
	}
	s.last = p.round
	s.l.ending.Wait() // one at a time, in order
	s.l.ending.Go(func() { beside(func() { s.l.finish(p) }) })
	return nil
}

func (p *plan) erase() {
	p.key.Zeroise()
	if p.sifted != nil {
		p.sifted.Bits.Zeroise()
	}
}

// raw sifts. What the device says of the raw data's end nobody vouches for before the
// tags: it goes into the state when the round counts (take).
func (s *session) raw(ctx context.Context, p *plan) (err error) {
	p.sifted, err = s.l.cfg.Protocol.Sift(ctx, s.c, Start{p.round, p.start.at})
	if err != nil {
		s.l.skip()
		return err
	}
	s.l.pass(p.sifted.Until)
	if n := p.sifted.Bits.N; n < 1 || n > maxBits {
		return qsc.E("distill.Sift", qsc.Invalid, string(s.l.cfg.Link), "the protocol sifts %d bits in a round, 1 to %d are possible: change its block", n, maxBits)
	}
	p.seen = s.l.cfg.Protocol.Progress().QBER
	return nil
}

// pass notes raw data of which part may have been told, whatever becomes of the round.
func (l *Link) pass(to time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told, l.skips = later(l.told, to), 0
}

// skip passes over raw data of a round that failed while it sifted: all up to now.
// Where a simulated device's time runs ahead of the clock nobody knows how much: ever
// more is left out.
func (l *Link) skip() {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.cfg.Now().Round(0)
	if used := l.used(); used.After(to) {
		to = used.Add(time.Second << l.skips)
		l.skips = min(l.skips+1, longSkip)
	}
	l.told = later(l.told, to)
}

// used is the end of the raw data that are used up or may have been told. mu is held.
func (l *Link) used() time.Time { return later(l.state.until, l.told) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// reconcile corrects Bob's errors and drops the frames that are not equal.
func (s *session) reconcile(ctx context.Context, p *plan) (err error) {
	x, me := p.sifted, s.l.cfg.Role
	c := Corrected{Bits: x.Bits, Frame: x.Frame, Failed: x.Failed}
	var before Bits
	if !x.Agreed {
		if s.l.cfg.Reconciler == nil {
			return qsc.E("distill.Reconcile", qsc.Invalid, string(s.l.cfg.Link), "the protocol leaves errors and the link has no reconciler")
		}
		drawn := make(chan error, 1)
		if me == Alice { // who has less to do than Bob
			go func() { drawn <- s.l.drawSeed(p, x.Bits.N) }()
		} else {
			drawn <- nil
			before = Bits{s.l.spare.take(len(x.Bits.W)), x.Bits.N}
			copy(before.W, x.Bits.W)
			defer func() { before.Zeroise(); s.l.spare.give(before.W) }()
		}
		c, err = s.l.cfg.Reconciler.Reconcile(ctx, s.c, me, x.Bits, x.QBER)
		if e := <-drawn; err == nil {
			err = e
		}
		if err != nil {
			return err
		}
	}
	p.key, p.outcome, err = s.verify(ctx, x, c, before)
	if err == nil && p.outcome.Kept == 0 {
		err = qsc.E("distill.Verify", qsc.Keyless, string(s.l.cfg.Link), "no frame of the round is the same at both ends: the error rate is higher than reconciliation expects")
	}
	return err
}

// agree settles how long the key is and what becomes of it.
func (s *session) agree(ctx context.Context, p *plan) (err error) {
	if p.bound, err = s.l.cfg.Protocol.Length(p.sifted, p.outcome); err != nil {
		return err
	}
	if min(p.bound.Bits, p.outcome.Kept) < 2*pairBits {
		return qsc.E("distill.Length", qsc.Keyless, string(s.l.cfg.Link), "the bound %s leaves %d secret bits of %d, and authentication takes %d: the error rate is too high or the block too small", p.bound.Bound, p.bound.Bits, p.outcome.Kept, pairBits)
	}
	if s.l.cfg.Role == Alice {
		return s.announce(ctx, p)
	}
	if p.said, err = hear(ctx, s.c, typeLength, MaxMessage, parseLength); err != nil {
		return err
	}
	switch bits := int64(p.said.bits); {
	case bits > p.bound.Bits+slack || bits > p.outcome.Kept || bits < pairBits:
		return corrupt("the other end makes %d bits of key where the bound %s allows %d", bits, p.bound.Bound, p.bound.Bits)
	case len(p.said.names) != s.l.blocks(p) || p.said.refill < 1 || p.said.refill > Founding:
		return corrupt("the other end divides %d bits of key wrongly", bits)
	}
	return nil
}

func (s *session) announce(ctx context.Context, p *plan) error {
	p.said = length{bits: uint64(min(p.bound.Bits, p.outcome.Kept)) &^ 63, made: s.l.cfg.Now().UTC()}
	lack := Founding - p.shared.left() + 1
	p.said.refill = uint32(max(1, min(lack, int(p.said.bits)/16/pairBits)))
	p.said.names = make([]qsc.KeyID, s.l.blocks(p))
	for i := range p.said.names {
		id := &p.said.names[i]
		if _, err := io.ReadFull(s.l.cfg.Random, id[:]); err != nil {
			return noRandom(err)
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a random UUID
	}
	return s.c.Send(ctx, typeLength, p.said.encode())
}

// blocks is how many key blocks come of a round.
func (l *Link) blocks(p *plan) int {
	words := p.carry + int(p.said.bits)/64 - int(p.said.refill)*pairBits/64
	return words / int(l.cfg.Block/8)
}

// drawSeed draws as much of Alice's seed of privacy amplification as a key of so many
// bits wants. Nobody else knows of it before it is told.
func (l *Link) drawSeed(p *plan, bits int) error {
	p.seed = l.spare.take((bits - 1 + 63) / 64)
	buf := make([]byte, min(maxPart, 8*len(p.seed)))
	for rest := p.seed; len(rest) > 0; {
		w := rest[:min(len(rest), maxPart/8)]
		b := buf[:8*len(w)]
		if _, err := io.ReadFull(l.cfg.Random, b); err != nil {
			return noRandom(err)
		}
		toWords(w, b)
		rest = rest[len(w):]
	}
	return nil
}

// tellSeed tells the seed, now that nothing of the key can change any more.
func (s *session) tellSeed(ctx context.Context, p *plan) error {
	n := p.key.N - 1
	words := (n + 63) / 64
	if s.l.cfg.Role == Bob {
		p.seed = s.l.spare.take(words)
	} else if len(p.seed) < words { // nothing was reconciled
		if err := s.l.drawSeed(p, p.key.N); err != nil {
			return err
		}
	}
	p.seed = p.seed[:words]
	var buf []byte
	if s.l.cfg.Role == Alice {
		buf = make([]byte, min(maxPart, 8*words))
	}
	for rest := p.seed; len(rest) > 0; {
		w := rest[:min(len(rest), maxPart/8)]
		if err := s.seedPart(ctx, buf, w); err != nil {
			return err
		}
		rest = rest[len(w):]
	}
	if n%64 != 0 {
		p.seed[words-1] &= 1<<(n%64) - 1
	}
	return nil
}

// seedPart sends a part of the seed, or receives it.
func (s *session) seedPart(ctx context.Context, buf []byte, w []uint64) error {
	if s.l.cfg.Role == Alice {
		toBytes(buf, w)
		return s.c.Send(ctx, typeSeed, buf[:8*len(w)])
	}
	b, err := s.c.Receive(ctx, typeSeed, 8*len(w))
	if err != nil {
		return err
	}
	if len(b) != 8*len(w) {
		return corrupt("a part of the seed has %d bytes, not %d", len(b), 8*len(w))
	}
	toWords(w, b)
	return nil
}

// record tells of the round.
func (l *Link) record(p *plan) quantum.Record {
	q, f := p.quality()
	o := p.outcome
	return quantum.Record{Link: l.cfg.Link, Epoch: l.cfg.Epoch, Round: p.round, FirstSeq: p.start.seq, Blocks: len(p.said.names),
		Device: l.cfg.Device, Params: p.bound.Params, Bound: p.bound.Bound,
		EpsSec: p.bound.EpsSec + p.epsAuth, EpsCor: p.bound.EpsCor + p.epsAuth,
		Sifted: o.Sifted, Lost: o.Sifted - o.Kept, Errors: o.Errors, QBER: q, Phi: p.bound.Phi, Efficiency: f,
		Leak: o.Leak + o.Verify, Auth: int64(p.said.refill) * pairBits, Length: int64(p.said.bits), ProducedAt: p.said.made}
}
