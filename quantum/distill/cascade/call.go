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
// one end works at one bundle, the other does at another.
type bundle struct {
	groups []*group // without those at their end
	own    packer   // parities of own bits, of all open questions
	odd    []byte   // where they differ, and behind it Bob's turns
	turn   turn
	turns  []byte
	trips  int
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

// drive takes bundles, some of them at a time, as far as they are done.
func (c *call) drive(ctx context.Context, w distill.Wire, waiting []*bundle, atOnce int, done func(*bundle) bool) error {
	step := (*bundle).answer
	if c.role == distill.Bob {
		step = (*bundle).lead
	}
	var live []*bundle
	for len(live) > 0 || len(waiting) > 0 {
		going := live[:0]
		for _, b := range live {
			if err := step(b, ctx, w); err != nil {
				return err
			}
			if len(b.groups) == 0 || done(b) {
				continue
			}
			if err := b.put(ctx, w, c); err != nil {
				return err
			}
			going = append(going, b)
		}
		live = going
		for len(live) < atOnce && len(waiting) > 0 {
			for _, g := range waiting[0].groups {
				if g.stage == stageNone {
					g.start(c.plan, c.first, c.role == distill.Bob)
				}
			}
			if err := waiting[0].put(ctx, w, c); err != nil {
				return err
			}
			live, waiting = append(live, waiting[0]), waiting[1:]
		}
	}
	return nil
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

// lead is Bob's part of a round trip: he hears Alice's parities, corrects what they
// show, and asks on.
func (b *bundle) lead(ctx context.Context, w distill.Wire) error {
	own := b.own.seal()
	msg, err := w.Receive(ctx, typeParity, len(own))
	if err != nil {
		return err
	}
	head, _, err := answers(msg, b.own.size())
	if err != nil {
		return err
	}
	subtle.XORBytes(own, own, head)
	b.take(own)
	in, tail := reader{b: b.odd}, b.odd[:len(own)]
	going := b.groups[:0]
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
	b.groups = going
	b.odd = append(tail, b.turns...)
	return w.Send(ctx, typeTurn, b.odd)
}

// take keeps where parities differ, padded for a reader.
func (b *bundle) take(odd []byte) {
	b.odd = append(append(b.odd[:0], odd...), make([]byte, pad)...)
}

// answer is Alice's part of a round trip: she hears where Bob's parities differ,
// and what he asks next.
func (b *bundle) answer(ctx context.Context, w distill.Wire) error {
	const op = "cascade.Reconcile"
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
	in, going := reader{b: b.odd}, b.groups[:0]
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
