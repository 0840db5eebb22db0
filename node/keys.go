package node

import (
	"context"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/enrol"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/relay"
	"github.com/quantum-secure-cloud/qsc/keymgmt/supply"
)

// openSupply opens the stock of end-to-end key. It makes none before openRelay.
func (n *Node) openSupply() error {
	if err := n.openDirectory(); err != nil {
		return err
	}
	fs, err := n.files("supply")
	if err != nil {
		return err
	}
	n.supply, err = supply.Open(supply.Config{
		Node: n.cfg.Node, FS: fs, Directory: n.saes, Physical: n.pool, Logger: n.log,
		Pace: func(to qsc.NodeID, p keymgmt.Protection) qsc.BitRate {
			rate, _ := n.agent.Pace(to, p)
			return rate
		},
		Floor: n.guard.Floor, Segment: n.fitting(poolSegment), Chunk: n.fitting(appSegment),
	})
	if err == nil {
		n.closer = append(n.closer, n.supply.Close)
	}
	return err
}

// Bytes of one relay round, for key by identifier and for streams, where the
// network's rings are large enough.
const (
	poolSegment = 64 << 10
	appSegment  = 1 << 20
)

// fitting is the most that a round may take of every link of the network, so that
// all nodes cut their key alike: an eighth of the smallest ring.
func (n *Node) fitting(most int) int {
	least := int64(most)
	for _, l := range n.net.Links {
		least = min(least, l.Pad/8)
	}
	return int(max(least&^(4<<10-1), 4<<10))
}

// openRelay joins the channels to the supply: from here on key is made.
func (n *Node) openRelay() error {
	links := map[qsc.NodeID]relay.Link{}
	for _, e := range n.links {
		links[e.peer] = relay.Link{ID: e.link.ID, End: e.end, Ledger: e.ledger}
	}
	r, err := relay.Open(relay.Config{
		Node: n.cfg.Node, Links: links, Carrier: n.endpoint, Routes: n.guard, Sink: n.supply, Logger: n.log,
		Boot: uint64(time.Now().UnixNano()),
	})
	if err != nil {
		return err
	}
	n.relay.Store(r)
	n.supply.Use(r)
	n.closer = append(n.closer, r.Close)
	return nil
}

// receive hands a neighbour's public message to the relay. What comes before
// there is one is lost, as on a link that is down.
func (n *Node) receive(ctx context.Context, peer qsc.NodeID, msg []byte) {
	r := n.relay.Load()
	if r == nil {
		return
	}
	if err := r.Receive(ctx, peer, msg); err != nil && !qsc.IsKind(err, qsc.Unreachable) && !qsc.IsKind(err, qsc.Timeout) {
		n.log.Warn("a neighbour's message is refused", "peer", string(peer), "err", err)
	}
}

// Relay is the node's relay, for programs that measure it.
func (n *Node) Relay() keymgmt.Relay { return n.relay.Load() }

// Supply is the node's supply, for programs that measure it.
func (n *Node) Supply() keymgmt.Supply { return n.supply }

// openDirectory reads the file of applications and follows it from then on. A
// node without doors serves nobody.
func (n *Node) openDirectory() error {
	file := n.cfg.KME.SAEs
	if file == "" {
		n.saes = nobody{}
		return nil
	}
	d, err := enrol.OpenDirectory(file)
	if err != nil {
		return err
	}
	n.saes = sheet{d}
	n.follow = func(ctx context.Context) {
		t := time.NewTicker(directoryTick)
		defer t.Stop()
		n.known(ctx, d.Snapshot())
		d.Watch(ctx, t.C, func(s *enrol.Snapshot) { n.known(ctx, s) }, func(err error) {
			n.log.Error("the file of applications is faulty: what was known stays in force", "file", file, "err", err)
		})
	}
	return nil
}

// directoryTick is how often the file of applications is looked at.
const directoryTick = time.Second

// known says which applications live nowhere, and tells the controller here.
func (n *Node) known(ctx context.Context, s *enrol.Snapshot) {
	err := s.Unknown(n.cfg.KME.SAEs, func(id qsc.NodeID) bool { _, ok := n.net.Node(id); return ok })
	if err != nil {
		n.log.Error("applications at unknown nodes", "err", err)
	}
	if err := n.publish(ctx, s); err != nil && ctx.Err() == nil {
		n.log.Error("the northbound door does not show all applications", "err", err)
	}
}

// directory is what the doors ask of the file of applications.
type directory interface {
	keymgmt.Directory
	Pinned(fingerprint string) (qsc.AppID, bool)
	Accepts(app qsc.AppID, fingerprint string) bool
}

// sheet is the directory as it is at each moment.
type sheet struct{ *enrol.Directory }

// Pinned implements directory.
func (s sheet) Pinned(fingerprint string) (qsc.AppID, bool) { return s.Snapshot().Pinned(fingerprint) }

// Accepts implements directory.
func (s sheet) Accepts(app qsc.AppID, fingerprint string) bool {
	return s.Snapshot().Accepts(app, fingerprint)
}

// nobody is the directory of a node that serves no application.
type nobody struct{}

// Home implements keymgmt.Directory.
func (nobody) Home(qsc.AppID) (qsc.NodeID, bool) { return "", false }

// Allowed implements keymgmt.Directory.
func (nobody) Allowed(_, _ qsc.AppID) (p keymgmt.Policy, ok bool) { return p, false }

// Pinned implements directory.
func (nobody) Pinned(string) (qsc.AppID, bool) { return "", false }

// Accepts implements directory.
func (nobody) Accepts(qsc.AppID, string) bool { return false }
