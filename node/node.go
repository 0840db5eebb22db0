// Package node opens one trusted node from one configuration: its directory, the
// ledgers of its links, its channels to neighbours, its site, its vault and its
// operator's door. It is the only package that knows every floor.
//
// It implements nothing of them and holds no state of its own but what is open.
package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/cloud/catalog"
	"github.com/quantum-secure-cloud/qsc/cloud/site/local"
	"github.com/quantum-secure-cloud/qsc/cloud/site/remote"
	"github.com/quantum-secure-cloud/qsc/cloud/vault"
	"github.com/quantum-secure-cloud/qsc/control/manage"
	"github.com/quantum-secure-cloud/qsc/control/topology"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/its/share"
	"github.com/quantum-secure-cloud/qsc/keymgmt/pool"
	"github.com/quantum-secure-cloud/qsc/keymgmt/relay"
	"github.com/quantum-secure-cloud/qsc/keymgmt/supply"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// Node is one open trusted node.
type Node struct {
	cfg   Config
	net   *Network
	self  topology.Node
	log   *slog.Logger
	since time.Time

	links    []*linkEnd
	site     *local.Site
	catalog  *catalog.Catalog
	endpoint *transport.Endpoint
	vault    *vault.Vault
	admin    *admin.Server
	metrics  *metricsServer
	pool     *pool.Pool

	agent      *manage.Agent
	guard      *guard
	controller *manage.Server // nil: none runs here
	store      *manage.Store  // of the controller
	saes       directory
	follow     func(context.Context) // keeps saes up to date; nil: nothing to follow
	supply     *supply.Supply
	relay      atomic.Pointer[relay.Relay]

	linkUp chan struct{} // a link has come up: perhaps there is something to repair
	stop   context.CancelFunc
	work   sync.WaitGroup
	closer []func() error // in the order of opening
}

// Open opens the node and serves until Close. Errors: Busy when another process
// has the directory; Invalid for a wrong configuration; NoSpace when rings or
// catalogue do not fit; Corrupt and Conflict when what the directory holds is
// damaged or belongs to another node.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Node, error) {
	n := &Node{cfg: cfg, log: log.With("node", string(cfg.Node)), since: time.Now(), linkUp: make(chan struct{}, 1)}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.log.Info("node is up", "site", string(n.self.Site), "listen", n.self.Listen)
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	if err := n.describe(); err != nil {
		return err
	}
	if err := n.lock(); err != nil {
		return err
	}
	refuseCoreDumps()
	for _, step := range []func() error{n.openLinks, n.openPool, n.openSite, n.openCatalog, n.openAgent, n.openSupply, n.openEndpoint, n.openRelay} {
		if err := step(); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return qsc.E("node.Open", qsc.Timeout, string(n.cfg.Node), "%w", err)
		}
	}
	if err := n.openVault(ctx); err != nil {
		return err
	}
	return n.openDoors()
}

// describe finds this node in the network description.
func (n *Node) describe() error {
	net, err := topology.Load(n.cfg.Network)
	if err != nil {
		return err
	}
	if err := net.Runnable(); err != nil {
		return err
	}
	self, ok := net.Node(n.cfg.Node)
	if !ok {
		return qsc.E("node.Open", qsc.NotFound, string(n.cfg.Node), "the network description %s has no such node", n.cfg.Network)
	}
	n.net, n.self = net, self
	return nil
}

func (n *Node) lock() error {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return qsc.E("node.Open", qsc.Invalid, n.cfg.Dir, "%w", err)
	}
	unlock, err := durable.Lock(n.cfg.Dir)
	if err == nil {
		n.closer = append(n.closer, unlock)
	}
	return err
}

func (n *Node) dir(name string) string { return filepath.Join(n.cfg.Dir, name) }

// files opens a directory of the node's for a floor that keeps files.
func (n *Node) files(name string) (durable.FS, error) {
	path := n.dir(name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, qsc.E("node.Open", qsc.Invalid, path, "%w", err)
	}
	fs, err := durable.Dir(path)
	if err == nil {
		n.closer = append(n.closer, fs.Close)
	}
	return fs, err
}

func (n *Node) openPool() error {
	d, err := n.files(poolDir)
	if err != nil {
		return err
	}
	if n.pool, err = pool.Open(d); err == nil {
		n.closer = append(n.closer, n.pool.Close)
	}
	return err
}

func (n *Node) openSite() error {
	fs, err := n.files("site")
	if err != nil {
		return err
	}
	n.site, err = local.Open(local.Config{FS: fs, ID: n.self.Site, Logger: n.log})
	if err == nil {
		n.closer = append(n.closer, n.site.Close)
	}
	return err
}

func (n *Node) openCatalog() (err error) {
	n.catalog, err = catalog.OpenSQLite(n.dir("catalog.db"))
	if err == nil {
		n.closer = append(n.closer, n.catalog.Close)
	}
	return err
}

