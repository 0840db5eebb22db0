package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// LinkConfig describes this node's end of one link.
type LinkConfig struct {
	ID     qsc.LinkID
	End    int // 0: this is end A, which dials; 1: end B, which listens
	Peer   qsc.NodeID
	Addr   string // the peer's TCP address; used by end A
	Ledger keymgmt.Ledger
}

const (
	resumeFor   = 10 * time.Second       // a dropped session waits so long for its peer
	goneAfter   = 300 * time.Millisecond // …but only so long where its process seems to have ended
	dialTimeout = 5 * time.Second
	firstRetry  = 50 * time.Millisecond
	lastRetry   = time.Second
	// After a refusal or a bad tag: each try costs a slot.
	firstRefusal = 500 * time.Millisecond
	lastRefusal  = 30 * time.Second
)

// link keeps one end of one link connected.
type link struct {
	cfg   LinkConfig
	log   *slog.Logger
	serve func(request)    // is called for every request that the peer begins
	tell  func(*session)   // is called when public messages begin to wait for delivery
	up    func(qsc.NodeID) // may be nil
	down  func(qsc.NodeID) // may be nil
	gone  time.Duration    // see goneAfter

	taking sync.Mutex // held by B from the end of one turn to the beginning of the next

	mu      sync.Mutex
	change  chan struct{} // closed and replaced whenever what follows changes
	session *session      // nil: none that could carry a request
	why     error         // the last reason for being down
	fell    time.Time     // when it last went down
	turn    *turn
	resumed int64
}

// turn is a connection that carries the session just now.
type turn struct {
	conn net.Conn
	over chan struct{}
}

func newLink(cfg LinkConfig, log *slog.Logger) *link {
	return &link{cfg: cfg, change: make(chan struct{}),
		log: log.With("link", string(cfg.ID), "peer", string(cfg.Peer))}
}

func (l *link) publish(s *session, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil && s == nil {
		l.fell = time.Now()
	}
	l.session, l.why = s, why
	close(l.change)
	l.change = make(chan struct{})
}

// blame notes why a link that is down stays so.
func (l *link) blame(err error) {
	if s, _, _ := l.current(); s == nil {
		l.publish(nil, err)
	}
}

func (l *link) current() (*session, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session, l.change, l.why
}

// dial is end A's life: connect, carry, and again.
func (l *link) dial(ctx context.Context) {
	wait, refused := firstRetry, firstRefusal
	dropped := time.Now()
	for ctx.Err() == nil {
		carried, err := l.dialOnce(ctx)
		if carried {
			wait, refused, dropped = firstRetry, firstRefusal, time.Now()
		}
		barred := grave(err) && !carried && ctx.Err() == nil
		if s, _, _ := l.current(); s != nil && (barred || lost(err, time.Since(dropped))) {
			l.drop(s, err)
		} else if s == nil {
			l.publish(nil, err)
		}
		pause := wait
		if barred {
			l.log.Warn("link refused", "err", err)
			pause, refused = refused, min(2*refused, lastRefusal)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		wait = min(2*wait, lastRetry)
	}
}

// lost reports whether a session that dropped so long ago is to be given up:
// where nobody listens any more, the process that knew it has ended.
func lost(err error, since time.Duration) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || since >= resumeFor
}

// drop gives the session up: its requests fail with Unreachable.
func (l *link) drop(s *session, err error) {
	l.log.Info("session given up", "err", err)
	l.publish(nil, err)
	s.fail(qsc.E("transport", qsc.Unreachable, string(l.cfg.Peer), "the link is down: %w", err))
}

// dialOnce makes one connection and carries the session on it until it breaks.
func (l *link) dialOnce(ctx context.Context) (carried bool, err error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	conn, err := d.DialContext(ctx, "tcp", l.cfg.Addr)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(handshakeMax))
	hctx, cancel := context.WithTimeout(ctx, handshakeMax)
	defer cancel()
	s, peer, err := l.greetPeer(hctx, conn)
	if err != nil {
		return false, err
	}
	_ = conn.SetDeadline(time.Time{})
	return true, l.run(ctx, conn, s, peer, func() {})
}

