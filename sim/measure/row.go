// Package measure times the layers below the nodes' doors as they are put
// together in a node, several of them in one process: relays on their ledgers and
// channels, and the controller's computations.
//
// It judges no figure and simulates no time; what is measured is real work on
// real disks and sockets.
package measure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/durable"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
	"github.com/quantum-secure-cloud/qsc/keymgmt/ledger"
	"github.com/quantum-secure-cloud/qsc/keymgmt/relay"
	"github.com/quantum-secure-cloud/qsc/transport"
)

// Row is nodes in a line, each with its ledgers, its channels and its relay, in
// one process. The links have made as much key as the rings hold, and make none
// any more.
type Row struct {
	nodes []*station
	close []func() error
}

// station is the key layer of one node.
type station struct {
	id       qsc.NodeID
	links    map[qsc.NodeID]relay.Link
	channels []transport.LinkConfig
	listener net.Listener
	endpoint *transport.Endpoint
	relay    atomic.Pointer[relay.Relay]
}

const (
	rowBlock  = 1 << 20
	rowPeriod = 256 // blocks of which two are for control
)

// OpenRow opens n nodes below dir, whose rings hold pad bytes in each direction,
// and returns when all rings are full and all links are up.
func OpenRow(ctx context.Context, dir string, n int, pad int64) (*Row, error) {
	r := &Row{}
	for i := range n {
		r.nodes = append(r.nodes, &station{id: nodeID(i), links: map[qsc.NodeID]relay.Link{}})
	}
	err := r.open(ctx, dir, pad)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func nodeID(i int) qsc.NodeID { return qsc.NodeID(fmt.Sprintf("n%d", i)) }

func (r *Row) open(ctx context.Context, dir string, pad int64) error {
	for _, s := range r.nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.listener = l
	}
	for i := range len(r.nodes) - 1 {
		for end := range 2 {
			if err := r.link(dir, i, end, pad); err != nil {
				return err
			}
		}
	}
	if err := r.full(ctx); err != nil {
		return err
	}
	for i := range r.nodes {
		if err := r.join(i); err != nil {
			return err
		}
	}
	return r.up(ctx)
}

// link opens one end of the link from node i to the next.
func (r *Row) link(dir string, i, end int, pad int64) error {
	id := qsc.LinkID(fmt.Sprintf("n%d-n%d", i, i+1))
	me, peer := r.nodes[i+end], r.nodes[i+1-end]
	at := filepath.Join(dir, string(me.id), string(id))
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	fs, err := durable.Dir(at)
	if err != nil {
		return err
	}
	r.close = append(r.close, fs.Close)
	source := &stock{link: id, size: rowBlock, last: uint64(2*pad/rowBlock)*rowPeriod/(rowPeriod-2) + rowPeriod}
	led, err := ledger.Open(ledger.Config{FS: fs, Link: id, Ends: [2]qsc.NodeID{nodeID(i), nodeID(i + 1)}, End: end, Block: rowBlock, Pad: pad, Source: source})
	if err != nil {
		return err
	}
	r.close = append(r.close, led.Close)
	me.links[peer.id] = relay.Link{ID: id, End: end, Ledger: led}
	me.channels = append(me.channels, transport.LinkConfig{ID: id, End: end, Peer: peer.id, Addr: peer.listener.Addr().String(), Ledger: led})
	return nil
}

// join opens a node's channels and its relay.
func (r *Row) join(i int) error {
	s := r.nodes[i]
	log := slog.New(slog.DiscardHandler)
	s.endpoint = transport.Open(transport.Config{Node: s.id, Listener: s.listener, Links: s.channels, Logger: log,
		Receive: func(ctx context.Context, peer qsc.NodeID, msg []byte) {
			if rel := s.relay.Load(); rel != nil {
				_ = rel.Receive(ctx, peer, msg) // what it refuses fails a round, which is seen
			}
		}})
	r.close = append(r.close, s.endpoint.Close)
	rel, err := relay.Open(relay.Config{Node: s.id, Links: s.links, Carrier: s.endpoint, Routes: r.routes(i), Sink: sink{}, Boot: uint64(time.Now().UnixNano())})
	if err != nil {
		return err
	}
	s.relay.Store(rel)
	r.close = append(r.close, rel.Close)
	return nil
}

