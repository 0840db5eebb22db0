package node

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt/pool"
)

// osRandom draws share coefficients from the operating system's generator. It is
// computational, and every object made with it says so.
type osRandom struct{}

func (osRandom) Fill(p []byte) error {
	_, err := rand.Read(p)
	return err
}

func (osRandom) Class() qsc.Class { return qsc.OSRandom }

// poolDir holds a node's physical random bytes, below its directory.
const poolDir = "pool"

// BringOptions say what to bring to a node's pool.
type BringOptions struct {
	From     string // file of physical random bytes
	Size     int64  // bytes; 0: the whole file
	Progress func(done, total int64)
}

// BringRandom adds physical random bytes to a node's pool, also while the node
// runs. A policy with randomness = "pool" draws its coefficients from there.
// Errors: NotFound, Invalid, NoSpace, Timeout.
func BringRandom(ctx context.Context, net *Network, data string, id qsc.NodeID, opt BringOptions) (size int64, err error) {
	dir, err := Dir(net, data, id)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(opt.From)
	if err != nil {
		return 0, qsc.E("node.BringRandom", qsc.NotFound, opt.From, "%w", err)
	}
	defer f.Close()
	if size = opt.Size; size <= 0 {
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return 0, qsc.E("node.BringRandom", qsc.Invalid, opt.From, "it is no regular file: say how many bytes to take")
		}
		size = info.Size()
	}
	path := filepath.Join(dir, poolDir)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return 0, qsc.E("node.BringRandom", qsc.Invalid, path, "%w", err)
	}
	d, err := durable.Dir(path)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	return size, pool.Bring(ctx, d, f, size, qsc.ITS, opt.Progress)
}
