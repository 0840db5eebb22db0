package etsi015

import (
	"math"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
)

// node shows what the controller knows of one node.
func (s *Server) node(v control.NodeView, hops []control.HopView) Node {
	n := Node{ID: s.ids.node(v.Node), Status: types + "DOWN", Version: s.cfg.Version, Location: string(v.Node),
		Capabilities: Capabilities{LinkStats: true, Relay: true},
		Applications: Applications{[]App{}}, Interfaces: Interfaces{[]Interface{}}, Links: Links{[]Link{}}}
	if v.Heard {
		n.Status = types + "OPERATING"
	}
	for _, a := range v.Apps {
		n.Applications.List = append(n.Applications.List, s.app(v, a, hops))
	}
	for _, l := range v.Links {
		n.Interfaces.List = append(n.Interfaces.List, iface(v, l))
		n.Links.List = append(n.Links.List, s.physical(v, l))
	}
	for _, h := range hops {
		n.Links.List = append(n.Links.List, s.virtual(h))
	}
	return n
}

func (s *Server) app(v control.NodeView, a control.AppView, hops []control.HopView) App {
	out := App{ID: s.ids.app(a.Master, a.Slave), Status: types + "DISCONNECTED", Type: types + "CLIENT",
		Server: string(a.Master), Clients: []string{string(a.Slave)}, Priority: u32(a.Policy.Priority),
		QoS:   QoS{rate(a.Policy.MaxRate), rate(a.Policy.MinRate), u32(math.Ceil(a.Policy.TTL.Seconds()))},
		Local: s.ids.node(v.Node), Backing: s.backing(v, a.Peer, hops)}
	if a.Peer != "" {
		out.Remote = s.ids.node(a.Peer)
	}
	if len(out.Backing) > 0 && v.Heard {
		out.Status = types + "ON"
	}
	return out
}

// backing lists the links by which key for peer leaves the node, and the virtual
// links that lead there.
func (s *Server) backing(v control.NodeView, peer qsc.NodeID, hops []control.HopView) []string {
	list := []string{}
	add := func(id string) {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	for _, f := range v.Flows {
		for _, p := range f.Paths {
			for _, l := range v.Links {
				if f.To == peer && len(p) > 1 && l.Peer == p[1] {
					add(s.ids.link(l.Link))
				}
			}
		}
	}
	for _, h := range hops {
		if h.Active && (h.From == v.Node && h.To == peer || h.To == v.Node && h.From == peer) {
			add(virtual(h.Link))
		}
	}
	return list
}

func iface(v control.NodeView, l control.LinkView) Interface {
	i := Interface{ID: u32(l.Number), Model: l.Kind, Type: technology(l.Kind), Status: types + "DISABLED"}
	switch {
	case v.Heard && l.State.Up:
		i.Status = types + "ENABLED"
	case v.Heard:
		i.Status = types + "FAILED"
	}
	return i
}

func (s *Server) physical(v control.NodeView, l control.LinkView) Link {
	here, there, on := u32(l.Number), u32(l.Far), true
	out := Link{ID: s.ids.link(l.Link), Status: types + "OFF", Enable: &on, Type: types + "PHYS",
		Local: End{s.ids.node(v.Node), &here}, Remote: End{s.ids.node(l.Peer), &there},
		Performance: &Performance{Expected: rate(l.Taken), SKR: rate(l.State.Rate), ESKR: rate(l.Free)}}
	switch {
	case !v.Heard:
		out.Status = types + "PENDING"
	case l.Up && l.Taken > 0:
		out.Status = types + "ACTIVE"
	case l.Up:
		out.Status = types + "PASSIVE"
	}
	if l.State.QBER > 0 {
		out.Performance.Phys = []PhysPerf{{types + "QBER", l.State.QBER}}
	}
	for _, a := range v.Apps {
		if slices.Contains(s.backing(v, a.Peer, nil), out.ID) {
			out.Applications = append(out.Applications, s.ids.app(a.Master, a.Slave))
		}
	}
	return out
}

func (s *Server) virtual(h control.HopView) Link {
	on := !h.Off
	out := Link{ID: virtual(h.Link), Status: types + "PASSIVE", Enable: &on, Type: types + "VIRT",
		Local: End{Node: s.ids.node(h.From)}, Remote: End{Node: s.ids.node(h.To)}, Bandwidth: rate(h.Bandwidth)}
	switch {
	case h.Off:
		out.Status = types + "OFF"
	case h.Active:
		out.Status = types + "ACTIVE"
	case h.Fault != "":
		out.Status = types + "PENDING"
	}
	if h.Prev != "" {
		prev := s.ids.node(h.Prev)
		out.Prev = &prev
	}
	for _, n := range h.Next {
		out.Next = append(out.Next, s.ids.node(n))
	}
	return out
}

// notification spells an event in the words of the model; what it has no word
// for is an alarm or an event with a text.
func (s *Server) notification(e control.Event) Notification {
	n := Notification{Seq: e.Seq, At: e.At, Name: "event", Text: string(e.Kind)}
	if e.Node != "" {
		n.Node = s.ids.node(e.Node)
	}
	if e.Link != "" {
		n.Link = s.ids.link(e.Link)
	}
	if e.App[0] != "" {
		n.App = s.ids.app(e.App[0], e.App[1])
	}
	switch e.Kind {
	case control.EventLinkDown:
		n.Name = "link_down"
	case control.EventShort, control.EventNodeDown:
		n.Name = "alarm"
	case control.EventAppNew:
		n.Name = "application_new"
	case control.EventAppChanged:
		n.Name = "application_qos_update"
	case control.EventAppGone:
		n.Name = "application_disconnected"
	}
	if n.Name != "event" && n.Name != "alarm" {
		n.Text = ""
	}
	return n
}
