package transport

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// Config describes a node's channels.
type Config struct {
	Node     qsc.NodeID
	Listener net.Listener // owned by the endpoint; nil where no link listens
	Links    []LinkConfig
	Handlers map[Method]Handler
	Up       func(peer qsc.NodeID) // if not nil, called whenever a link comes up; must not block
	Down     func(peer qsc.NodeID) // the same, whenever its connection has ended
	// Receive takes the public messages of peers, those of one session in order and
	// one after the other; msg is its own until it returns. While it blocks, the
	// peer's Send does sooner or later, but no request of the session. ctx ends
	// with the session or the endpoint. nil: they are dropped.
	Receive func(ctx context.Context, peer qsc.NodeID, msg []byte)
	Logger  *slog.Logger

	gone time.Duration // tests: in place of goneAfter
	wait time.Duration // tests: in place of connectWait
}

const (
	maxGreetings = 64          // connections that are not authenticated yet
	connectWait  = time.Second // a call waits so long for a link that has just gone down, or was just opened, to come up
)

// Endpoint is a node's side of all its channels. It implements Caller and
// keymgmt.Carrier.
type Endpoint struct {
	cfg    Config
	links  []*link
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	born   time.Time
}

// Open starts dialling and listening. Close ends it.
func Open(cfg Config) *Endpoint {
	e := &Endpoint{cfg: cfg, born: time.Now()}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	for _, lc := range cfg.Links {
		l := newLink(lc, cfg.Logger)
		l.serve = func(r request) { e.wg.Go(func() { e.handle(r) }) }
		l.tell = func(s *session) { e.wg.Go(func() { e.deliver(s) }) }
		l.up, l.down, l.gone = cfg.Up, cfg.Down, cmp.Or(cfg.gone, goneAfter)
		e.links = append(e.links, l)
		if lc.End == 0 {
			e.wg.Go(func() { l.dial(e.ctx) })
		}
	}
	if cfg.Listener != nil {
		e.wg.Go(e.listen)
	}
	return e
}

// Close ends every session and waits for every request's handler.
func (e *Endpoint) Close() error {
	cause := qsc.E("transport", qsc.Unreachable, string(e.cfg.Node), "this node is shutting down")
	e.cancel(cause)
	if e.cfg.Listener != nil {
		_ = e.cfg.Listener.Close()
	}
	e.failAll(cause)
	e.wg.Wait()
	e.failAll(cause) // a handshake may have ended meanwhile
	return nil
}

func (e *Endpoint) failAll(cause error) {
	for _, l := range e.links {
		if s, _, _ := l.current(); s != nil {
			s.fail(cause)
		}
	}
}

func (e *Endpoint) listen() {
	slots := make(chan struct{}, maxGreetings)
	for {
		conn, err := e.cfg.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			e.cfg.Logger.Warn("accept failed", "err", err)
			if !e.pause(firstRetry) {
				return
			}
			continue
		}
		select {
		case slots <- struct{}{}:
			e.wg.Go(func() { e.welcome(conn, sync.OnceFunc(func() { <-slots })) })
		default:
			_ = conn.Close()
		}
	}
}

