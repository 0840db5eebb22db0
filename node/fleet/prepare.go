package fleet

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/node"
)

// prepare brings the data directory to where every node can be opened.
func (f *Fleet) prepare(ctx context.Context, given *node.Network) (*node.Network, error) {
	net, err := f.settle(given)
	if err != nil {
		return nil, err
	}
	if err := net.Runnable(); err != nil {
		return nil, err
	}
	p := newPicker(net, &f.ports, f.opt.Log)
	p.address(net)
	configs, err := f.configure(net, p)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(filepath.Join(f.dir, NetworkFile), net.Marshal()); err != nil {
		return nil, err
	}
	if err := f.enrol(net, configs); err != nil {
		return nil, err
	}
	for _, n := range net.Nodes {
		if err := f.prepareNode(configs[n.ID], f.nodeDir(n.Data)); err != nil {
			return nil, err
		}
	}
	return net, node.Found(ctx, net, f.dir, f.opt.Progress)
}

// settle chooses between the network that is given and the one that is there.
func (f *Fleet) settle(given *node.Network) (*node.Network, error) {
	path := filepath.Join(f.dir, NetworkFile)
	kept, err := node.LoadNetwork(path)
	switch {
	case qsc.IsKind(err, qsc.NotFound) && given != nil:
		return given, nil
	case err != nil:
		return nil, err
	case given == nil:
		return kept, nil
	}
	for i, n := range given.Nodes {
		if k, ok := kept.Node(n.ID); ok && n.Listen == "" {
			given.Nodes[i].Listen = k.Listen
		}
	}
	if !bytes.Equal(given.Marshal(), kept.Marshal()) {
		return nil, qsc.E("fleet.Open", qsc.Conflict, "", "%s holds another network than the one given: choose another data directory (--data), or leave the network out to run the one that is there", f.dir)
	}
	return kept, nil
}

// prepareNode makes a node's directory and writes its configuration.
func (f *Fleet) prepareNode(c node.Config, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return qsc.E("fleet.Open", qsc.Invalid, string(c.Node), "cannot make the node's directory: %w", err)
	}
	text, err := c.Marshal()
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, nodeFile), text)
}

// replaceFile writes a file whole or not at all. Readers see the old or the new
// one; a crash right after may leave the old one.
func replaceFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	tmp := path + ".new"
	err := os.WriteFile(tmp, data, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return qsc.E("fleet.Open", qsc.NoSpace, "", "cannot write %s: %w", filepath.Base(path), err)
	}
	return nil
}
