package manage

import (
	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

// past is what the core last told of, so that it tells changes only.
type past struct {
	told  bool
	nodes []bool
	links []bool
	short map[[2]qsc.NodeID]bool
}

// Happened returns what changed since the last call, without number or date. The
// first call after settling tells of what is down.
func (c *Core) Happened() []control.Event {
	if !c.settled {
		return nil
	}
	p := &c.past
	if !p.told {
		*p = past{true, make([]bool, len(c.members)), make([]bool, len(c.links)), nil}
		for i := range p.nodes {
			p.nodes[i] = true
		}
		for n := range p.links {
			p.links[n] = true
		}
	}
	return append(append(c.nodesChanged(), c.linksChanged()...), c.shortChanged()...)
}

func (c *Core) nodesChanged() (list []control.Event) {
	for i := range c.members {
		if up := c.members[i].heard; up != c.past.nodes[i] {
			c.past.nodes[i] = up
			list = append(list, control.Event{Kind: either(up, control.EventNodeUp, control.EventNodeDown), Node: c.net.Nodes[i].ID})
		}
	}
	return list
}

func (c *Core) linksChanged() (list []control.Event) {
	for n := range c.links {
		if up := c.links[n].state.Up; up != c.past.links[n] {
			c.past.links[n] = up
			l := c.net.Links[n]
			list = append(list, control.Event{Kind: either(up, control.EventLinkUp, control.EventLinkDown), Node: l.Ends[0], Peer: l.Ends[1], Link: l.ID})
		}
	}
	return list
}

func (c *Core) shortChanged() (list []control.Event) {
	now := make(map[[2]qsc.NodeID]bool)
	for _, d := range c.Short() {
		id := [2]qsc.NodeID{d.From, d.To}
		if !now[id] && !c.past.short[id] {
			list = append(list, control.Event{Kind: control.EventShort, Node: d.From, Peer: d.To})
		}
		now[id] = true
	}
	for _, d := range c.flows.demands {
		id := [2]qsc.NodeID{d.From, d.To}
		if c.past.short[id] && !now[id] {
			delete(c.past.short, id)
			list = append(list, control.Event{Kind: control.EventEnough, Node: d.From, Peer: d.To})
		}
	}
	c.past.short = now
	return list
}

func either(first bool, a, b control.EventKind) control.EventKind {
	if first {
		return a
	}
	return b
}