func (e *Endpoint) pause(d time.Duration) bool {
	select {
	case <-e.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// welcome is one incoming connection's life; greeted frees its place among the
// unauthenticated.
func (e *Endpoint) welcome(conn net.Conn, greeted func()) {
	defer greeted()
	defer conn.Close()
	stop := context.AfterFunc(e.ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(handshakeMax))
	id, err := readPreface(conn)
	if err != nil {
		return
	}
	l := e.listening(id)
	if l == nil {
		_ = answerPreface(conn, qsc.NotFound, nil)
		return
	}
	if err := answerPreface(conn, qsc.Other, l); err != nil {
		return
	}
	if err := l.accept(e.ctx, conn, greeted); grave(err) && e.ctx.Err() == nil {
		l.log.Warn("connection refused", "err", err)
		l.blame(err)
	}
}

func (e *Endpoint) listening(id qsc.LinkID) *link {
	for _, l := range e.links {
		if l.cfg.ID == id && l.cfg.End == 1 {
			return l
		}
	}
	return nil
}

// handle serves one request of a peer's.
func (e *Endpoint) handle(r request) {
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	s := newStream(ctx, r.pipe)
	defer s.stop()
	h := e.cfg.Handlers[r.method]
	err := error(qsc.E("transport.Serve", qsc.Unsupported, string(e.cfg.Node), "method %d is not known here", r.method))
	if h != nil {
		err = h(ctx, s.Peer(), r.head, s)
	}
	if err != nil {
		if over := context.Cause(e.ctx); over != nil { // what the handler says of it may still arrive
			err = over
		}
		r.pipe.reset(err, true)
		return
	}
	_ = s.End() // a peer that is gone needs no end
}

// Call implements Caller.
func (e *Endpoint) Call(ctx context.Context, peer qsc.NodeID, m Method, head []byte) (*Stream, error) {
	if len(head) > MaxHead {
		return nil, qsc.E("transport.Call", qsc.Invalid, string(peer), "request head of %d bytes is over the limit of %d", len(head), MaxHead)
	}
	if ctx.Err() != nil {
		return nil, contextError(ctx, peer)
	}
	s, err := e.sessionTo(ctx, peer)
	if err != nil {
		return nil, err
	}
	p, err := s.open(m, head)
	if err != nil {
		return nil, err
	}
	return newStream(ctx, p), nil
}

// sessionTo finds a session with the peer. A link that has been down for long
// answers at once; one that may be just connecting is waited for.
func (e *Endpoint) sessionTo(ctx context.Context, peer qsc.NodeID) (*session, error) {
	deadline := time.NewTimer(max(0, cmp.Or(e.cfg.wait, connectWait)-time.Since(e.lastFall(peer))))
	defer deadline.Stop()
	for {
		why := error(qsc.E("transport.Call", qsc.NotFound, string(peer), "node %s has no link to it", e.cfg.Node))
		var change <-chan struct{}
		for _, l := range e.links {
			if l.cfg.Peer != peer {
				continue
			}
			s, c, err := l.current()
			if s != nil {
				return s, nil
			}
			change = c
			why = down(peer, err)
		}
		if change == nil {
			return nil, why
		}
		select {
		case <-change:
		case <-deadline.C:
			return nil, why
		case <-ctx.Done():
			return nil, contextError(ctx, peer)
		}
	}
}

// lastFall is when a link to the peer last went down, or when this end was opened.
func (e *Endpoint) lastFall(peer qsc.NodeID) time.Time {
	last := e.born
	for _, l := range e.links {
		l.mu.Lock()
		if l.cfg.Peer == peer && l.fell.After(last) {
			last = l.fell
		}
		l.mu.Unlock()
	}
	return last
}

func down(peer qsc.NodeID, err error) error {
	if err == nil {
		err = errors.New("no connection yet")
	}
	if k := qsc.KindOf(err); k == qsc.Exhausted || k == qsc.Conflict {
		return qsc.E("transport.Call", k, string(peer), "%w", err)
	}
	return qsc.E("transport.Call", qsc.Unreachable, string(peer), "%w", err)
}

// Status tells of every channel.
func (e *Endpoint) Status() []LinkStatus {
	var all []LinkStatus
	for _, l := range e.links {
		all = append(all, l.status())
	}
	return all
}

func (l *link) status() LinkStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := LinkStatus{Link: l.cfg.ID, Peer: l.cfg.Peer, Up: l.turn != nil, Resumed: l.resumed}
	switch {
	case st.Up:
	case l.why != nil:
		st.Why = l.why.Error()
	default:
		st.Why = "no connection yet"
	}
	if s := l.session; s != nil {
		s.mu.Lock()
		st.Waiting = s.waiting
		s.mu.Unlock()
	}
	if l.cfg.Ledger.Status().Exhausted {
		st.Waiting = true
		if !st.Up {
			st.Why = "waiting for key for the handshake"
		}
	}
	return st
}
