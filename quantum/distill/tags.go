package distill

import (
	"context"
	"math"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/uhash"
)

// tags authenticates the round: Bob first, so that a stranger who calls Alice never
// makes her spend a mask.
//
// Bob's tag is of all that he has said and then, bound to it, all that he has heard: his
// counts and answers rest on that, and without it somebody who changes what Alice says
// could make him count few errors and Alice take his word for it. What Alice has heard
// she has checked by his tag when she gives hers.
//
// Order at Bob: (1) his mask is durably marked; (2) his tag goes out; (3) Alice's tag
// is right: the round counts. At Alice: (1) Bob's tag is right: the round counts;
// (2) her mask, Bob's, the round and its numbers are durably marked; (3) her tag goes
// out. Bob's durable mark of the round is made before its blocks are given out
// (finish): before Alice's tag nothing he has heard is worth remembering.
func (s *session) tags(ctx context.Context, p *plan) error {
	if s.l.cfg.Role == Bob {
		bind(s.c.out, s.c.heard)
		if err := s.sign(p); err != nil {
			return err
		}
		return s.check(ctx, p, Alice)
	}
	bind(s.c.heard, s.c.out)
	if err := s.check(ctx, p, Bob); err != nil {
		return err
	}
	return s.sign(p)
}

// bind takes the hash of a transcript into another. Nobody sees it: what it went into
// is told under a mask only.
func bind(into, of *uhash.Hash) {
	so := *of // which goes on
	sum := so.Tag(new([uhash.Size]byte))
	into.Write(sum[:])
}

// spend takes a mask and makes the mark durable. In memory it is marked whatever
// the disk says.
func (l *Link) spend(p *plan) (tag, *[uhash.Size]byte, error) {
	l.disk.Lock()
	defer l.disk.Unlock()
	l.mu.Lock()
	t, mask, err := p.shared.take(l.cfg.Role)
	l.mu.Unlock()
	if err != nil {
		return t, nil, err
	}
	return t, mask, l.persist()
}

// persist makes the state durable. disk is held.
func (l *Link) persist() error {
	l.mu.Lock()
	b := l.state.encode()
	l.mu.Unlock()
	defer clear(b)
	if err := durable.Replace(l.cfg.FS, stateFile, b); err != nil {
		return qsc.E("distill.Mark", 0, string(l.cfg.Link), "%w", err)
	}
	return nil
}

// sign sends this end's tag, under a mask that is durably marked.
func (s *session) sign(p *plan) error {
	t, mask, err := s.l.spend(p)
	if err != nil {
		return err
	}
	t.sum = s.c.out.Tag(mask)
	s.c.out = nil
	p.epsAuth += s.c.forgery()
	return s.c.sendTag(t)
}

// forgery bounds the probability that one changed transcript is taken: its blocks
// over 2^128. Both transcripts are counted, with what heads and pads them.
func (k *conn) forgery() float64 {
	return math.Ldexp(float64(k.said/uhash.Size+64), -128)
}

// check receives the other end's tag and takes the round's numbers over when it is
// right.
func (s *session) check(ctx context.Context, p *plan, of Role) error {
	t, err := hear(ctx, s.c, typeTag, tagSize, parseTag)
	if err != nil {
		return err
	}
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	mask, err := p.shared.view(of, t)
	if err != nil {
		return err
	}
	sum := s.c.heard.Tag(mask)
	s.c.heard = nil
	if !uhash.Equal(sum, t.sum) {
		return qsc.E("distill.Tag", qsc.Tampered, string(s.l.cfg.Link), "the other end's tag is wrong: somebody changes the public channel, or the two ends were not founded together; the round's key is discarded")
	}
	s.l.take(p, of, t)
	return nil
}

// take makes an authentic round count, in memory. mu is held.
func (l *Link) take(p *plan, of Role, t tag) {
	p.shared.find(t.round).use(of, t.index+1)
	l.state.masks = l.state.masks.clean(p.theirs.offers, p.round)
	l.state.round = p.round
	l.state.until = later(l.state.until, p.sifted.Until)
	l.state.next = p.start.seq + uint64(len(p.said.names))
	words := p.carry + int(p.said.bits)/64 - int(p.said.refill)*pairBits/64
	l.left.offer = offer{p.round, uint32(words - len(p.said.names)*int(l.cfg.Block/8))}
}
