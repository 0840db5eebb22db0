package manage

import (
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// maxFound bounds the paths that an agent keeps in mind.
const maxFound = 4096

// whole spells a protection out: no zero means anything else than itself.
func whole(p keymgmt.Protection) keymgmt.Protection {
	if p.Paths == 0 {
		p.Paths = max(1, p.Need)
	}
	if p.Need == 0 {
		p.Need = p.Paths
	}
	return p
}

// verify says what a pushed flow claims that the network description does not
// bear out, or nothing. A controller may choose badly; it cannot make paths that
// are not there, nor call disjoint what is not.
func verify(net *topology.Network, here qsc.NodeID, f control.Flow) string {
	if len(f.Paths) == 0 {
		return "it has no path"
	}
	if len(f.Paths) > f.Protection.Paths {
		return "it has more paths than were asked for"
	}
	for i, p := range f.Paths {
		if why := walkable(net, p); why != "" {
			return why
		}
		if p[0] != here || p[len(p)-1] != f.To {
			return "a path does not lead from here to there"
		}
		if slices.ContainsFunc(f.Paths[:i], func(q keymgmt.Path) bool { return slices.Equal(p, q) }) {
			return "one path is there twice"
		}
	}
	if f.Disjoint && (len(f.Paths) < f.Protection.Paths || !separate(f.Paths)) {
		return "it calls paths disjoint that are not, or are too few"
	}
	return ""
}

// Route implements keymgmt.RouteSource: the controller's paths while enough of
// them begin with a link that is up, else the cheapest by the network
// description and the state of this node's own links.
func (a *Agent) Route(to qsc.NodeID, p keymgmt.Protection) (keymgmt.Route, error) {
	const op = "manage.Route"
	p = whole(p)
	if err := checkProtection(op, p); err != nil {
		return keymgmt.Route{}, err
	}
	if to == a.cfg.Node {
		return keymgmt.Route{}, qsc.E(op, qsc.Invalid, string(to), "a node needs no path to itself")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	w := wish{to, p}
	if f, ok := a.flows[w]; ok && a.leaves(f.Paths) >= min(p.Need, len(f.Paths)) {
		return keymgmt.Route{Paths: f.Paths, Need: min(p.Need, len(f.Paths)), Disjoint: f.Disjoint, Epoch: a.saved.table.Epoch}, nil
	}
	if r, ok := a.found[w]; ok {
		return r, nil
	}
	found, err := a.own.Route(route.Demand{From: a.cfg.Node, To: to, Paths: p.Paths})
	if err != nil {
		return keymgmt.Route{}, err
	}
	r := keymgmt.Route{Paths: found.Paths, Need: min(p.Need, len(found.Paths)), Disjoint: found.Disjoint}
	if a.found == nil || len(a.found) >= maxFound {
		a.found = make(map[wish]keymgmt.Route)
	}
	a.found[w] = r
	return r, nil
}

// leaves counts the paths whose first link is up.
func (a *Agent) leaves(paths []keymgmt.Path) int {
	n := 0
	for _, p := range paths {
		if !a.down[p[1]] {
			n++
		}
	}
	return n
}

// Pace returns the rate of delivered key that the controller shares out to a
// flow, and false when it said nothing of it.
func (a *Agent) Pace(to qsc.NodeID, p keymgmt.Protection) (qsc.BitRate, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.flows[wish{to, whole(p)}]
	return f.Rate, ok
}

// follow takes the state of the node's own links into account. What far links
// hold the agent does not know: it takes them as the description has them.
func (a *Agent) follow(links []control.LinkState) {
	a.down = make(map[qsc.NodeID]bool)
	said := make(map[qsc.LinkID]control.LinkState, len(links))
	for _, s := range links {
		said[s.Link] = s
	}
	for _, l := range a.cfg.Network.LinksOf(a.cfg.Node) {
		s := said[l.ID]
		state := route.State{Up: s.Up, Stock: [2]int64{s.Send, s.Recv}, Size: s.Size, Rate: s.Rate, Avoid: [2]bool{s.Halted, s.Halted}}
		if l.Ends[1] == a.cfg.Node {
			state.Stock = [2]int64{s.Recv, s.Send}
		}
		if changed, err := a.own.SetLink(l.ID, state); err == nil && changed {
			a.found = nil
		}
		a.down[l.Other(a.cfg.Node)] = !s.Up
	}
}
