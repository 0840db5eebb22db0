package relay

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// round is a round whose far end is this node: all its legs.
//
//	gathering ─ enough legs complete ─▶ verifying ─ the check holds ─▶ delivering ─▶ accepted
//	    ▲                                   │                              │
//	    └────── another set is there ───────┴── none is left ─▶ refused ◀──┘
//
// After accepted or refused only its name stays, for a while: legs that come late
// are burnt, and an accepted round answers them with its ack.
type round struct {
	id     ident
	seq    uint64
	tick   uint64
	legs   []*leg // under way or complete
	sets   [][]*leg
	tries  int
	failed bool // a check failed
	stage  roundStage
	job    uint64
	set    []*leg // being verified
	key    any
	ack    message // accepted: without route
	came   uint8   // accepted: paths that have completed, a bit for each
	paths  uint8
}

type roundStage uint8

const (
	gathering roundStage = iota
	verifying
	delivering
	accepted
	refused
	over // all paths of an accepted round came
)

// Bounds of what one round can make this node do.
const (
	maxTries        = 128 // checks
	maxRoundLegs    = 32
	neighbourInside = keymgmt.MaxPaths // legs of one neighbour in a round
)

// join adds a leg to its round. Late legs are answered, their key consumed.
func (c *core) join(l *leg) bool {
	id := ident{l.m.Route[0], l.m.ID}
	r := c.rounds[id]
	if r == nil && c.ends.has(id) {
		c.do(jobBurn{l.key.From, l.m.In})
		c.recent.add(l.key)
		return false
	}
	if r == nil {
		r = &round{id: id, paths: l.m.Offer.Paths}
		c.admitRound(r)
	}
	if r.stage == accepted || r.stage == refused {
		c.do(jobBurn{l.key.From, l.m.In})
		c.recent.add(l.key)
		if r.stage == accepted {
			c.late(r, l.m)
		}
		return false
	}
	same := 0
	for _, k := range r.legs {
		if k.key.From == l.key.From {
			same++
		}
	}
	if same >= neighbourInside || len(r.legs) >= maxRoundLegs {
		c.do(jobBurn{l.key.From, l.m.In})
		return false
	}
	l.round = r
	r.legs = append(r.legs, l)
	return true
}

// farTaken has the key of the last link.
func (c *core) farTaken(l *leg, e evTaken) {
	l.job = 0
	if e.Kind != qsc.Other {
		c.refuse(l, e.Kind)
		return
	}
	l.sub = e.Key
	if l.m.Hop && l.me > 1 {
		l.held = []*message{{Type: typeAnnounce, Public: l.m.Carried}}
	}
	c.farNext(l)
}

func (c *core) farAnnounced(l *leg, m *message) {
	if l.job != 0 || l.sub == nil {
		c.hold(l, m)
		return
	}
	c.fold(l, m.Public)
}

func (c *core) fold(l *leg, sum []byte) {
	l.job = c.newJob(l)
	c.do(jobFold{Job: l.job, Key: l.sub, Sum: sum})
}

// farNext takes the next announcement that is held, or completes the leg.
func (c *core) farNext(l *leg) {
	if len(l.held) > 0 {
		m := l.held[0]
		l.held = l.held[1:]
		c.fold(l, m.Public)
		return
	}
	if l.seen == l.all() {
		c.complete(l)
	}
}

// complete adds the sets that a leg makes possible to those to be tried.
func (c *core) complete(l *leg) {
	r := l.round
	if r.stage == accepted {
		c.late(r, l.m)
		c.gone(l)
		return
	}
	var others []*leg
	for _, k := range r.legs {
		if k != l && k.done() && k.m.Path != l.m.Path && k.m.Offer == l.m.Offer {
			others = append(others, k)
		}
	}
	for _, s := range choose(others, int(l.m.Offer.Need)-1) {
		if r.tries++; r.tries <= maxTries {
			r.sets = append(r.sets, append([]*leg{l}, s...))
		}
	}
	c.tryNext(r)
}

// done reports whether the sub-key of a leg is complete.
func (l *leg) done() bool {
	return l.sub != nil && l.job == 0 && len(l.held) == 0 && l.seen == l.all()
}

// choose returns the subsets of k legs with distinct path numbers.
func choose(from []*leg, k int) (sets [][]*leg) {
	if k == 0 {
		return [][]*leg{nil}
	}
	for i, l := range from {
		var rest []*leg
		for _, o := range from[i+1:] {
			if o.m.Path != l.m.Path {
				rest = append(rest, o)
			}
		}
		for _, s := range choose(rest, k-1) {
			sets = append(sets, append([]*leg{l}, s...))
		}
		if len(sets) > maxTries {
			break
		}
	}
	return sets
}

