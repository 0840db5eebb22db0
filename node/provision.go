package node

import (
	"bufio"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/otp"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/quantum/preshared"
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
