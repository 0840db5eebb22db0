package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/quantum/preshared"
	"github.com/quantum-secure-cloud/qsc/quantum/simulated"
)

// Found makes what a new network needs before its nodes can run: seeds for
// simulated links, for physical ones also what their ends authenticate with, and a first filling of the rings for preshared links that
// were never provisioned. What is there already is left as it is.
func Found(ctx context.Context, net *Network, data string, progress func(done, total int64)) error {
	var done int64
	for _, l := range net.Links {
		var err error
		switch {
		case l.Kind == topology.KindSimulated:
			err = foundSeed(net, data, l)
		case l.Physical():
			err = foundQuantum(net, data, l)
		case l.Kind == topology.KindDevice:
			err = foundMasks(net, data, l) // of use where the device is a time tagger
		case l.Kind == topology.KindPreshared:
			err = foundStock(ctx, net, data, l, func(n, _ int64) {
				if progress != nil {
					progress(done+n, stockOf(net))
				}
			})
			done += 2 * l.Pad
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func stockOf(net *Network) (total int64) {
	for _, l := range net.Links {
		if l.Kind == topology.KindPreshared {
			total += 2 * l.Pad
		}
	}
	return total
}

func foundSeed(net *Network, data string, l Link) error {
	var paths [2]string
	var seed []byte
	missing := 0
	for i, end := range l.Ends {
		paths[i] = filepath.Join(dirOf(net, data, end), linksDir, string(l.ID), seedName)
		b, err := os.ReadFile(paths[i])
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			return qsc.E("node.Found", qsc.Invalid, paths[i], "%w", err)
		}
		seed = b
	}
	if missing == 0 {
		return nil
	}
	if seed == nil { // else a crash cut this off halfway: both ends take the one there is
		seed = simulated.NewSeed(time.Now(), 0).Marshal()
	}
	for _, p := range paths {
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			return qsc.E("node.Found", qsc.Invalid, p, "%w", err)
		}
		if err := os.WriteFile(p, seed, 0o600); err != nil {
			return qsc.E("node.Found", qsc.Invalid, p, "%w", err)
		}
	}
	return nil
}

// foundingMark lies in a link's stock directory while its first filling is under
// way, so that one that was cut off is made up for.
const foundingMark = "founding"

// foundStock fills the rings of a link that was never provisioned. No node runs
// yet, so the blocks go straight into both ledgers.
func foundStock(ctx context.Context, net *Network, data string, l Link, progress func(done, total int64)) error {
	dirs, done, err := stockDirs(net, data, l)
	if err != nil {
		return err
	}
	defer func() { done() }()
	next, err := preshared.NextSeq(dirs)
	if err != nil {
		return err
	}
	mark := filepath.Join(dirOf(net, data, l.Ends[0]), linkDir(l.ID, stockDir), foundingMark)
	switch _, missing := os.Stat(mark); {
	case next > 0 && missing != nil:
		return nil // provisioned before
	case next > 0:
		// Cut off halfway: what both ends have is kept, the courier brings the rest.
		done()
		done = func() {}
		if _, err := Provision(ctx, net, data, l.ID, ProvisionOptions{Progress: progress}); err != nil {
			return err
		}
		return os.Remove(mark)
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return qsc.E("node.Found", qsc.NoSpace, mark, "%w", err)
	}
	seqs := wantedSeqs(0, l, ProvisionOptions{})
	if err := preshared.Claim(dirs, seqs[len(seqs)-1]+1); err != nil {
		return err
	}
	if err := fillLedgers(ctx, net, data, l, seqs, progress); err != nil {
		return err
	}
	return os.Remove(mark)
}
