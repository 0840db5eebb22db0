package manage

import (
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control"
	"github.com/quantum-secure-cloud/qsc/control/route"
	"github.com/quantum-secure-cloud/qsc/control/topology"
)

// CoreConfig sets a Core up. Zero durations mean the defaults named.
type CoreConfig struct {
	Network  *topology.Network
	Epoch    uint64        // of the lease
	Patience time.Duration // a node silent for longer is down; 4 s
	Settle   time.Duration // how long a new controller listens before it speaks; 2 s
	Resend   time.Duration // until a table that was not acknowledged is sent again; 2 s
	Dry      time.Duration // flows leave a link that will be empty within it; 1 min
}

func (c CoreConfig) withDefaults() CoreConfig {
	for _, d := range []struct {
		at *time.Duration
		is time.Duration
	}{{&c.Patience, 4 * time.Second}, {&c.Settle, 2 * time.Second}, {&c.Resend, 2 * time.Second}, {&c.Dry, time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.is
		}
	}
	return c
}

// Core is the controller as one deterministic state, for one goroutine: the same
// calls give the same tables. It implements control.Controller.
//
// Nodes: unheard → alive ⇄ silent. Tables are empty until all nodes were heard or
// the settling time is over; from then on every call returns the tables of the
// nodes that have to be told something.
type Core struct {
	cfg     CoreConfig
	net     *topology.Network
	graph   *route.Graph
	index   map[qsc.NodeID]int
	members []member
	links   []link
	pins    []Pin

	running bool // Tables was called
	begin   time.Duration
	settled bool
	urgent  bool

	flows   flows
	past    past
	version uint64
}

var _ control.Controller = (*Core)(nil)

// member is what the controller knows of one node.
type member struct {
	heard bool // ever, within patience
	fresh bool // since the last Tables
	at    time.Duration
	last  control.Report
	sent  control.Table
	when  time.Duration // of the last push
	told  bool          // sent holds a table
}

// NewCore returns a controller that knows the network and has heard nothing.
// Errors: Invalid without a network.
func NewCore(cfg CoreConfig) (*Core, error) {
	if cfg.Network == nil || len(cfg.Network.Nodes) == 0 {
		return nil, qsc.E("manage.NewCore", qsc.Invalid, "", "a controller needs a network description")
	}
	c := &Core{cfg: cfg.withDefaults(), net: cfg.Network, graph: route.New(cfg.Network)}
	c.members = make([]member, len(c.net.Nodes))
	c.index = make(map[qsc.NodeID]int, len(c.net.Nodes))
	for i, n := range c.net.Nodes {
		c.index[n.ID] = i
	}
	c.links = make([]link, len(c.net.Links))
	for i, l := range c.net.Links {
		c.links[i].ends = [2]int{c.index[l.Ends[0]], c.index[l.Ends[1]]}
	}
	return c, nil
}

// Report implements control.Controller. Errors: Invalid for unknown nodes, links
// that are not the node's, or values that cannot be; such a report changes
// nothing.
func (c *Core) Report(r control.Report) error {
	const op = "manage.Report"
	if err := checkReport(op, r); err != nil {
		return err
	}
	i, ok := c.index[r.Node]
	if !ok {
		return qsc.E(op, qsc.Invalid, string(r.Node), "the network description has no such node")
	}
	numbers, err := c.own(op, r)
	if err != nil {
		return err
	}
	m := &c.members[i]
	if m.heard && (r.Boot < m.last.Boot || r.Boot == m.last.Boot && r.Seq <= m.last.Seq) {
		return nil
	}
	if !m.heard || !slices.Equal(m.last.Demands, r.Demands) {
		c.flows.stale = true
	}
	m.last, m.fresh, m.heard = r, true, true
	c.takeLinks(i, r, numbers)
	return nil
}

// own returns the numbers of the links that a report speaks of.
func (c *Core) own(op string, r control.Report) ([]int32, error) {
	numbers := make([]int32, len(r.Links))
	for k, s := range r.Links {
		n, ok := c.graph.LinkNumber(s.Link)
		if !ok || c.net.Links[n].Other(r.Node) == "" {
			return nil, qsc.E(op, qsc.Invalid, string(r.Node), "the network description has no link %.80q here", string(s.Link))
		}
		numbers[k] = n
	}
	for _, d := range r.Demands {
		if _, ok := c.index[d.To]; !ok {
			return nil, qsc.E(op, qsc.Invalid, string(r.Node), "the network description has no node %.80q", string(d.To))
		}
	}
	return numbers, nil
}

// Urgent reports whether something was reported since the last Tables that
// should not wait: a link went down or came up.
func (c *Core) Urgent() bool { return c.urgent && c.settled }

// Tables implements control.Controller.
func (c *Core) Tables(now time.Duration) []control.Table {
	c.listen(now)
	if !c.settled {
		return nil
	}
	c.urgent = false
	c.price(now)
	c.route(now)
	return c.speak(now)
}

// listen stamps what was reported and finds out who is silent.
func (c *Core) listen(now time.Duration) {
	if !c.running {
		c.running, c.begin = true, now
	}
	heard := 0
	for i := range c.members {
		m := &c.members[i]
		if m.fresh {
			m.at, m.fresh = now, false
		}
		if m.heard && now-m.at > c.cfg.Patience {
			c.forget(i)
		}
		if m.heard {
			heard++
		}
	}
	if !c.settled && (heard == len(c.members) || now-c.begin >= c.cfg.Settle) {
		c.settled = true
	}
	if !c.settled {
		return
	}
	for i, n := range c.net.Nodes {
		// Every node is in the graph: NotFound cannot be.
		_, _ = c.graph.SetNode(n.ID, c.members[i].heard)
	}
}

// forget drops what a silent node said: whatever it says next is news, also from
// a node whose directory was lost and whose count of boots began anew.
func (c *Core) forget(i int) {
	m := &c.members[i]
	m.heard, m.last = false, control.Report{Node: m.last.Node}
	c.flows.stale = true
	for l := range c.links {
		for end := range 2 {
			if c.links[l].ends[end] == i {
				c.links[l].said[end] = nil
			}
		}
	}
}

// Ahead returns the largest epoch that more than half of the nodes heard have
// reached. Above the controller's own it means that the store was set back: one
// node alone, faulty or hostile, cannot say so.
func (c *Core) Ahead() uint64 {
	var epochs []uint64
	for i := range c.members {
		if c.members[i].heard {
			epochs = append(epochs, c.members[i].last.Epoch)
		}
	}
	if len(epochs) == 0 {
		return 0
	}
	slices.Sort(epochs)
	return epochs[(len(epochs)-1)/2]
}

// SetEpoch changes the epoch of all tables from now on; every node is told.
func (c *Core) SetEpoch(epoch uint64) {
	c.cfg.Epoch = epoch
	for i := range c.members {
		c.members[i].told = false
	}
}

// Epoch returns the epoch of the tables.
func (c *Core) Epoch() uint64 { return c.cfg.Epoch }
