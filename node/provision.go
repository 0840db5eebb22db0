package node

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum/preshared"
	"github.com/quantum-secure-cloud/qsc/quantum/simulated"
)

// Direction says which way pads go.
type Direction uint8

// The directions of a link. A is the first end in the network description.
const (
	Both Direction = iota
	AToB
	BToA
)

// ProvisionOptions say how much key to carry to a link.
type ProvisionOptions struct {
	Size      int64 // bytes of pad in each wanted direction; 0: as much as the ring holds
	Direction Direction
	From      string // file of physical random bytes; empty: the operating system's generator
	Progress  func(done, total int64)
}

// ProvisionReport tells what was carried.
type ProvisionReport struct {
	Link   qsc.LinkID `json:"link"`
	Blocks int        `json:"blocks"`
	Bytes  int64      `json:"bytes"` // at each end
	Class  qsc.Class  `json:"class"`
}

// Provision puts the same random blocks at both ends of a preshared link, also
// while their nodes run: the couriered-disk case. Errors: NotFound, Invalid,
// Busy when another provisioning of the link is under way, NoSpace, Timeout.
func Provision(ctx context.Context, net *Network, data string, id qsc.LinkID, opt ProvisionOptions) (ProvisionReport, error) {
	l, ok := net.Link(id)
	if !ok {
		return ProvisionReport{}, qsc.E("node.Provision", qsc.NotFound, string(id), "the network description has no such link")
	}
	if l.Kind != topology.KindPreshared {
		return ProvisionReport{}, qsc.E("node.Provision", qsc.Invalid, string(id), "a link of kind %s makes its own key: only preshared links are provisioned", l.Kind)
	}
	dirs, closeDirs, err := stockDirs(net, data, l)
	if err != nil {
		return ProvisionReport{}, err
	}
	defer closeDirs()
	first, err := preshared.NextSeq(dirs)
	if err != nil {
		return ProvisionReport{}, err
	}
	seqs := wantedSeqs(first, l, opt)
	random, class, err := randomFrom(opt.From)
	if err != nil {
		return ProvisionReport{}, err
	}
	defer random.Close()
	err = preshared.Provision(ctx, preshared.Spec{
		Link: id, Block: l.Block, Ends: dirs, Seqs: seqs, Class: class, Progress: opt.Progress,
		Random: bufio.NewReaderSize(random, 1<<20),
	})
	return ProvisionReport{id, len(seqs), int64(len(seqs)) * l.Block, class}, err
}

// wantedSeqs numbers the blocks that bring size pad bytes to each wanted
// direction, and the control blocks on the way.
func wantedSeqs(first uint64, l Link, opt ProvisionOptions) (seqs []uint64) {
	size := opt.Size
	if size <= 0 {
		size = l.Pad / l.Block * keymgmt.PadSize(l.Block)
	}
	need := max(1, (size+keymgmt.PadSize(l.Block)-1)/keymgmt.PadSize(l.Block))
	left := map[otp.Lane]int64{}
	if opt.Direction != BToA {
		left[keymgmt.DataAB] = need
	}
	if opt.Direction != AToB {
		left[keymgmt.DataBA] = need
	}
	for seq := first; left[keymgmt.DataAB]+left[keymgmt.DataBA] > 0; seq++ {
		lane, _ := keymgmt.LaneOf(seq)
		if lane == keymgmt.ControlAB || lane == keymgmt.ControlBA {
			seqs = append(seqs, seq)
		} else if left[lane] > 0 {
			left[lane]--
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// randomFrom opens the source of a stock's bytes.
func randomFrom(path string) (io.ReadCloser, qsc.Class, error) {
	if path == "" {
		return io.NopCloser(rand.Reader), qsc.OSRandom, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, qsc.E("node.Provision", qsc.NotFound, path, "%w", err)
	}
	return f, qsc.ITS, nil
}

// stockDirs opens the stock directories of both ends and locks the first.
func stockDirs(net *Network, data string, l Link) (dirs [2]durable.FS, done func(), err error) {
	var undo []func() error
	done = func() {
		for _, f := range slices.Backward(undo) {
			_ = f()
		}
	}
	for i, end := range l.Ends {
		path := filepath.Join(dirOf(net, data, end), linkDir(l.ID, stockDir))
		if err = os.MkdirAll(path, 0o700); err == nil && i == 0 {
			var unlock func() error
			if unlock, err = durable.Lock(path); err == nil {
				undo = append(undo, unlock)
			}
		}
		if err == nil {
			if dirs[i], err = durable.Dir(path); err == nil {
				undo = append(undo, dirs[i].Close)
			}
		}
		if err != nil {
			done()
			return dirs, nil, err
		}
	}
	return dirs, done, nil
}

// Found makes what a new network needs before its nodes can run: seeds for
// simulated links, and a first filling of the rings for preshared links that
// were never provisioned. What is there already is left as it is.
func Found(ctx context.Context, net *Network, data string, progress func(done, total int64)) error {
	var done int64
	for _, l := range net.Links {
		var err error
		switch l.Kind {
		case topology.KindSimulated:
			err = foundSeed(net, data, l)
		case topology.KindPreshared:
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

func foundStock(ctx context.Context, net *Network, data string, l Link, progress func(done, total int64)) error {
	dirs, done, err := stockDirs(net, data, l)
	if err != nil {
		return err
	}
	next, err := preshared.NextSeq(dirs)
	done()
	if err != nil || next > 0 {
		return err
	}
	_, err = Provision(ctx, net, data, l.ID, ProvisionOptions{Progress: progress})
	return err
}
