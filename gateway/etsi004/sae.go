package etsi004

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
	"github.com/quantum-secure-cloud/qsc/keymgmt"
)

// sae is what the server knows of one application; guarded by Server.mu.
// Streams belong to the application, not to a connection: it may open on one
// and draw on another, and come back after a lost one.
type sae struct {
	conns map[*conn]bool
	ends  map[wire.KSID]*end
	timer *time.Timer // closes the ends once the application stays away
}

// end is one application's end of a stream.
type end struct {
	id      wire.KSID
	app     qsc.AppID
	peer    qsc.AppID
	mime    string        // of this end's metadata
	timeout time.Duration // of its calls

	ready  chan struct{} // closed once stream or err is set
	stream keymgmt.Stream
	err    error

	turn chan struct{} // holds one token: one Get at a time
	ctx  context.Context
	stop context.CancelFunc // by close: ends waiting calls
	next atomic.Uint64      // one above the highest index given
}

func newEnd(id wire.KSID, app, peer qsc.AppID) *end {
	e := &end{id: id, app: app, peer: peer, ready: make(chan struct{}), turn: make(chan struct{}, 1)}
	e.ctx, e.stop = context.WithCancel(context.Background())
	return e
}

// close ends waiting calls, then this side of the stream. The key that the peer
// has not taken stays for it.
func (e *end) close() {
	e.stop()
	<-e.ready
	if e.stream != nil {
		_ = e.stream.Close()
	}
}

// connected reports whether the peer has opened its end.
func (e *end) connected() bool {
	select {
	case <-e.stream.Connected():
		return true
	default:
		return false
	}
}

func closeEnds(ends []*end) {
	for _, e := range ends {
		e.close()
	}
}

// leave takes all ends out; the caller closes them.
func (a *sae) leave() (ends []*end) {
	if a.timer != nil {
		a.timer.Stop()
	}
	for _, e := range a.ends {
		ends = append(ends, e)
	}
	clear(a.ends)
	return ends
}

// sae returns an application's entry; the caller holds s.mu.
func (s *Server) sae(app qsc.AppID) *sae {
	a := s.saes[app]
	if a == nil {
		a = &sae{conns: map[*conn]bool{}, ends: map[wire.KSID]*end{}}
		s.saes[app] = a
	}
	return a
}

// enter notes a connection; false when one of its applications has too many.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, app := range c.apps {
		if a := s.saes[app]; a != nil && len(a.conns) >= s.cfg.MaxClientConns {
			return false
		}
	}
	for _, app := range c.apps {
		a := s.sae(app)
		a.conns[c] = true
		if a.timer != nil {
			a.timer.Stop()
			a.timer = nil
		}
	}
	return true
}

// leave forgets a connection and gives the streams of an application that has
// no other some time.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, app := range c.apps {
		a := s.saes[app]
		if a == nil {
			continue
		}
		delete(a.conns, c)
		switch {
		case len(a.conns) > 0:
		case len(a.ends) == 0:
			delete(s.saes, app)
		case s.ctx.Err() == nil:
			a.timer = time.AfterFunc(s.cfg.Linger, func() { s.absent(app, a) })
		}
	}
}

// absent closes the streams of an application that did not come back.
func (s *Server) absent(app qsc.AppID, a *sae) {
	s.mu.Lock()
	var ends []*end
	if s.saes[app] == a && len(a.conns) == 0 {
		ends = a.leave()
		delete(s.saes, app)
	}
	s.mu.Unlock()
	closeEnds(ends)
	if len(ends) > 0 {
		s.cfg.Logger.Info("ETSI 004 streams closed: the application stayed away", "app", app, "streams", len(ends))
	}
}

// find returns the end of a stream that the connection may use, or nil.
func (s *Server) find(c *conn, id wire.KSID) *end {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, app := range c.apps {
		if a := s.saes[app]; a != nil && a.ends[id] != nil {
			return a.ends[id]
		}
	}
	return nil
}

// drop forgets e and closes it.
func (s *Server) drop(e *end) {
	s.mu.Lock()
	if a := s.saes[e.app]; a != nil && a.ends[e.id] == e {
		delete(a.ends, e.id)
		if len(a.conns) == 0 && len(a.ends) == 0 {
			delete(s.saes, e.app)
		}
	}
	s.mu.Unlock()
	e.close()
}