// tryNext checks the next set of sub-keys.
func (c *core) tryNext(r *round) {
	if r.stage != gathering {
		return
	}
	if len(r.sets) == 0 {
		c.noneLeft(r)
		return
	}
	r.set, r.sets = r.sets[0], r.sets[1:]
	r.stage = verifying
	r.job = c.newJob(r)
	v := jobVerify{Job: r.job, Terms: terms{ID: r.id.ID, From: r.id.Source, To: c.self, Offer: r.set[0].m.Offer}}
	for _, l := range r.set {
		v.Parts = append(v.Parts, part{l.m.Path, l.sub, l.m.Fix})
		v.Class = v.Class.Weakest(l.m.Class)
		v.Got |= 1 << l.m.Path
	}
	c.do(v)
}

// noneLeft refuses a round when no set verifies and no other can come: all paths
// of the offer are complete, and there is no second offer. One relay can add
// offers of its own; it cannot end the round with them.
func (c *core) noneLeft(r *round) {
	var have uint8
	for _, l := range r.legs {
		if l.m.Offer != r.legs[0].m.Offer {
			return
		}
		if l.done() {
			have |= 1 << l.m.Path
		}
	}
	if r.failed && len(r.legs) > 0 && int(have) == 1<<r.legs[0].m.Offer.Paths-1 {
		c.refuseRound(r, qsc.Tampered)
	}
}

// verified ends the check of a set.
func (c *core) verified(r *round, e evVerified) {
	r.job = 0
	if !e.OK {
		c.drop(e.Key)
		if !r.failed {
			c.status.Tampered++
		}
		r.failed, r.set, r.stage = true, nil, gathering
		c.tryNext(r)
		return
	}
	o := r.set[0].m.Offer
	r.ack = message{Type: typeAck, ID: r.id.ID, Tag: e.Tag}
	var paths []keymgmt.Path
	for _, l := range r.set {
		r.ack.Class = r.ack.Class.Weakest(l.m.Class)
		r.ack.Got |= 1 << l.m.Path
		paths = append(paths, l.m.Route)
	}
	r.stage, r.key, r.paths = delivering, e.Key, o.Paths
	r.job = c.newJob(r)
	c.do(jobDeliver{r.job, e.Key, keymgmt.Delivery{From: r.id.Source, To: c.self, Label: []byte(o.Label), Class: r.ack.Class,
		Hops: max(int(o.Hops), longest(paths)), Paths: int(o.Paths), Need: int(o.Need), Disjoint: o.Disjoint && disjoint(paths)}})
}

// accepted answers the source once the key is stored durably, along every path
// that is complete; others may still become so.
func (c *core) accepted(r *round, e evAccepted) {
	r.job = 0
	if e.Kind != qsc.Other {
		c.refuseRound(r, e.Kind)
		return
	}
	r.stage, r.key = accepted, nil // the sink owns it
	c.status.Made += int64(r.set[0].m.Offer.N)
	r.set, r.sets = nil, nil
	for _, l := range slices.Clone(r.legs) {
		if l.done() && c.legs[l.key] == l {
			c.complete(l)
		}
	}
}

// late answers along one path of an accepted round, and forgets the round when
// that was the last.
func (c *core) late(r *round, order *message) {
	r.came |= 1 << order.Path
	ack := r.ack
	ack.Path, ack.Route, ack.At = order.Path, order.Route, uint8(order.Route.Hops()-1)
	c.send(order.Route[ack.At], &ack, nil)
	if int(r.came) == 1<<r.paths-1 && c.rounds[r.id] == r {
		r.stage = over
		c.dropRound(r)
	}
}

// refuseRound gives a round up and says so along every complete path.
func (c *core) refuseRound(r *round, kind qsc.Kind) {
	c.status.Failed++
	for _, l := range r.legs {
		if l.done() {
			c.nak(l.m, l.me, kind)
		}
	}
	r.stage = refused
	c.endLegs(r)
}

// endLegs drops the legs of a round that is decided. Sub-keys under a check are
// dropped when it ends.
func (c *core) endLegs(r *round) {
	legs := r.legs
	r.legs, r.sets, r.set = nil, nil, nil
	for _, l := range legs {
		c.gone(l)
	}
}