// routes leads along the line.
func (r *Row) routes(i int) keymgmt.RouteSource { return along{r, i} }

type along struct {
	row  *Row
	from int
}

// Route implements keymgmt.RouteSource.
func (a along) Route(to qsc.NodeID, _ keymgmt.Protection) (keymgmt.Route, error) {
	p := keymgmt.Path{nodeID(a.from)}
	for i := a.from; nodeID(i) != to; {
		if to < nodeID(i) && len(to) <= len(nodeID(i)) {
			i--
		} else {
			i++
		}
		if i < 0 || i >= len(a.row.nodes) {
			return keymgmt.Route{}, qsc.E("measure.Route", qsc.NotFound, string(to), "no such node in the row")
		}
		p = append(p, nodeID(i))
	}
	return keymgmt.Route{Paths: []keymgmt.Path{p}, Need: 1, Disjoint: true}, nil
}

// sink takes key and forgets it: what is measured ends where a supply begins.
type sink struct{}

// Accept implements keymgmt.Sink.
func (sink) Accept(d keymgmt.Delivery) error { d.Key.Zeroise(); return nil }

// Told implements keymgmt.Sink.
func (sink) Told(qsc.NodeID, keymgmt.Topic, []byte) {}

// full waits until every ring has the key it can hold.
func (r *Row) full(ctx context.Context) error {
	return r.await(ctx, func(s *station) bool {
		for _, l := range s.links {
			st := l.Ledger.Status()
			for _, a := range []keymgmt.Account{st.Lanes[keymgmt.DataAB], st.Lanes[keymgmt.DataBA]} {
				if a.Left < a.Capacity-2*rowBlock {
					return false
				}
			}
		}
		return true
	})
}

func (r *Row) up(ctx context.Context) error {
	return r.await(ctx, func(s *station) bool {
		for _, l := range s.endpoint.Status() {
			if !l.Up {
				return false
			}
		}
		return true
	})
}

// await asks all nodes until they are ready; there is no event to wait for.
func (r *Row) await(ctx context.Context, ready func(*station) bool) error {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for _, s := range r.nodes {
		for !ready(s) {
			select {
			case <-ctx.Done():
				return qsc.E("measure.OpenRow", qsc.Timeout, string(s.id), "not ready: %w", context.Cause(ctx))
			case <-t.C:
			}
		}
	}
	return nil
}

// Close ends all nodes.
func (r *Row) Close() error {
	var errs []error
	for i := len(r.close) - 1; i >= 0; i-- {
		errs = append(errs, r.close[i]())
	}
	r.close = nil
	return errors.Join(errs...)
}

// Latency is how long single rounds of n bytes take from one end of the row to
// the other, until the first knows that the last has the key.
func (r *Row) Latency(ctx context.Context, n, rounds int) ([]time.Duration, error) {
	var all []time.Duration
	for range rounds {
		start := time.Now()
		if err := r.round(ctx, n); err != nil {
			return nil, err
		}
		all = append(all, time.Since(start))
	}
	return all, nil
}

func (r *Row) round(ctx context.Context, n int) error {
	key, err := r.nodes[0].relay.Load().Make(ctx, nodeID(len(r.nodes)-1), keymgmt.Protection{Paths: 1}, nil, n)
	if err != nil {
		return err
	}
	key.Key.Zeroise()
	return nil
}

// Throughput is the key that the ends of the row come to share, with rounds of n
// bytes of which several are on their way.
func (r *Row) Throughput(ctx context.Context, n, flights int, d time.Duration) (qsc.BitRate, error) {
	var made atomic.Int64
	errs := make([]error, flights)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range flights {
		wg.Go(func() {
			for first := true; errs[i] == nil && (first || time.Since(start) < d); first = false { // one though the time is over before it begins
				if errs[i] = r.round(ctx, n); errs[i] == nil {
					made.Add(int64(n))
				}
			}
		})
	}
	wg.Wait()
	return qsc.BitRate(float64(made.Load()) * 8 / time.Since(start).Seconds()), errors.Join(errs...)
}
