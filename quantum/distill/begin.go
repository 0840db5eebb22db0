package distill

import (
	"context"
	"io"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/wire"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

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
	if p.theirs, err = hear(ctx, s.c, typeReady, maxBegin, parseBegin); err != nil {
		return nil, err
	}
	if p.theirs.echo != mine.nonce {
		return nil, stale()
	}
	if err := s.l.near(p.theirs.until); err != nil {
		return nil, err
	}
	p.began = s.l.cfg.Now()
	p.start = start{p.theirs.nonce, s.l.from(p.theirs.until), max(mine.seq, p.theirs.seq), agreed(mine, p.theirs)}
	if err := s.c.Send(ctx, typeGo, p.start.encode()); err != nil {
		return nil, err
	}
	if err := s.l.ready(p, mine); err != nil {
		return nil, err
	}
	return p, s.settle(ctx)
}

func (s *session) answer(ctx context.Context) (p *plan, err error) {
	p = s.open()
	if p.theirs, err = hear(ctx, s.c, typeBegin, maxBegin, parseBegin); err != nil {
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
	if p.start, err = hear(ctx, s.c, typeGo, startSize, parseStart); err != nil {
		return nil, err
	}
	if p.start.echo != mine.nonce {
		return nil, stale()
	}
	if p.start.seq != max(mine.seq, p.theirs.seq) || p.start.carry != agreed(mine, p.theirs) || p.start.at.Before(mine.until) {
		return nil, corrupt("the other end starts the round from what neither of the two has")
	}
	if err := s.l.near(p.start.at); err != nil {
		return nil, err
	}
	p.began = s.l.cfg.Now()
	if err := s.l.ready(p, mine); err != nil {
		return nil, err
	}
	return p, s.offer(ctx)
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
	m.seq, m.carry, m.until, m.offers = l.state.next, l.left.offer, l.used(), l.state.masks.offers()
	return m, nil
}

// from is where the raw data of a round begin: where the last ended, as far back as
// a device remembers.
func (l *Link) from(theirs time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, now := later(l.used(), theirs), l.cfg.Now()
	if now.Sub(at) > buffered {
		at = now
	}
	return time.Unix(0, at.UnixNano()).UTC() // as the other end gets it
}

// near refuses a time that lies beyond what this end may come to by itself.
func (l *Link) near(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.cfg.Now(); at.After(later(now, l.used()).Add(horizon)) {
		return corrupt("the other end begins with raw data of %v, and here it is %v: set the two clocks right", at, now.UTC().Truncate(time.Second))
	}
	return nil
}

// ready notes what both ends have. Error: Exhausted.
func (l *Link) ready(p *plan, mine begin) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.faults = l.account.faults
	p.shared = l.state.masks.shared(mine.offers).shared(p.theirs.offers) // as both have said: more may have come since
	if p.shared.left() == 0 {
		return exhausted()
	}
	if p.start.carry {
		p.carry = int(mine.carry.count)
	}
	return nil
}
