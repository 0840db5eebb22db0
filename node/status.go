package node

import (
	"context"
	"os"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// Version is the release of this program.
const Version = "0.1.0"

// Status is what the node tells of itself.
func (n *Node) Status(ctx context.Context) admin.Status {
	s := admin.Status{
		Node: n.cfg.Node, Site: n.self.Site, Version: Version, PID: os.Getpid(), Since: n.since,
		Metrics: n.metrics.Addr(), Links: []admin.Link{}, Alarms: []string{},
	}
	channels := map[qsc.LinkID]transport.LinkStatus{}
	for _, ch := range n.endpoint.Status() {
		channels[ch.Link] = ch
	}
	for _, e := range n.links {
		l := e.status(channels[e.link.ID])
		s.Links = append(s.Links, l)
		s.Alarms = append(s.Alarms, linkAlarms(l, e.ledger.Status().Alarms)...)
	}
	var err error
	if s.Store, err = n.site.Status(ctx); err != nil {
		s.Alarms = append(s.Alarms, "site: "+err.Error())
	}
	if s.Objects, err = n.catalog.Count(ctx); err != nil {
		s.Alarms = append(s.Alarms, "catalogue: "+err.Error())
	}
	for site, a := range n.vault.Alarms() {
		s.Alarms = append(s.Alarms, string(site)+": "+a)
	}
	s.Keys, s.Control, s.Doors = n.keys(), n.control(), n.doors()
	for _, a := range n.supply.Status().Alarms {
		s.Alarms = append(s.Alarms, "keys: "+a)
	}
	if s.Control.Fault != "" {
		s.Alarms = append(s.Alarms, "controller: "+s.Control.Fault)
	}
	slices.Sort(s.Alarms)
	return s
}

// keys is the account of the key beyond the links.
func (n *Node) keys() admin.Keys {
	st := n.supply.Status()
	t := st.Total
	k := admin.Keys{
		Streams: len(st.Streams), Produced: t.Produced, Used: t.Used, Burnt: t.Burnt, Expired: t.Expired, Left: t.Left, Balanced: t.Balanced(),
	}
	if r := n.relay.Load(); r != nil {
		k.Relay = r.Status()
	}
	return k
}

func (n *Node) control() admin.Control {
	a := n.agent.Status()
	c := admin.Control{Epoch: a.Epoch, Version: a.Version, Flows: a.Flows, Refused: a.Refused, Class: a.Class}
	if n.controller != nil {
		s := n.controller.Status()
		c.Runs, c.Leads, c.Fault = true, s.Leads, s.Fault
	}
	return c
}

func (n *Node) doors() admin.Doors {
	return admin.Doors{ETSI014: n.cfg.KME.ETSI014, ETSI004: n.cfg.KME.ETSI004, SKIP: n.cfg.KME.SKIP, ETSI015: n.cfg.Control.ETSI015}
}

func linkAlarms(l admin.Link, ledger []string) (all []string) {
	name := "link " + string(l.ID) + ": "
	for _, a := range ledger {
		all = append(all, name+a)
	}
	if l.Alarm != "" && !slices.Contains(ledger, l.Alarm) {
		all = append(all, name+l.Alarm)
	}
	if !l.Balanced {
		all = append(all, name+"the key account does not balance: stop using the link and report it")
	}
	if !l.Up {
		all = append(all, name+"down: "+l.Why)
	}
	return all
}
