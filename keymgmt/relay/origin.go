package relay

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// origin is a round that was asked for at this node.
//
//	reserving ─ every path has its key or is lost ─▶ sealing ─▶ ordered ─ ack checked ─▶ ended
//
// It ends early when fewer paths are left than are needed, or by cancel.
type origin struct {
	evStart
	offer    offer
	disjoint bool
	legs     []originLeg
	stage    originStage
	job      uint64 // seal or check
	key      any
	acks     []*message // waiting to be checked
	ack      *message   // being checked
	kind     qsc.Kind   // why the first path was lost, the most telling kind
	why      string
}

type originStage uint8

const (
	reserving originStage = iota
	sealing
	ordered
)

// originReserve owns the job that reserves key for path i.
type originReserve struct {
	o *origin
	i int
}

type originLeg struct {
	job   uint64 // reserving
	pads  any
	out   []stretch
	class qsc.Class
	lost  bool
}

func (c *core) start(e evStart) {
	o := &origin{evStart: e, disjoint: disjoint(e.Paths), legs: make([]originLeg, len(e.Paths))}
	o.offer = offer{N: uint32(e.N), Need: uint8(e.Need), Paths: uint8(len(e.Paths)), Hops: uint8(longest(e.Paths)), Disjoint: o.disjoint, Label: e.Label}
	c.origins[e.ID] = o
	for i, p := range e.Paths {
		o.legs[i].job = c.newJob(originReserve{o, i})
		c.do(jobReserve{o.legs[i].job, p[1], o.offer.size()})
	}
}

// originReserved notes the key of one path's first link.
func (c *core) originReserved(o *origin, i int, e evReserved) {
	l := &o.legs[i]
	l.job = 0
	if e.Kind != qsc.Other {
		c.loseLeg(o, i, e.Kind, e.Why)
	} else {
		l.pads, l.out, l.class = e.Pads, e.Out, e.Cls
	}
	if c.origins[o.ID] != o || slices.ContainsFunc(o.legs, func(l originLeg) bool { return l.job != 0 }) {
		return
	}
	o.stage, o.job = sealing, c.newJob(o)
	seal := jobSeal{Job: o.job, Terms: o.terms()}
	for i := range o.legs {
		if l := &o.legs[i]; !l.lost {
			seal.Parts = append(seal.Parts, part{Path: uint8(i), Handle: l.pads})
			l.pads = nil
		}
	}
	c.do(seal)
}

func (o *origin) terms() terms {
	return terms{ID: o.ID, From: o.Paths[0][0], To: o.To, Offer: o.offer}
}

// originSealed sends the orders.
func (c *core) originSealed(o *origin, e evSealed) {
	o.job = 0
	if e.Kind != qsc.Other {
		c.endOrigin(o, e.Kind, "the key of the round could not be made")
		return
	}
	o.stage, o.key, o.offer.Check = ordered, e.Key, e.Check
	for i, p := range o.Paths {
		l := &o.legs[i]
		if l.lost {
			continue
		}
		c.ref++
		m := &message{Type: typeOrder, ID: o.ID, Path: uint8(i), At: 1, Route: p, Ref: c.ref, Class: l.class, Hop: c.hop, In: l.out, Offer: o.offer, Fix: e.Fixes[uint8(i)]}
		c.send(p[1], m, nakOf(m, 0, qsc.Unreachable))
	}
}

// originNak takes note of a lost path.
func (c *core) originNak(m *message) {
	o := c.origins[m.ID]
	if o == nil || o.stage != ordered || int(m.Path) >= len(o.legs) || !slices.Equal(m.Route, o.Paths[m.Path]) || o.legs[m.Path].lost {
		return
	}
	c.loseLeg(o, int(m.Path), m.Kind, "a node on the way refused")
}

// loseLeg gives up a path, and the round with it when too few are left.
func (c *core) loseLeg(o *origin, i int, kind qsc.Kind, why string) {
	o.legs[i].lost = true
	if o.kind == qsc.Other || telling(kind) > telling(o.kind) {
		o.kind, o.why = kind, why
	}
	left := 0
	for _, l := range o.legs {
		if !l.lost {
			left++
		}
	}
	if left < o.Need {
		c.endOrigin(o, o.kind, o.why)
	}
}

