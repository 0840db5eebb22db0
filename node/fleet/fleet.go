// Package fleet runs the node processes of a network on this machine: it makes
// their directories, starts each as a child of this process, restarts what
// crashes and ends all of them together.
//
// It opens no node itself (package node) and asks the nodes for nothing but the
// state of their links. A child ends when its supervisor does, however that ends:
// it holds the other end of the child's standard input.
package fleet

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/internal/ports"
	"github.com/quantum-secure-cloud/qsc/node"
)

// NetworkFile is the name of the resolved network description in a network's
// data directory.
const NetworkFile = "network.toml"

// nodeFile is the name of a node's configuration in the node's directory.
const nodeFile = "node.toml"

// Options steer a Fleet. The zero value runs this program's own executable and
// restarts nothing.
type Options struct {
	Exe      string                  // the executable; "" is this process's own
	Restart  bool                    // a node that ends unasked is started again
	Log      *slog.Logger            // of the supervisor; nil: none
	Progress func(done, total int64) // of the first filling of the links, in bytes; may be nil
}

// Fleet is a network's node processes. Its methods may be called from several
// goroutines.
type Fleet struct {
	net    *node.Network
	dir    string
	opt    Options
	unlock func() error
	ports  ports.Blocks // that were picked
	procs  map[qsc.NodeID]*proc
	ctx    context.Context // ends when Close is called
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// Open takes the data directory and makes it ready to run net, which it owns
// from now on: the resolved network description, a directory with a
// configuration for each node, and the first key of the links. What is there
// already is kept. A nil net means the one that is described there.
//
// Errors: Busy when another process has the directory; Conflict when it holds
// another network than net; NotFound when net is nil and there is none.
func Open(ctx context.Context, net *node.Network, dir string, opt Options) (*Fleet, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, qsc.E("fleet.Open", qsc.Other, "", "cannot find this program's file: %w", err)
		}
		opt.Exe = exe
	}
	dir, unlock, err := take(net, dir)
	if err != nil {
		return nil, err
	}
	f := &Fleet{dir: dir, opt: opt, unlock: unlock, procs: map[qsc.NodeID]*proc{}}
	if f.net, err = f.prepare(ctx, net); err != nil {
		f.ports.Release()
		_ = unlock()
		return nil, err
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	for _, n := range f.net.Nodes {
		f.procs[n.ID] = &proc{fleet: f, node: n.ID, dir: filepath.Join(dir, filepath.FromSlash(n.Data))}
	}
	return f, nil
}

// take makes and locks the data directory. Without a network to run, nothing is
// made.
func take(net *node.Network, dir string) (abs string, unlock func() error, err error) {
	if abs, err = filepath.Abs(dir); err != nil {
		return "", nil, qsc.E("fleet.Open", qsc.Invalid, "", "%w", err)
	}
	if net == nil {
		if _, err := os.Stat(filepath.Join(abs, NetworkFile)); err != nil {
			return "", nil, qsc.E("fleet.Open", qsc.NotFound, "", "there is no network in %s", abs)
		}
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", nil, qsc.E("fleet.Open", qsc.Invalid, "", "cannot make the data directory: %w", err)
	}
	unlock, err = durable.Lock(abs)
	return abs, unlock, err
}

// crowd is how many nodes for each core are so many that each gets along with
// one thread of Go code: more would wake each other up for nothing, which costs a
// hundred idle nodes a quarter of their processor time.
const crowd = 4

// env is the environment of the nodes, nil for this process's own.
func (f *Fleet) env() []string {
	if _, set := os.LookupEnv("GOMAXPROCS"); set || len(f.net.Nodes) <= crowd*runtime.NumCPU() {
		return nil
	}
	return append(os.Environ(), "GOMAXPROCS=1")
}

// Network is the resolved description. It is not to be changed.
func (f *Fleet) Network() *node.Network { return f.net }

// Dir is the network's data directory as an absolute path.
func (f *Fleet) Dir() string { return f.dir }

// NodeDir is the directory of a node, "" when there is none of that id.
func (f *Fleet) NodeDir(id qsc.NodeID) string {
	if p := f.procs[id]; p != nil {
		return p.dir
	}
	return ""
}

// Start starts every node at once and returns when all are ready. On an error,
// the first node's, the others are still to be closed.
func (f *Fleet) Start(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range f.procs {
		g.Go(func() error { return p.start(ctx) })
	}
	return g.Wait()
}

// StartNode starts one node that is not running and returns when it is ready.
// Errors: NotFound, Busy when it is running, the node's own.
func (f *Fleet) StartNode(ctx context.Context, id qsc.NodeID) error {
	p, err := f.proc(id)
	if err != nil {
		return err
	}
	return p.start(ctx)
}

// Kill ends a node with SIGKILL and returns when it is gone. It is not started
// again. Error: NotFound when it is not running.
func (f *Fleet) Kill(id qsc.NodeID) error {
	p, err := f.proc(id)
	if err != nil {
		return err
	}
	return p.end(os.Kill)
}

// Stop asks a node to end, and forces it when it does not within a bounded time.
// It is not started again. Error: NotFound when it is not running.
func (f *Fleet) Stop(id qsc.NodeID) error {
	p, err := f.proc(id)
	if err != nil {
		return err
	}
	return p.end(terminate)
}

// PID is the process number of a node, 0 when it does not run.
func (f *Fleet) PID(id qsc.NodeID) int {
	if p := f.procs[id]; p != nil {
		return p.pid()
	}
	return 0
}

func (f *Fleet) proc(id qsc.NodeID) (*proc, error) {
	if p := f.procs[id]; p != nil {
		return p, nil
	}
	return nil, qsc.E("fleet", qsc.NotFound, string(id), "the network has no such node")
}

// Close ends all nodes side by side and gives up the data directory. When it
// returns no process is left.
func (f *Fleet) Close() error {
	f.stop()
	var wg sync.WaitGroup
	for _, p := range f.procs {
		wg.Go(func() { _ = p.end(terminate) }) // one that does not run is no failure here
	}
	wg.Wait()
	f.wg.Wait()
	f.ports.Release()
	return f.unlock()
}
