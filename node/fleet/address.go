package fleet

import (
	"log/slog"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/ports"
	"github.com/quantum-secure-cloud/qsc/node"
)

// toPick is an address that is still to be picked.
const toPick = "127.0.0.1:0"

// picker gives out free addresses, each once.
type picker struct {
	blocks *ports.Blocks
	taken  map[string]bool
	log    *slog.Logger
	moved  bool  // some address is new
	err    error // the first
}

func newPicker(n *node.Network, b *ports.Blocks, log *slog.Logger) *picker {
	p := &picker{blocks: b, taken: map[string]bool{}, log: log}
	for _, d := range n.Nodes {
		p.taken[d.Listen] = true
	}
	return p
}

// settle replaces an address that is to be picked, or was and is taken by
// somebody else now. Any other stays.
func (p *picker) settle(node qsc.NodeID, addr *string) {
	if *addr == "" || *addr != toPick && p.keeps(*addr) {
		p.taken[*addr] = true
		return
	}
	if *addr != toPick {
		p.log.Warn("port taken by another program: picking a new one", "node", string(node), "was", *addr)
	}
	a, err := p.blocks.Pick(p.taken)
	if err != nil && p.err == nil {
		p.err = qsc.E("fleet.Open", qsc.Busy, string(node), "%w: give the nodes addresses (listen) in the network description", err)
	}
	p.moved = true
	*addr = a
	p.taken[a] = true
}

// keeps reports whether an address can stay: one that was given, or one that was
// picked and is still to be had.
func (p *picker) keeps(addr string) bool { return !p.blocks.Picked(addr) || p.blocks.Keep(addr) }

// settleDoors settles every address of a node's configuration.
func (p *picker) settleDoors(c *node.Config) {
	for _, a := range []*string{&c.KME.ETSI014, &c.KME.ETSI004, &c.KME.SKIP, &c.Control.Listen, &c.Control.Cluster, &c.Control.ETSI015} {
		p.settle(c.Node, a)
	}
}

// settleChannels settles where the two ends of each physical link talk in public.
func (p *picker) settleChannels(net *node.Network, all map[qsc.NodeID]*node.Config) {
	for _, l := range net.Links {
		if !l.Physical() {
			continue
		}
		channel := toPick
		for _, end := range l.Ends {
			if q, ok := all[end].Quantum[string(l.ID)]; ok {
				channel = q.Channel
				break
			}
		}
		p.settle(l.Ends[0], &channel)
		for _, end := range l.Ends {
			c := all[end]
			if c.Quantum == nil {
				c.Quantum = map[string]node.Quantum{}
			}
			c.Quantum[string(l.ID)] = node.Quantum{Channel: channel}
		}
	}
}

// address gives every node without an address one that is free now, and a new
// one to every node whose picked port somebody else has taken since.
func (p *picker) address(n *node.Network) {
	for i := range n.Nodes {
		d := &n.Nodes[i]
		if d.Listen == "" {
			d.Listen = toPick
		}
		p.settle(d.ID, &d.Listen)
	}
}
