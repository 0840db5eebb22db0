package distill

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
	"github.com/quantum-secure-cloud/qsc/quantum"
)

const (
	// stages is how long everything behind sifting may take.
	stages = 5 * time.Minute
	// buffered is how much raw data a device holds for a round that begins late.
	buffered = time.Minute
	// horizon is how far ahead of this end's raw data the other's may be: what it
	// says of them nobody vouches for yet.
	horizon = 30 * 24 * time.Hour
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
	outcome Outcome
	bound   Length
	said    length // what Alice announced
	key     Bits   // verified, not yet amplified
	seed    []uint64
	epsAuth float64
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
	for _, stage := range []func(context.Context, *plan) error{s.reconcile, s.agree, s.drawSeed, s.tags} {
		if err := stage(ctx, p); err != nil {
			p.erase()
			return err
		}
	}
	s.last = p.round
	s.l.ending.Wait() // one at a time, in order
	s.l.ending.Go(func() { s.l.finish(p) })
	return nil
}

func (p *plan) erase() {
	p.key.Zeroise()
	if p.sifted != nil {
		p.sifted.Bits.Zeroise()
	}
}

// begin agrees on what the round rests on.
func (s *session) begin(ctx context.Context) (*plan, error) {
	if s.l.cfg.Role == Alice {
		return s.propose(ctx)
	}
	return s.answer(ctx)
}

func (s *session) propose(ctx context.Context) (*plan, error) {
	if err := s.l.waitRoom(ctx); err != nil {
		return nil, err
	}
	p := s.open()
	mine, err := s.l.have()
	if err != nil {
		return nil, err
	}
	if err := s.c.Send(ctx, typeBegin, mine.encode()); err != nil {
		return nil, err
	}
	b, err := s.c.Receive(ctx, typeReady, maxBegin)
	if err != nil {
		return nil, err
	}
	if p.theirs, err = parseBegin(b); err != nil {
		return nil, err
	}
	if p.theirs.echo != mine.nonce {
		return nil, stale()
	}
	if s.l.tooFar(p.theirs.until) {
		return nil, corrupt("the other end's raw data end at %v: set its clock right", p.theirs.until)
	}
	p.began = s.l.cfg.Now()
	p.start = start{p.theirs.nonce, s.l.from(p.theirs.until), max(mine.seq, p.theirs.seq), agreed(mine, p.theirs)}
	if err := s.c.Send(ctx, typeGo, p.start.encode()); err != nil {
		return nil, err
	}
	return p, s.l.ready(p, mine)
}

func (s *session) answer(ctx context.Context) (*plan, error) {
	p := s.open()
	b, err := s.c.Receive(ctx, typeBegin, maxBegin)
	if err != nil {
		return nil, err
	}
	if p.theirs, err = parseBegin(b); err != nil {
		return nil, err
	}
	if err := s.l.waitRoom(ctx); err != nil {
		return nil, err
	}
	mine, err := s.l.have()
	if err != nil {
		return nil, err
	}
	mine.echo = p.theirs.nonce
	if err := s.c.Send(ctx, typeReady, mine.encode()); err != nil {
		return nil, err
	}
	if b, err = s.c.Receive(ctx, typeGo, startSize); err != nil {
		return nil, err
	}
	if p.start, err = parseStart(b); err != nil {
		return nil, err
	}
	if p.start.echo != mine.nonce {
		return nil, stale()
	}
	if p.start.seq != max(mine.seq, p.theirs.seq) || p.start.carry != agreed(mine, p.theirs) || p.start.at.Before(mine.until) || s.l.tooFar(p.start.at) {
		return nil, corrupt("the other end starts the round from what neither of the two has")
	}
	p.began = s.l.cfg.Now()
	return p, s.l.ready(p, mine)
}

func stale() error {
	return qsc.E("distill.Begin", qsc.Replayed, "", "the other end's answer belongs to another round: somebody repeats old messages")
}

// agreed reports whether both ends have the same key left over.
func agreed(a, b begin) bool { return a.carry == b.carry && a.carry.count > 0 }

// open begins the round's transcripts.
func (s *session) open() *plan {
	p := &plan{round: s.last + 1}
	var t [2]*uhash.Hash
	for of := Alice; of <= Bob; of++ {
		t[of] = s.l.transcript(of, p.round)
	}
	me := s.l.cfg.Role
	s.c.begin(p.round, t[me], t[me.other()])
	return p
}

// transcript starts the hash of what one end says in a round.
func (l *Link) transcript(of Role, round uint64) *uhash.Hash {
	var w wire.Writer
	w.Text("qsc distill").U8(version).Text(string(l.cfg.Link)).U32(l.cfg.Epoch).U64(uint64(l.cfg.Block)).U64(round).U8(byte(of))
	l.mu.Lock()
	defer l.mu.Unlock()
	k := uhash.NewKey([16]byte(l.state.keys[of].Expose()))
	h := k.Start(w.B)
	return &h
}

