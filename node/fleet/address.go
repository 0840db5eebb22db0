package fleet

import (
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

// address gives every node without an address one that is free now, and a new
// one to every node whose picked port somebody else has taken since.
func (f *Fleet) address(n *node.Network) error {
	taken := map[string]bool{}
	for _, d := range n.Nodes {
		taken[d.Listen] = true
	}
	next := rand.IntN(ports)
	for i := range n.Nodes {
		d := &n.Nodes[i]
		if d.Listen != "" && (!picked(d.Listen) || free(d.Listen)) {
			continue
		}
		if d.Listen != "" {
			f.opt.Log.Warn("port taken by another program: picking a new one", "node", string(d.ID), "was", d.Listen)
		}
		addr, used, err := pick(next, taken)
		if err != nil {
			return err
		}
		next += used
		d.Listen = addr
		taken[addr] = true
	}
	return nil
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