// telling orders the reasons for which paths were lost: the caller hears the one
// that says most of what to do. A kind that a node has made up says least.
func telling(k qsc.Kind) int {
	return slices.Index([]qsc.Kind{qsc.NotFound, qsc.Timeout, qsc.Unreachable, qsc.Busy, qsc.Conflict, qsc.Corrupt, qsc.Denied, qsc.NoSpace, qsc.Exhausted, qsc.Tampered}, k)
}

// originAck checks an ack, one at a time.
func (c *core) originAck(m *message) {
	o := c.origins[m.ID]
	if o == nil || o.stage != ordered || int(m.Path) >= len(o.legs) || !slices.Equal(m.Route, o.Paths[m.Path]) {
		return
	}
	if len(o.acks) < keymgmt.MaxPaths {
		o.acks = append(o.acks, m)
	}
	c.checkNext(o)
}

func (c *core) checkNext(o *origin) {
	if o.job != 0 || len(o.acks) == 0 {
		return
	}
	o.ack, o.acks = o.acks[0], o.acks[1:]
	o.job = c.newJob(o)
	c.do(jobCheck{o.job, o.key, o.ack})
}

// originChecked ends the round when the far end has proved that it has the key.
func (c *core) originChecked(o *origin, e evChecked) {
	o.job = 0
	if !e.OK {
		c.status.Tampered++
		c.checkNext(o)
		return
	}
	for _, l := range o.legs {
		if l.lost {
			c.status.Lost++
		}
	}
	c.status.Made += int64(o.N)
	c.out.Ends = append(c.out.Ends, ending{Wait: o.Wait, Key: o.key, D: o.delivery(o.ack.Class)})
	delete(c.origins, o.ID)
}

func (o *origin) delivery(class qsc.Class) keymgmt.Delivery {
	return keymgmt.Delivery{From: o.Paths[0][0], To: o.To, Label: []byte(o.Label), Class: class,
		Hops: int(o.offer.Hops), Paths: len(o.Paths), Need: o.Need, Disjoint: o.disjoint}
}

func (c *core) cancel(e evCancel) {
	if o := c.origins[e.ID]; o != nil {
		c.endOrigin(o, e.Kind, e.Why)
	}
}

// endOrigin fails a round. Key that was reserved and not ordered is burnt here,
// and the neighbour is told. A job under way drops what it yields.
func (c *core) endOrigin(o *origin, kind qsc.Kind, why string) {
	if telling(kind) < 0 {
		kind = qsc.Unreachable // never Other, which would say that there is a key
	}
	c.status.Failed++
	for i, l := range o.legs {
		if o.stage == ordered {
			break
		}
		c.abandon(l.job, orphan{peer: o.Paths[i][1]})
		c.drop(l.pads)
		c.void(o.Paths[i][1], l.out)
	}
	if o.job == 0 {
		c.drop(o.key)
	}
	c.abandon(o.job, orphan{handles: []any{o.key}})
	delete(c.origins, o.ID)
	c.out.Ends = append(c.out.Ends, ending{Wait: o.Wait, Kind: kind, Why: why})
}

// void tells a neighbour of key that nobody will use, so that it burns it too.
func (c *core) void(peer qsc.NodeID, out []stretch) {
	for part := range slices.Chunk(out, maxParts) {
		c.send(peer, &message{Type: typeVoid, In: part}, nil)
	}
}

// longest returns the hops of the longest path.
func longest(paths []keymgmt.Path) (hops int) {
	for _, p := range paths {
		hops = max(hops, p.Hops())
	}
	return hops
}

// disjoint reports whether no node but the ends, and no link, is on two paths.
func disjoint(paths []keymgmt.Path) bool {
	seen := map[qsc.NodeID]bool{}
	direct := false
	for _, p := range paths {
		if p.Hops() == 1 {
			if direct {
				return false
			}
			direct = true
		}
		for _, n := range p[1 : len(p)-1] {
			if seen[n] {
				return false
			}
			seen[n] = true
		}
	}
	return true
}