// have is what this end has at a round's beginning.
func (l *Link) have() (m begin, err error) {
	if _, err := io.ReadFull(l.cfg.Random, m.nonce[:]); err != nil {
		return m, noRandom(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m.seq, m.carry, m.until, m.offers = l.state.next, l.left.offer, l.state.until, l.state.masks.offers()
	return m, nil
}

// from is where the raw data of a round begin: where the last ended, as far back as
// a device remembers.
func (l *Link) from(theirs time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, now := l.state.until, l.cfg.Now()
	if theirs.After(at) {
		at = theirs
	}
	if now.Sub(at) > buffered {
		at = now
	}
	return time.Unix(0, at.UnixNano()).UTC() // as the other end gets it
}

// tooFar says that a time lies beyond what this end may come to by itself.
func (l *Link) tooFar(at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now()
	if l.state.until.After(now) {
		now = l.state.until
	}
	return at.After(now.Add(horizon))
}

// ready notes what both ends have. Error: Exhausted.
func (l *Link) ready(p *plan, mine begin) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.shared = l.state.masks.shared(mine.offers).shared(p.theirs.offers) // as both have said: more may have come since
	if p.shared.left() == 0 {
		_, _, err := masks(nil).take(Alice)
		return err
	}
	if p.start.carry {
		p.carry = int(mine.carry.count)
	}
	return nil
}

// raw sifts.
func (s *session) raw(ctx context.Context, p *plan) (err error) {
	p.sifted, err = s.l.cfg.Protocol.Sift(ctx, s.c, Start{p.round, p.start.at})
	if err != nil {
		s.l.skip(p.start.at)
		return err
	}
	if n := p.sifted.Bits.N; n < 1 || n > maxBits {
		return qsc.E("distill.Sift", qsc.Invalid, string(s.l.cfg.Link), "the protocol sifts %d bits in a round, 1 to %d are possible: change its block", n, maxBits)
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.state.until, s.l.skips = p.sifted.Until, 0
	return nil
}

// skip passes over raw data of which part may have been told. Where a simulated
// device's time runs ahead of the clock nobody knows how much: ever more is left out.
func (l *Link) skip(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.cfg.Now()
	if at = at.Add(time.Second << l.skips); at.After(to) {
		to = at
	}
	if to.After(l.state.until) {
		l.state.until = time.Unix(0, to.UnixNano()).UTC()
	}
	l.skips = min(l.skips+1, 16)
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
		if me == Bob {
			before = Bits{slices.Clone(x.Bits.W), x.Bits.N}
			defer before.Zeroise()
		}
		if c, err = s.l.cfg.Reconciler.Reconcile(ctx, s.c, me, x.Bits, x.QBER); err != nil {
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
	b, err := s.c.Receive(ctx, typeLength, MaxMessage)
	if err != nil {
		return err
	}
	if p.said, err = parseLength(b); err != nil {
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

// drawSeed draws the seed of privacy amplification, now that nothing of the key can
// change any more.
func (s *session) drawSeed(ctx context.Context, p *plan) error {
	n := p.key.N - 1
	p.seed = make([]uint64, (n+63)/64)
	var part [maxPart / 8]uint64
	var buf []byte
	if s.l.cfg.Role == Alice {
		buf = make([]byte, min(maxPart, 8*len(p.seed)))
	}
	for rest := p.seed; len(rest) > 0; {
		w := rest[:min(len(rest), len(part))]
		if err := s.seedPart(ctx, buf, w); err != nil {
			return err
		}
		rest = rest[len(w):]
	}
	if n%64 != 0 {
		p.seed[len(p.seed)-1] &= 1<<(n%64) - 1
	}
	return nil
}

// seedPart draws and sends a part of the seed, or receives it.
func (s *session) seedPart(ctx context.Context, buf []byte, w []uint64) error {
	if s.l.cfg.Role == Alice {
		b := buf[:8*len(w)]
		if _, err := io.ReadFull(s.l.cfg.Random, b); err != nil {
			return noRandom(err)
		}
		toWords(w, b)
		return s.c.Send(ctx, typeSeed, b)
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
	q, f := efficiency(p.outcome)
	o := p.outcome
	return quantum.Record{Link: l.cfg.Link, Epoch: l.cfg.Epoch, Round: p.round, FirstSeq: p.start.seq, Blocks: len(p.said.names),
		Device: l.cfg.Device, Params: p.bound.Params, Bound: p.bound.Bound,
		EpsSec: p.bound.EpsSec + p.epsAuth, EpsCor: p.bound.EpsCor + p.epsAuth,
		Sifted: o.Sifted, Lost: o.Sifted - o.Kept, Errors: o.Errors, QBER: q, Phi: p.bound.Phi, Efficiency: f,
		Leak: o.Leak + o.Verify, Auth: int64(p.said.refill) * pairBits, Length: int64(p.said.bits), ProducedAt: p.said.made}
}
