package demo

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cmd/qsc/internal/show"
	"github.com/quantum-secure-cloud/qsc/node"
)

const (
	slack     = 4 << 20 // pad of a link beyond what the file takes
	idlePad   = 1 << 20 // of a link that the file does not take, in blocks of idleBlock
	idleBlock = 256 << 10
	madeBlock = 64 << 10 // of a link that makes its key
	spare     = 64 << 20 // disk beyond what is counted
)

// plan is what is to be done, before anything is.
type plan struct {
	net    *node.Network
	policy node.Policy
	file   string
	size   int64
	used   map[qsc.LinkID]bool        // links to the policy's sites
	made   map[qsc.LinkID]qsc.BitRate // the links that make their key, and how fast
	pad    int64                      // couriered in all, counted once for both ends
	disk   int64                      // bytes that the demo takes at most
	making time.Duration              // until the slowest link has made the key of a put
}

// newPlan reads the network and the file and sizes the links: those that the file
// takes for one put and as many gets as times, the others as small as they may be.
func newPlan(network, file string, times int64) (*plan, error) {
	net, err := node.LoadNetwork(network)
	if err != nil {
		return nil, err
	}
	if err := net.Runnable(); err != nil {
		return nil, err
	}
	p := &plan{net: net, file: file, used: map[qsc.LinkID]bool{}, made: map[qsc.LinkID]qsc.BitRate{}}
	var ok bool
	if p.policy, ok = net.Policy(""); !ok {
		return nil, qsc.E("demo", qsc.Unsupported, "", "the network %s has no policy: it stores nothing", net.Name)
	}
	if p.size, err = sizeOf(file); err != nil {
		return nil, err
	}
	for _, s := range p.policy.Sites {
		n, _ := net.NodeAt(s)
		if l, ok := net.LinkBetween(p.policy.Home, n.ID); ok {
			p.used[l.ID] = true
		}
	}
	for _, l := range net.Links {
		expected, err := node.Predict(net, l)
		if err != nil {
			return nil, err
		}
		if l.Physical() && p.used[l.ID] && expected.Rate <= 0 {
			return nil, qsc.E("demo", qsc.Keyless, "", "the link %s yields no key over its channel, and the file would take it: see qsc plan", l.ID)
		}
		if expected.Rate > 0 || l.Physical() {
			p.made[l.ID] = expected.Rate
		}
	}
	p.resize(times)
	return p, nil
}

func sizeOf(file string) (int64, error) {
	info, err := os.Stat(file)
	switch {
	case os.IsNotExist(err):
		return 0, qsc.E("demo", qsc.NotFound, "", "there is no file %q", file)
	case err != nil:
		return 0, qsc.E("demo", qsc.Invalid, "", "%w", err)
	case !info.Mode().IsRegular():
		return 0, qsc.E("demo", qsc.Invalid, "", "%q is no regular file", file)
	}
	return info.Size(), nil
}

// resize sets the pads and counts the disk: a link's pad lies at both ends in
// both directions, for a while in the couriered stock and in the ring; a share is
// as long as the file.
func (p *plan) resize(times int64) {
	for i := range p.net.Nodes {
		p.net.Nodes[i].Listen, p.net.Nodes[i].Metrics = "", "" // another network may have them
	}
	for i := range p.net.Links {
		l := &p.net.Links[i]
		rate, made := p.made[l.ID]
		switch {
		case made: // makes its key as it goes: small blocks come soon
			l.Block = min(l.Block, madeBlock)
			l.Pad = max(min(l.Pad, slack), l.Block)
			p.wait(*l, rate)
		case p.used[l.ID]:
			need := times*(p.size+p.size/10) + slack
			l.Pad = (need + l.Block - 1) / l.Block * l.Block
			p.pad += 2 * l.Pad
		default:
			l.Block = min(l.Block, idleBlock)
			l.Pad = max(idlePad, l.Block)
			p.pad += 2 * l.Pad
		}
		p.disk += 8 * l.Pad
	}
	p.disk += int64(p.policy.N)*(p.size+p.size/50) + p.size + spare
}

// wait notes how long the slowest link takes to make the key of a put; half of
// what a link makes goes each way.
func (p *plan) wait(l node.Link, rate qsc.BitRate) {
	if p.used[l.ID] {
		p.making = max(p.making, time.Duration(float64(p.size)*8*2/float64(rate)*float64(time.Second)))
	}
}

// room refuses a demo that the disk cannot hold.
func (p *plan) room(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return qsc.E("demo", qsc.Other, "", "cannot see how much space is left in %s: %w", dir, err)
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	if free < p.disk {
		return qsc.E("demo", qsc.NoSpace, "", "%s has %s free, the demo takes %s for a file of %s (pads lie at both ends of each link, and on their way there): choose another directory with --data, or a smaller file",
			dir, show.Bytes(free), show.Bytes(p.disk), show.Bytes(p.size))
	}
	return nil
}

// victims are the nodes that may be killed: those of the sites with a share, but
// not the home node.
func (p *plan) victims(shares []Share) []Share {
	var all []Share
	for _, s := range shares {
		if s.Node != p.policy.Home {
			all = append(all, s)
		}
	}
	return all
}

// scratch makes the demo's directory below parent, or below the system's
// temporary one.
func scratch(parent string) (string, error) {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return "", qsc.E("demo", qsc.Invalid, "", "%w", err)
		}
	}
	dir, err := os.MkdirTemp(parent, "qsc-demo-")
	if err != nil {
		return "", qsc.E("demo", qsc.Invalid, "", "%w", err)
	}
	return filepath.Abs(dir)
}
