package cascade

import (
	"context"
	"crypto/subtle"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/quantum/distill"
)

// call is one Reconcile under way.
type call struct {
	plan   *plan
	first  [passes]int // lengths of blocks
	role   distill.Role
	groups []*group
	limit  int64 // of leak
	leak   int64
}

// bundle is a part of a call's groups, whose questions share messages. While the
// one end works at one bundle, the other does at the next.
type bundle struct {
	groups []*group // without those at their end
	own    packer   // parities of own bits, of all open questions
	odd    []byte   // where they differ, and behind it turns: those that were heard, or Bob's to tell
	turns  []byte   // heard
	turn   turn
	trips  int
	worked chan error // a message's work, once it is done
}

// run takes every group to its end. First a few groups at a time come as far as
// few questions are left, so that what they need stays in the processor's caches;
// the many short round trips that follow are made by all groups together.
func (c *call) run(ctx context.Context, w distill.Wire) error {
	var late []*group
	if err := c.drive(ctx, w, bundles(c.groups, 1), inFlight, func(b *bundle) bool {
		if b.questions() >= fewQuestions {
			return false
		}
		late = append(late, b.groups...)
		return true
	}); err != nil {
		return err
	}
	all := bundles(late, inBundle)
	return c.drive(ctx, w, all, len(all), func(*bundle) bool { return false })
}

// drive takes bundles, some of them at a time and in turn, as far as they are done.
// Messages come and go in this order, whichever is worked at first: Bob, who has most
// of the work, does it for two at a time.
func (c *call) drive(ctx context.Context, w distill.Wire, waiting []*bundle, atOnce int, done func(*bundle) bool) error {
	hear, work, hands := (*bundle).hearTurn, (*bundle).follow, 1
	if c.role == distill.Bob {
		hear, work, hands = (*bundle).hearParity, (*bundle).lead, 2
	}
	var next, busy []*bundle
	defer func() {
		for _, b := range busy {
			<-b.worked
		}
	}()
	for {
		switch {
		case len(next)+len(busy) < atOnce && len(waiting) > 0:
			b := waiting[0]
			for _, g := range b.groups {
				if g.stage == stageNone {
					g.start(c.plan, c.first, c.role == distill.Bob)
				}
			}
			if err := b.put(ctx, w, c); err != nil {
				return err
			}
			next, waiting = append(next, b), waiting[1:]
		case len(next) > 0 && len(busy) < hands:
			b := next[0]
			if err := hear(b, ctx, w); err != nil {
				return err
			}
			next, busy = next[1:], append(busy, b)
			if hands == 1 {
				b.worked <- work(b)
			} else {
				go func() { b.worked <- work(b) }()
			}
		case len(busy) > 0:
			b := busy[0]
			busy = busy[1:]
			if err := <-b.worked; err != nil {
				return err
			}
			if c.role == distill.Bob {
				if err := w.Send(ctx, typeTurn, b.odd); err != nil {
					return err
				}
			}
			if len(b.groups) == 0 || done(b) {
				continue
			}
			if err := b.put(ctx, w, c); err != nil {
				return err
			}
			next = append(next, b)
		default:
			return nil
		}
	}
}

// questions is how many are open.
func (b *bundle) questions() (n int) {
	for _, g := range b.groups {
		for i := range g.tell {
			n += g.tell[i].own.size() + g.seek[i].own.size()
		}
		for i := range g.family {
			n += g.family[i].own.size()
		}
	}
	return n
}

// put brings together the parities of this end's own bits that are asked for next;
// Alice tells hers. Both ends give up at the same question, before it is answered.
func (b *bundle) put(ctx context.Context, w distill.Wire, c *call) error {
	const op = "cascade.Reconcile"
	b.own.reset()
	for _, g := range b.groups {
		g.put(&b.own)
	}
	c.leak += int64(b.own.size())
	if c.leak > c.limit {
		return qsc.E(op, qsc.Noisy, "", "%d bits disclosed of %d, and errors are left: the error rate is far above its estimate", c.leak, c.limit-slack)
	}
	if b.trips++; b.trips > maxRounds {
		return qsc.E(op, qsc.Noisy, "", "no end after %d round trips: the error rate is far above its estimate, or the answers contradict each other", maxRounds)
	}
	if c.role == distill.Bob {
		return nil
	}
	return w.Send(ctx, typeParity, b.own.seal())
}

// put appends the parities that are asked for of a group. At each end, only the
// passes of its own role have any.
func (g *group) put(p *packer) {
	for i := range g.tell {
		p.add(&g.tell[i].own)
		p.add(&g.seek[i].own)
	}
	for i := range g.family {
		p.add(&g.family[i].own)
	}
}

// hearParity hears Alice's parities and holds Bob's against them.
func (b *bundle) hearParity(ctx context.Context, w distill.Wire) error {
	own := b.own.seal()
	msg, err := w.Receive(ctx, typeParity, len(own))
	if err != nil {
		return err
	}
	head, _, err := answers(msg, b.own.size())
	if err != nil {
		return err
	}
	b.take(head)
	subtle.XORBytes(b.odd, b.odd, own)
	return nil
}

// lead is Bob's part of a round trip: he corrects what the parities show, and asks on.
func (b *bundle) lead() error {
	in, going := reader{b: b.odd}, b.groups[:0]
	odd := b.odd[:len(b.odd)-pad]
	b.turns = b.turns[:0]
	for _, g := range b.groups {
		g.answered(&in)
		if err := g.schedule(&b.turn); err != nil {
			return err
		}
		b.turns = b.turn.append(b.turns)
		if g.stage < stageEnd {
			going = append(going, g)
		}
	}
	b.groups, b.odd = going, append(odd, b.turns...)
	return nil
}

// take keeps where parities differ, padded for a reader.
func (b *bundle) take(odd []byte) {
	b.odd = append(append(b.odd[:0], odd...), make([]byte, pad)...)
}

// hearTurn hears where Bob's parities differ, and what he asks next.
func (b *bundle) hearTurn(ctx context.Context, w distill.Wire) error {
	bits := b.own.size()
	msg, err := w.Receive(ctx, typeTurn, (bits+7)/8+len(b.groups)*maxTurn)
	if err != nil {
		return err
	}
	odd, turns, err := answers(msg, bits)
	if err != nil {
		return err
	}
	b.take(odd)
	b.turns = append(b.turns[:0], turns...)
	return nil
}

// follow is Alice's part of a round trip: she goes along with Bob's searches.
func (b *bundle) follow() (err error) {
	const op = "cascade.Reconcile"
	in, turns, going := reader{b: b.odd}, b.turns, b.groups[:0]
	for _, g := range b.groups {
		g.heard(&in)
		if b.turn, turns, err = parseTurn(turns); err != nil {
			return err
		}
		if err := g.told(b.turn); err != nil {
			return err
		}
		if g.stage < stageEnd {
			going = append(going, g)
		}
	}
	if b.groups = going; len(turns) > 0 {
		return qsc.E(op, qsc.Corrupt, "", "%d bytes behind the last turn: the two ends are out of step", len(turns))
	}
	return nil
}
