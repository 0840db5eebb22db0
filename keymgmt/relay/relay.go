// Package relay makes key that two nodes share which have no link, over trusted
// nodes between them, and carries short public messages. In the announce form
// every node between publishes the XOR of its two link keys and holds the key of
// nobody; hop-by-hop, the plain reference, is there to compare with. The messages
// to the byte, the state machine and what is promised are in docs/design/relay.md.
//
// The protocol is a pure state machine (core); the rest of the package performs
// its effects on ledgers and a carrier.
//
// It finds no routes (control, or a node's own), stores no key (Sink does, supply
// in a node), knows no application, draws no randomness and hides neither who
// shares key with whom nor how much.
package relay

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// Config is what a relay works with. All but Logger, Timeout and Hop is needed;
// whatever it names stays the caller's and outlives the relay.
type Config struct {
	Node    qsc.NodeID
	Links   map[qsc.NodeID]Link // by neighbour
	Carrier keymgmt.Carrier
	Routes  keymgmt.RouteSource
	Sink    keymgmt.Sink
	Logger  *slog.Logger  // nil: nothing is logged
	Timeout time.Duration // of one round; 0: 5 s
	Boot    uint64        // differs each time the node starts; no secret
	Hop     bool          // make key hop-by-hop: every node between learns it
}

// Relay implements keymgmt.Relay.
type Relay struct {
	cfg    Config
	queues map[qsc.NodeID]*queue
	budget *budget       // of rounds asked for here
	slow   chan struct{} // a place for each job that waits for key
	sink   chan struct{} // a place for each delivery
	ctx    context.Context
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	core   *core
	rounds uint64
	closed bool
}

var _ keymgmt.Relay = (*Relay)(nil)

const (
	defaultTimeout = 5 * time.Second
	slowJobs       = 64
	deliveries     = 32
	budgetBytes    = 8 << 20
	budgetLeast    = 32 << 10 // what a round counts at least
)

// Open starts a relay. Errors: Invalid for a wrong cfg.
func Open(cfg Config) (*Relay, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, queues: map[qsc.NodeID]*queue{}, budget: newBudget(budgetBytes),
		slow: make(chan struct{}, slowJobs), sink: make(chan struct{}, deliveries),
		core: newCore(cfg.Node, cfg.Hop, cfg.Boot<<24, defaultBounds)}
	r.ctx, r.stop = context.WithCancel(context.Background())
	for peer := range cfg.Links {
		q := newQueue(peer, cfg.Carrier, func(nak *message) { r.step(evLost{nak}) })
		r.queues[peer] = q
		r.work.Go(func() { q.run(r.ctx) })
	}
	r.work.Go(r.ticks)
	return r, nil
}