func (n *Node) openEndpoint() error {
	var l net.Listener
	if slices.ContainsFunc(n.links, func(e *linkEnd) bool { return e.end == 1 }) {
		var err error
		if l, err = net.Listen("tcp", n.self.Listen); err != nil {
			return qsc.E("node.Open", qsc.Busy, string(n.cfg.Node), "cannot listen on %q: %w", n.self.Listen, err)
		}
	}
	cfg := transport.Config{Node: n.cfg.Node, Listener: l, Logger: n.log, Handlers: remote.Handlers(n.site, n.flushTo)}
	for _, e := range n.links {
		peer, _ := n.net.Node(e.peer)
		cfg.Links = append(cfg.Links, transport.LinkConfig{ID: e.link.ID, End: e.end, Peer: e.peer, Addr: peer.Listen, Ledger: e.ledger})
	}
	cfg.Up = func(qsc.NodeID) {
		n.agent.Changed()
		select {
		case n.linkUp <- struct{}{}:
		default: // one is waiting already
		}
	}
	cfg.Down = func(qsc.NodeID) { n.agent.Changed() }
	cfg.Receive = n.receive
	n.endpoint = transport.Open(cfg)
	n.closer = append(n.closer, n.endpoint.Close)
	return nil
}

func (n *Node) openVault(ctx context.Context) error {
	n.vault = vault.New(vault.Config{
		Owner: n.cfg.Node, Catalog: n.catalog, Sites: n.channels(), Policies: n.policies(),
		Settle: n.flushAll, Logger: n.log,
	})
	if err := n.vault.Recover(ctx); err != nil {
		return err
	}
	run, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.work.Go(func() { n.vault.Run(run) })
	n.work.Go(func() { n.watchLinks(run) })
	if err := n.openControl(run); err != nil {
		return err
	}
	if n.follow != nil {
		n.work.Go(func() { n.follow(run) })
	}
	return nil
}

// watchLinks has the vault look for work whenever a link has come up.
func (n *Node) watchLinks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.linkUp:
			n.vault.Kick()
		}
	}
}

func (n *Node) openDoors() (err error) {
	if n.metrics, err = serveMetrics(n); err != nil {
		return err
	}
	n.closer = append(n.closer, n.metrics.Close)
	if err := n.openKME(); err != nil {
		return err
	}
	if n.admin, err = admin.Serve(n.cfg.Dir, n.vault, n, n.Status, n.log); err != nil {
		return err
	}
	n.closer = append(n.closer, n.admin.Close)
	return nil
}

// Close ends requests, makes durable what must be, and frees the directory.
func (n *Node) Close() error {
	if n.stop != nil {
		n.stop()
	}
	n.work.Wait()
	var errs []error
	for _, c := range slices.Backward(n.closer) {
		errs = append(errs, c())
	}
	n.closer = nil
	return errors.Join(errs...)
}

// channels are the sites this node can reach: its own and its neighbours'.
func (n *Node) channels() []vault.Channel {
	all := []vault.Channel{{Site: n.site, Budget: func() vault.Budget { return vault.Budget{Local: true} }}}
	for _, e := range n.links {
		peer, _ := n.net.Node(e.peer)
		at, ok := n.net.NodeAt(peer.Site)
		if !ok || at.ID != peer.ID || peer.Site == n.self.Site {
			continue
		}
		all = append(all, vault.Channel{Site: remote.New(peer.Site, e.peer, n.cfg.Node, n.endpoint), Budget: e.budget})
	}
	return all
}

// policies are those of which this node is the home; "default" comes first.
func (n *Node) policies() []vault.Policy {
	var all []vault.Policy
	sources := map[string]share.Source{topology.RandomOS: osRandom{}, topology.RandomPool: n.pool}
	for _, p := range n.net.Policies {
		if p.Home != n.cfg.Node {
			continue
		}
		v := vault.Policy{ID: p.ID, K: p.K, N: p.N, W: p.W, Chunk: p.Chunk, Sites: p.Sites, Source: sources[p.Randomness]}
		all = append(all, v)
		if p.ID == "default" {
			all[0], all[len(all)-1] = all[len(all)-1], all[0]
		}
	}
	return all
}

// flushTo returns when the pads that a peer's frames have used are erased.
func (n *Node) flushTo(ctx context.Context, peer qsc.NodeID) error {
	return n.flush(ctx, func(e *linkEnd) bool { return e.peer == peer })
}

func (n *Node) flushAll(ctx context.Context) error {
	return n.flush(ctx, func(*linkEnd) bool { return true })
}

func (n *Node) flush(ctx context.Context, which func(*linkEnd) bool) error {
	errs := make([]error, len(n.links))
	var wg sync.WaitGroup
	for i, e := range n.links {
		if which(e) {
			wg.Go(func() { errs[i] = e.ledger.Flush(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