// greetPeer is A's half of the handshake; it returns the session to carry.
func (l *link) greetPeer(ctx context.Context, conn net.Conn) (*session, hello, error) {
	if err := l.greet(conn); err != nil {
		return nil, hello{}, err
	}
	old, _, _ := l.current()
	s := old
	if s == nil {
		s = newSession(newSessionID(), l.cfg.Peer, l.cfg.End)
	}
	if err := l.sendHello(ctx, conn, s, old != nil); err != nil {
		return nil, hello{}, err
	}
	peer, err := l.recvHello(ctx, conn)
	if err != nil {
		return nil, hello{}, err
	}
	if old != nil && (!peer.resume || peer.session != old.id) {
		l.drop(old, errors.New("the peer has started anew"))
		s = newSession(peer.session, l.cfg.Peer, l.cfg.End)
	}
	return s, peer, l.settle(peer, peer.resume)
}

// accept is B's half of the handshake and its connection's turn.
func (l *link) accept(ctx context.Context, conn net.Conn, greeted func()) error {
	peer, err := l.recvHello(ctx, conn)
	if err != nil {
		return err
	}
	greeted()
	l.taking.Lock() // an older connection, cut meanwhile, may still be here
	taken := sync.OnceFunc(l.taking.Unlock)
	defer taken()
	l.endTurn()
	old, _, _ := l.current()
	s, resume := old, old != nil && peer.resume && peer.session == old.id
	if !resume {
		if old != nil {
			l.drop(old, errors.New("the peer has started anew"))
		}
		id := peer.session
		if peer.resume {
			id = newSessionID() // its old session is not known here
		}
		s = newSession(id, l.cfg.Peer, l.cfg.End)
	}
	if err := l.settle(peer, resume); err != nil {
		return err
	}
	if err := l.sendHello(ctx, conn, s, resume); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	err = l.run(ctx, conn, s, peer, taken)
	l.giveUpLater(ctx, s, err)
	return err
}

// giveUpLater ends B's session unless A takes it up again in time.
func (l *link) giveUpLater(ctx context.Context, s *session, err error) {
	t := time.NewTimer(l.patience(err))
	defer t.Stop()
	for {
		cur, change, _ := l.current()
		l.mu.Lock()
		carried := l.turn != nil
		l.mu.Unlock()
		if cur != s || carried {
			return
		}
		select {
		case <-ctx.Done():
			l.drop(s, context.Cause(ctx))
			return
		case <-t.C:
			l.drop(s, err)
			return
		case <-change:
		}
	}
}

// patience is how long B waits for A after a connection broke with err: an
// orderly end or a reset mostly means that A's process is gone.
func (l *link) patience(err error) time.Duration {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return l.gone
	}
	return resumeFor
}

// run publishes the session, calls taken, and carries the session on conn until
// that breaks.
func (l *link) run(ctx context.Context, conn net.Conn, s *session, peer hello, taken func()) error {
	if peer.resume {
		s.mu.Lock()
		s.acknowledge(peer.received)
		s.mu.Unlock()
	}
	t := &turn{conn, make(chan struct{})}
	defer close(t.over)
	l.mu.Lock()
	l.turn = t
	if peer.resume {
		l.resumed++
	}
	l.mu.Unlock()
	l.publish(s, nil)
	taken()
	l.log.Info("link up", "resumed", peer.resume)
	if l.up != nil {
		l.up(l.cfg.Peer)
	}
	err := l.carry(ctx, &carrier{session: s, conn: conn})
	l.mu.Lock()
	l.turn = nil
	l.mu.Unlock()
	if l.down != nil {
		l.down(l.cfg.Peer)
	}
	// A session that is over must not be taken up again.
	if over := s.failure(); over != nil {
		l.publish(nil, over)
	}
	l.log.Info("connection ended", "err", err)
	return err
}

// endTurn stops the connection that carries now, if any, and waits for it.
func (l *link) endTurn() {
	l.mu.Lock()
	t := l.turn
	l.mu.Unlock()
	if t != nil {
		_ = t.conn.Close()
		<-t.over
	}
}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