func (c *Config) check() error {
	bad := func(format string, args ...any) error {
		return qsc.E("relay.Open", qsc.Invalid, string(c.Node), format, args...)
	}
	switch {
	case c.Node == "" || len(c.Node) > maxName:
		return bad("the node's name has %d bytes, not 1 to %d", len(c.Node), maxName)
	case c.Carrier == nil || c.Routes == nil || c.Sink == nil:
		return bad("a relay needs a carrier, routes and a sink")
	}
	for peer, l := range c.Links {
		if l.Ledger == nil || peer == c.Node || peer == "" || len(peer) > maxName {
			return bad("the link %q to %q has no ledger, or no other end", l.ID, peer)
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// ticks lets what nobody finishes grow old.
func (r *Relay) ticks() {
	t := time.NewTicker(r.cfg.Timeout/2 + 1)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.step(evTick{})
		case <-r.ctx.Done():
			return
		}
	}
}

// Make implements keymgmt.Relay. Any number of goroutines may call it; they share
// a budget of bytes under way. Delivery.Paths is how many paths the round really
// had.
func (r *Relay) Make(ctx context.Context, to qsc.NodeID, p keymgmt.Protection, label []byte, n int) (keymgmt.Delivery, error) {
	const op = "relay.Make"
	if err := r.enter(op); err != nil {
		return keymgmt.Delivery{}, err
	}
	defer r.leave()
	if n < 1 || n > keymgmt.MaxRound || len(label) > keymgmt.MaxLabel || to == r.cfg.Node {
		return keymgmt.Delivery{}, qsc.E(op, qsc.Invalid, string(to), "%d bytes with a label of %d: ask for 1 to %d bytes shared with another node, label at most %d", n, len(label), keymgmt.MaxRound, keymgmt.MaxLabel)
	}
	route, err := r.cfg.Routes.Route(to, p)
	if err != nil {
		return keymgmt.Delivery{}, qsc.E(op, qsc.KindOf(err), string(to), "%w", err)
	}
	if err := r.checkRoute(route, to, n); err != nil {
		return keymgmt.Delivery{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	size := max(subkeySize(n)*len(route.Paths), budgetLeast)
	if err := r.budget.take(ctx, size); err != nil {
		return keymgmt.Delivery{}, qsc.E(op, qsc.Timeout, string(to), "too many rounds are under way: %w", err)
	}
	defer r.budget.give(size)
	d, err := r.round(ctx, evStart{To: to, Paths: route.Paths, Need: needed(route), N: n, Label: string(label)})
	if err != nil && r.closing() { // whatever step it cut off
		return keymgmt.Delivery{}, qsc.E(op, qsc.Unreachable, string(to), "the relay is closed: the node is stopping: %w", err)
	}
	return d, err
}

func (r *Relay) closing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// needed is how many sub-keys a round takes: all, unless the route says less.
func needed(r keymgmt.Route) int {
	if r.Need < 1 {
		return len(r.Paths)
	}
	return min(r.Need, len(r.Paths))
}

// enter lets a call in unless the relay is closed; leave ends it. Close waits for
// all that are inside.
func (r *Relay) enter(op string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return qsc.E(op, qsc.Unreachable, string(r.cfg.Node), "the relay is closed: the node is stopping")
	}
	r.work.Add(1)
	return nil
}

func (r *Relay) leave() { r.work.Done() }

// checkRoute refuses what a route source must not give.
func (r *Relay) checkRoute(route keymgmt.Route, to qsc.NodeID, n int) error {
	bad := func(format string, args ...any) error {
		return qsc.E("relay.Make", qsc.Invalid, string(to), format, args...)
	}
	if len(route.Paths) < 1 || len(route.Paths) > keymgmt.MaxPaths {
		return bad("a route of %d paths: give 1 to %d", len(route.Paths), keymgmt.MaxPaths)
	}
	for _, p := range route.Paths {
		if err := checkPath(p); err != nil {
			return err
		}
		if p[0] != r.cfg.Node || p[len(p)-1] != to {
			return bad("a path that does not lead from %s to %s", r.cfg.Node, to)
		}
	}
	if r.cfg.Hop && route.Need < len(route.Paths) && 2*subkeySize(n) > keymgmt.MaxRound {
		return bad("%d bytes hop-by-hop with spare paths do not fit a message: ask for half of it", n)
	}
	return nil
}

// round runs one round and waits for its end.
func (r *Relay) round(ctx context.Context, e evStart) (keymgmt.Delivery, error) {
	const op = "relay.Make"
	done := make(chan ending, 1)
	r.mu.Lock()
	r.rounds++
	binary.BigEndian.PutUint64(e.ID[:], r.cfg.Boot)
	binary.BigEndian.PutUint64(e.ID[8:], r.rounds)
	r.mu.Unlock()
	e.Wait = done
	r.calm(ctx, r.step(e))
	var end ending
	select {
	case end = <-done:
	case <-ctx.Done():
		r.step(evCancel{e.ID, qsc.Timeout, "no answer in time: the other node may have the key"})
		end = <-done
	case <-r.ctx.Done():
		r.step(evCancel{e.ID, qsc.Unreachable, "the relay is closed: the node is stopping"})
		end = <-done
	}
	if end.Kind != qsc.Other {
		return keymgmt.Delivery{}, qsc.E(op, end.Kind, string(e.To), "%s", end.Why)
	}
	end.D.Key = end.Key.(*roundKey).take()
	return end.D, nil
}

// calm waits a little for neighbours that are slow.
func (r *Relay) calm(ctx context.Context, busy []*queue) {
	for _, q := range busy {
		low := q.full()
		if low == nil {
			continue
		}
		t := time.NewTimer(calmMost)
		select {
		case <-low:
		case <-t.C:
		case <-ctx.Done():
		case <-r.ctx.Done():
		}
		t.Stop()
	}
}

// calmMost bounds the wait for a slow neighbour, so that two nodes that wait for
// each other both go on.
const calmMost = 50 * time.Millisecond

// Tell implements keymgmt.Relay.
func (r *Relay) Tell(ctx context.Context, to qsc.NodeID, topic keymgmt.Topic, body []byte) error {
	const op = "relay.Tell"
	if err := r.enter(op); err != nil {
		return err
	}
	defer r.leave()
	if len(body) > keymgmt.MaxTold || to == r.cfg.Node {
		return qsc.E(op, qsc.Invalid, string(to), "a message of %d bytes: send at most %d to another node", len(body), keymgmt.MaxTold)
	}
	route, err := r.cfg.Routes.Route(to, keymgmt.Protection{})
	if err != nil {
		return qsc.E(op, qsc.KindOf(err), string(to), "%w", err)
	}
	if err := r.checkRoute(route, to, 0); err != nil {
		return err
	}
	p := route.Paths[0]
	q := r.queues[p[1]]
	if q == nil {
		return qsc.E(op, qsc.NotFound, string(to), "the route begins with %s, which is no neighbour", p[1])
	}
	m := &message{Type: typeTell, At: 1, Route: p, Topic: topic, Public: append([]byte(nil), body...)}
	r.calm(ctx, []*queue{q})
	if !q.put(send{p[1], m, nil}) {
		return qsc.E(op, qsc.Unreachable, string(to), "neighbour %s takes nothing: try again later", p[1])
	}
	return nil
}

// Receive implements keymgmt.Relay. msg is the caller's again when it returns.
// Errors: Invalid and Unsupported for what no honest neighbour sends; Unreachable
// once closed.
func (r *Relay) Receive(ctx context.Context, peer qsc.NodeID, msg []byte) error {
	if err := r.enter("relay.Receive"); err != nil {
		return err
	}
	defer r.leave()
	if _, ok := r.cfg.Links[peer]; !ok {
		return qsc.E("relay.Receive", qsc.NotFound, string(peer), "not a neighbour")
	}
	m, err := parse(msg)
	if err != nil {
		return err
	}
	r.calm(ctx, r.step(evMessage{peer, m}))
	return nil
}

// Status implements keymgmt.Relay.
func (r *Relay) Status() keymgmt.RelayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.core.status
	s.Open = len(r.core.origins) + len(r.core.legs)
	return s
}

// Close implements keymgmt.Relay. It returns when all work has ended; key of
// rounds under way is burnt.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
	for range defaultBounds.ticks {
		r.step(evTick{})
	}
	return nil
}
