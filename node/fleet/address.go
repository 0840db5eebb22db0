package fleet

import (
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
)

// The ports that are picked for nodes without an address. They lie below those
// that systems give to outgoing connections, so that one picked today is free
// tomorrow.
const (
	firstPort = 20000
	ports     = 12000
)

const loopback = "127.0.0.1"

// toPick is an address that is still to be picked.
const toPick = loopback + ":0"

// picker gives out free addresses, each once.
type picker struct {
	next  int
	taken map[string]bool
	log   *slog.Logger
	moved bool  // some address is new
	err   error // the first
}

func newPicker(n *node.Network, log *slog.Logger) *picker {
	p := &picker{next: rand.IntN(ports), taken: map[string]bool{}, log: log}
	for _, d := range n.Nodes {
		p.taken[d.Listen] = true
	}
	return p
}

// settle replaces an address that is to be picked, or was and is taken by
// somebody else now. Any other stays.
func (p *picker) settle(node qsc.NodeID, addr *string) {
	if *addr == "" || *addr != toPick && (!picked(*addr) || free(*addr)) {
		p.taken[*addr] = true
		return
	}
	if *addr != toPick {
		p.log.Warn("port taken by another program: picking a new one", "node", string(node), "was", *addr)
	}
	a, used, err := pick(p.next, p.taken)
	if err != nil && p.err == nil {
		p.err = err
	}
	p.next += used
	p.moved = true
	*addr = a
	p.taken[a] = true
}

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

// pick returns a free address, counting ports from the given one on, and how
// many it tried.
func pick(from int, taken map[string]bool) (addr string, tried int, err error) {
	for tried = 1; tried <= ports; tried++ {
		addr = net.JoinHostPort(loopback, strconv.Itoa(firstPort+(from+tried)%ports))
		if !taken[addr] && free(addr) {
			return addr, tried, nil
		}
	}
	return "", 0, qsc.E("fleet.Open", qsc.Busy, "", "no port from %d to %d is free on %s: give the nodes addresses (listen) in the network description", firstPort, firstPort+ports-1, loopback)
}

// picked reports whether an address is one that pick may have given.
func picked(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	p, err := strconv.Atoi(port)
	return err == nil && host == loopback && p >= firstPort && p < firstPort+ports
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
