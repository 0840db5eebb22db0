package relay

import (
	"bytes"

	"github.com/quantum-secure-cloud/qsc"
)

// leg is one path of somebody's round at a node that is not its source.
//
// At a node between:
//
//	reserving ─▶ order sent on, announcing ─▶ announced ─ all before it passed ─▶ gone
//
// At the far end:
//
//	taking ─▶ folding announcements ─ of all nodes between ─▶ complete, part of its round
//
// One job at a time works on a leg; announcements that come meanwhile are held.
type leg struct {
	key   legKey
	m     *message // its order, with bodies of its own
	me    int      // index of this node in the route
	seq   uint64
	tick  uint64
	size  int // bytes counted against the bounds
	job   uint64
	sent  bool   // between: the order went on
	own   []byte // between, large: our announcement, waiting to be merged
	ref   uint64 // between: our name for the next leg
	seen  uint64 // bit i: the announcement of node i has come
	held  []*message
	round *round // far end
	sub   any    // far end: the sub-key so far
	burnt bool   // the key of In is consumed, or being consumed
}

// mergeAbove is the length in bytes from which on nodes add the announcements
// that pass to their own, rather than passing each: then a link carries one for
// each round instead of one for each node before it.
const mergeAbove = 4 << 10

func (l *leg) far() bool    { return l.me == l.m.Route.Hops() }
func (l *leg) merges() bool { return l.m.Offer.size() > mergeAbove }
func (l *leg) next() qsc.NodeID {
	if l.far() {
		return ""
	}
	return l.m.Route[l.me+1]
}

// all is the mask of the nodes whose announcements a leg waits for: those
// before it.
func (l *leg) all() uint64 {
	if l.m.Hop {
		return 0
	}
	return mask(1, l.me-1)
}

// mask has the bits first to last.
func mask(first, last int) uint64 { return (1<<(last+1) - 1) &^ (1<<first - 1) }

// order takes an order that came from the node before this one on its route.
func (c *core) order(from qsc.NodeID, m *message) {
	key := legKey{from, m.Ref}
	if c.legs[key] != nil || c.recent.has(key) {
		return // the same again
	}
	own := *m
	own.Fix, own.Carried = bytes.Clone(m.Fix), bytes.Clone(m.Carried)
	l := &leg{key: key, m: &own, me: int(m.At)}
	if l.far() && !c.join(l) {
		return
	}
	c.admit(l)
	l.job = c.newJob(l)
	if l.far() {
		l.burnt = true
		c.do(jobTake{l.job, from, m.In, m.Offer.size()})
	} else {
		c.do(jobReserve{l.job, l.next(), m.Offer.size()})
	}
}

// betweenReserved sends the order on before anything else is done: all nodes of
// a path then work at once.
func (c *core) betweenReserved(l *leg, e evReserved) {
	l.job = 0
	if e.Kind != qsc.Other {
		c.refuse(l, e.Kind)
		return
	}
	on := *l.m
	on.At++
	on.In, on.Class = e.Out, on.Class.Weakest(e.Cls)
	c.ref++
	on.Ref, l.ref = c.ref, c.ref
	l.job, l.burnt = c.newJob(l), true
	c.do(jobAnnounce{Job: l.job, Prev: l.key.From, In: l.m.In, Pads: e.Pads, N: l.m.Offer.size(), Hop: l.m.Hop, Carried: l.m.Carried})
	l.m = &on // what goes on; In now names the next link's key
	if l.m.Hop {
		return
	}
	c.sendOrder(l)
	if !l.merges() {
		held := l.held
		l.held = nil
		for _, m := range held {
			c.pass(l, m)
		}
	}
}

func (c *core) sendOrder(l *leg) {
	l.sent = true
	c.send(l.next(), l.m, nakOf(l.m, l.me, qsc.Unreachable))
}

// refuse gives a leg up and says so towards the source. The key under which it
// came is consumed: it was spent at the other end.
func (c *core) refuse(l *leg, kind qsc.Kind) {
	m, me := l.m, l.me
	c.gone(l)
	c.nak(m, me, kind)
}

// betweenAnnounced has this node's announcement.
func (c *core) betweenAnnounced(l *leg, e evAnnounced) {
	l.job = 0
	if e.Kind != qsc.Other {
		if l.m.Hop {
			c.void(l.next(), l.m.In)
		}
		c.refuse(l, e.Kind)
		return
	}
	c.status.Relayed += int64(l.m.Offer.size())
	switch {
	case l.m.Hop:
		l.m.Carried = e.Sum
		c.sendOrder(l)
		c.gone(l)
	case l.merges() && l.me > 1:
		l.own = e.Sum
		c.mergeHeld(l)
	default:
		c.pass(l, &message{Type: typeAnnounce, First: uint8(l.me), Last: uint8(l.me), Public: e.Sum})
	}
}

// announced takes an announcement of nodes before this one.
func (c *core) announced(key legKey, m *message) {
	l := c.legs[key]
	if l == nil || int(m.Last) >= l.me || len(m.Public) != l.m.Offer.size() || l.m.Hop {
		return
	}
	cover := mask(int(m.First), int(m.Last))
	if l.seen&cover != 0 || !l.far() && l.merges() && cover != l.all() {
		return
	}
	l.seen |= cover
	switch {
	case l.far():
		c.farAnnounced(l, m)
	case l.merges() && l.job == 0 && l.own != nil:
		c.merge(l, m.Public)
	case l.merges() || !l.sent:
		c.hold(l, m)
	default:
		c.pass(l, m)
	}
}

// hold keeps an announcement until the leg is ready for it.
func (c *core) hold(l *leg, m *message) {
	own := *m
	own.Public = bytes.Clone(m.Public)
	l.held = append(l.held, &own)
	c.grow(l, len(own.Public))
}

// pass sends an announcement on under this leg's name. The leg is done when its
// own and all before it have passed.
func (c *core) pass(l *leg, m *message) {
	on := *m
	on.Ref = l.ref
	l.seen |= mask(int(m.First), int(m.Last))
	if int(m.First) != l.me {
		on.Public = bytes.Clone(m.Public)
	}
	c.send(l.next(), &on, nakOf(l.m, l.me, qsc.Unreachable))
	if l.seen == l.all()|mask(l.me, l.me) && len(l.held) == 0 {
		c.gone(l)
	}
}

func (c *core) mergeHeld(l *leg) {
	if len(l.held) == 0 {
		return
	}
	m := l.held[0]
	l.held = nil
	c.merge(l, m.Public)
}

// merge adds what the nodes before announced to this node's own.
func (c *core) merge(l *leg, sum []byte) {
	l.job = c.newJob(l)
	c.do(jobFold{Job: l.job, Into: l.own, Sum: sum})
}

func (c *core) folded(l *leg) {
	l.job = 0
	if l.far() {
		c.farNext(l)
		return
	}
	m := &message{Type: typeAnnounce, Ref: l.ref, First: 1, Last: uint8(l.me), Public: l.own}
	c.send(l.next(), m, nakOf(l.m, l.me, qsc.Unreachable))
	c.gone(l)
}
