package manage

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// keptEvents is how many events are remembered.
const keptEvents = 4096

// events is what happened lately; its owner's mutex guards it.
type events struct {
	list   []control.Event
	last   uint64
	more   chan struct{} // closed at the next event
	read   bool          // records were read once
	readAt time.Duration
}

func (l *events) init() { l.more = make(chan struct{}) }

// add numbers and dates an event and wakes those who wait.
func (l *events) add(e control.Event) {
	l.last++
	e.Seq, e.At = l.last, time.Now().UTC()
	if len(l.list) == keptEvents {
		l.list = append(l.list[:0:0], l.list[keptEvents/2:]...)
	}
	l.list = append(l.list, e)
	close(l.more)
	l.more = make(chan struct{})
}

func (l *events) after(seq uint64) []control.Event {
	for i, e := range l.list {
		if e.Seq > seq {
			return append([]control.Event(nil), l.list[i:]...)
		}
	}
	return nil
}

// Events implements control.Northbound.
func (s *Server) Events(ctx context.Context, after uint64) ([]control.Event, error) {
	for {
		s.mu.Lock()
		list, more := s.events.after(after), s.events.more
		s.mu.Unlock()
		if len(list) > 0 {
			return list, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, qsc.E("manage.Events", qsc.Timeout, "", "%w", context.Cause(ctx))
		}
	}
}

// Nodes implements control.Northbound.
func (s *Server) Nodes() []qsc.NodeID {
	ids := make([]qsc.NodeID, len(s.cfg.Network.Nodes))
	for i, n := range s.cfg.Network.Nodes {
		ids[i] = n.ID
	}
	return ids
}

// leader returns the core, with mu held on return when err is nil.
func (s *Server) leader(op string, node qsc.NodeID) (int, error) {
	s.mu.Lock()
	if s.core == nil {
		s.mu.Unlock()
		return 0, qsc.E(op, qsc.Busy, s.cfg.Name, "another controller leads the network: ask there, or again in some seconds")
	}
	i, ok := s.core.index[node]
	if !ok {
		s.mu.Unlock()
		return 0, qsc.E(op, qsc.NotFound, string(node), "the network description has no such node")
	}
	return i, nil
}

// Node implements control.Northbound.
func (s *Server) Node(_ context.Context, id qsc.NodeID) (control.NodeView, error) {
	i, err := s.leader("manage.Node", id)
	if err != nil {
		return control.NodeView{}, err
	}
	defer s.mu.Unlock()
	v := control.NodeView{Node: id, Heard: s.core.members[i].heard, Flows: s.core.members[i].sent.Flows}
	for number, l := range s.cfg.Network.LinksOf(id) {
		v.Links = append(v.Links, s.core.view(id, number, l))
	}
	at := homes(s.apps)
	for _, p := range s.pairs {
		if at[p.Master] == id {
			v.Apps = append(v.Apps, control.AppView{Master: p.Master, Slave: p.Slave, Peer: at[p.Slave], Policy: p.Policy})
		}
	}
	return v, nil
}

// view shows a link from the end at node.
func (c *Core) view(node qsc.NodeID, number int, l topology.Link) control.LinkView {
	n, _ := c.graph.LinkNumber(l.ID)
	at := &c.links[n]
	v := control.LinkView{Link: l.ID, Number: number, Peer: l.Other(node), Kind: l.Kind, Distance: l.Distance,
		First: l.Ends[0] == node, Up: at.state.Up, State: control.LinkState{Link: l.ID, Kind: l.Kind}}
	end := 0
	if !v.First {
		end = 1
	}
	if said := at.said[end]; said != nil {
		v.State = *said
	}
	for far, o := range c.net.LinksOf(v.Peer) {
		if o.ID == l.ID {
			v.Far = far
		}
	}
	if int(n) < len(c.flows.left) {
		v.Free = c.flows.left[n]
		v.Taken = max(0, c.flows.capacity[n]-v.Free)
	}
	return v
}

// Hops implements control.Northbound.
func (s *Server) Hops(_ context.Context, node qsc.NodeID) ([]control.HopView, error) {
	if _, err := s.leader("manage.Hops", node); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	usable := make(map[control.VirtualID]bool)
	for _, p := range s.pins {
		usable[p.Link] = s.core.usable(p.Path)
	}
	var list []control.HopView
	for _, h := range s.hops {
		if h.Node == node {
			list = append(list, control.HopView{Hop: h, Active: usable[h.Link], Fault: s.faults[h.Link]})
		}
	}
	return list, nil
}

// PutHop implements control.Northbound.
func (s *Server) PutHop(ctx context.Context, h control.Hop) error {
	const op = "manage.PutHop"
	if err := checkHop(op, h); err != nil {
		return err
	}
	for _, n := range append([]qsc.NodeID{h.Node, h.From, h.To}, h.Next...) {
		if _, ok := s.cfg.Network.Node(n); !ok {
			return qsc.E(op, qsc.Invalid, string(n), "the network description has no such node")
		}
	}
	if h.Prev != "" {
		if _, ok := s.cfg.Network.LinkBetween(h.Prev, h.Node); !ok {
			return qsc.E(op, qsc.Invalid, string(h.Node), "no link joins it and the previous hop %s", h.Prev)
		}
	}
	if why := walkable(s.cfg.Network, append([]qsc.NodeID{h.Node}, h.Next...)); len(h.Next) > 0 && why != "" {
		return qsc.E(op, qsc.Invalid, string(h.Node), "the next hops: %s", why)
	}
	if err := s.cfg.Store.PutHop(ctx, h); err != nil {
		return err
	}
	return s.Reload(ctx)
}

// DropHop implements control.Northbound.
func (s *Server) DropHop(ctx context.Context, link control.VirtualID, node qsc.NodeID) error {
	if err := s.cfg.Store.DropHop(ctx, link, node); err != nil {
		return err
	}
	return s.Reload(ctx)
}
