package manage

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Pin is the path that an operator has installed as a virtual link.
type Pin struct {
	Link      control.VirtualID
	Path      keymgmt.Path
	Bandwidth qsc.BitRate // guaranteed to the demands that use it
}

// Assemble spells the paths of virtual links from their entries, which are in
// the order of Store.Hops. A link whose entries are incomplete or contradict each
// other has no pin; its fault says why.
func Assemble(net *topology.Network, hops []control.Hop) (pins []Pin, faults map[control.VirtualID]string) {
	faults = make(map[control.VirtualID]string)
	for len(hops) > 0 {
		n := 1
		for n < len(hops) && hops[n].Link == hops[0].Link {
			n++
		}
		p, why := assemble(hops[:n])
		if why == "" {
			why = walkable(net, p.Path)
		}
		if why == "" {
			pins = append(pins, p)
		} else {
			faults[p.Link] = why
		}
		hops = hops[n:]
	}
	return pins, faults
}

// assemble follows the entries of one link from its beginning.
func assemble(hops []control.Hop) (Pin, string) {
	h := hops[0]
	p := Pin{Link: h.Link, Path: keymgmt.Path{h.From}}
	at := make(map[qsc.NodeID]control.Hop, len(hops))
	for _, o := range hops {
		if o.From != h.From || o.To != h.To {
			return p, "its entries name different ends"
		}
		if o.Off {
			return p, "it is disabled at " + string(o.Node)
		}
		at[o.Node] = o
		p.Bandwidth = max(p.Bandwidth, o.Bandwidth)
	}
	prev := qsc.NodeID("")
	for last := h.From; last != h.To; {
		e, said := at[last]
		switch {
		case !said || len(e.Next) == 0:
			return p, "no next hop is known at " + string(last)
		case e.Prev != prev:
			return p, "the previous hop at " + string(last) + " is another node"
		case len(p.Path)+len(e.Next) > MaxHops+1:
			return p, "it has too many hops"
		}
		p.Path = append(p.Path, e.Next...)
		prev, last = p.Path[len(p.Path)-2], p.Path[len(p.Path)-1]
	}
	return p, entriesAgree(p.Path, at)
}

// entriesAgree holds the entries that the walk stepped over against the path.
func entriesAgree(path keymgmt.Path, at map[qsc.NodeID]control.Hop) string {
	for node, e := range at {
		i := slices.Index(path, node)
		switch {
		case i < 0:
			return "an entry stands at " + string(node) + ", which is not on the path"
		case i > 0 && e.Prev != path[i-1], i == 0 && e.Prev != "":
			return "the previous hop at " + string(node) + " is another node"
		case len(e.Next) > len(path)-i-1 || !slices.Equal(e.Next, path[i+1:i+1+len(e.Next)]):
			return "the next hops at " + string(node) + " are other nodes"
		}
	}
	return ""
}

// walkable says why a path cannot be walked in the network, or nothing.
func walkable(net *topology.Network, p keymgmt.Path) string {
	if len(p) < 2 || len(p) > MaxHops+1 {
		return "a path has 1 to 1024 links"
	}
	seen := make(map[qsc.NodeID]bool, len(p))
	for i, n := range p {
		if _, ok := net.Node(n); !ok {
			return "there is no node " + string(n)
		}
		if seen[n] {
			return "it passes " + string(n) + " twice"
		}
		seen[n] = true
		if i == 0 {
			continue
		}
		if _, ok := net.LinkBetween(p[i-1], n); !ok {
			return "no link joins " + string(p[i-1]) + " and " + string(n)
		}
	}
	return ""
}

// separate reports whether no two of the paths share a node but the ends, or the
// direct link.
func separate(paths []keymgmt.Path) bool {
	seen := make(map[qsc.NodeID]bool)
	direct := false
	for _, p := range paths {
		if len(p) == 2 {
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

// SetPins replaces the installed paths. A pin serves the demands between its
// ends, in both directions, if there are as many pins there as the demand wants
// paths: a pin never makes a protection weaker. While a link or node of it is
// down, computed routes serve instead.
func (c *Core) SetPins(pins []Pin) {
	c.pins = slices.Clone(pins)
	c.flows.repin = true
}

// repin puts pinned paths in the place of computed ones, and back.
func (c *Core) repin() {
	f := &c.flows
	if len(c.pins) == 0 && !f.repin {
		return
	}
	f.repin = false
	between := make(map[[2]qsc.NodeID][]*Pin)
	for i := range c.pins {
		p := &c.pins[i]
		if !c.usable(p.Path) {
			continue
		}
		from, to := p.Path[0], p.Path[len(p.Path)-1]
		there, back := [2]qsc.NodeID{from, to}, [2]qsc.NodeID{to, from}
		if !slices.ContainsFunc(between[there], func(o *Pin) bool { return sameWay(o.Path, p.Path) }) {
			between[there] = append(between[there], p)
			between[back] = append(between[back], p)
		}
	}
	for i, d := range f.demands {
		c.settle(i, between[[2]qsc.NodeID{d.From, d.To}])
	}
}

// sameWay reports whether two paths pass the same nodes, in either direction.
func sameWay(a, b keymgmt.Path) bool {
	if a[0] != b[0] {
		b = slices.Clone(b)
		slices.Reverse(b)
	}
	return slices.Equal(a, b)
}

// settle gives demand i the pins that lead there, if they are enough.
func (c *Core) settle(i int, pins []*Pin) {
	f := &c.flows
	m := f.demands[i].Protection.Paths
	if len(pins) < m {
		if f.routes[i].pin != nil {
			c.reread([]int{i})
		}
		return
	}
	r := flowRoute{pin: pins[0]}
	for _, p := range pins[:m] {
		path := slices.Clone(p.Path)
		if path[0] != f.demands[i].From {
			slices.Reverse(path)
		}
		r.paths = append(r.paths, path)
		r.links = c.numbers(path, r.links)
	}
	r.disjoint = separate(r.paths)
	if !slices.EqualFunc(f.routes[i].paths, r.paths, slices.Equal[keymgmt.Path]) || f.routes[i].pin == nil ||
		f.routes[i].pin.Bandwidth != r.pin.Bandwidth {
		f.rerated = true
	}
	f.routes[i] = r
}

// usable reports whether key can go all along a path now.
func (c *Core) usable(p keymgmt.Path) bool {
	if walkable(c.net, p) != "" {
		return false
	}
	for _, n := range p {
		if !c.members[c.index[n]].heard {
			return false
		}
	}
	for _, l := range c.numbers(p, nil) {
		if s := c.links[l].state; !s.Up || s.Rate == 0 && min(s.Stock[0], s.Stock[1]) == 0 {
			return false
		}
	}
	return true
}

// numbers appends the numbers of a path's links.
func (c *Core) numbers(p keymgmt.Path, to []int32) []int32 {
	for i := 1; i < len(p); i++ {
		l, _ := c.net.LinkBetween(p[i-1], p[i])
		n, _ := c.graph.LinkNumber(l.ID)
		to = append(to, n)
	}
	return to
}
