package etsi004

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	wire "github.com/quantum-secure-cloud/qsc/internal/etsi004"
)

// conn is one connection. A reader takes requests in ahead, so that it sees the
// client go while a call waits; one server answers them in order.
type conn struct {
	s     *Server
	conn  *tls.Conn
	apps  []qsc.AppID
	until time.Time // the client certificate's end
	ctx   context.Context
	stop  context.CancelFunc
	queue chan request
	out   []byte // short answers
}

// request is one request, read and checked for its form.
type request struct {
	service wire.Service
	open    wire.OpenRequest
	get     wire.GetRequest
	id      wire.KSID // of CLOSE
}

func (s *Server) serve(raw net.Conn) {
	defer raw.Close()
	c := &conn{s: s, conn: tls.Server(raw, s.tls), queue: make(chan request, depth)}
	c.ctx, c.stop = context.WithCancel(s.ctx)
	defer c.stop()
	defer context.AfterFunc(s.ctx, func() { _ = raw.Close() })()
	if err := c.welcome(); err != nil {
		s.cfg.Logger.Info("ETSI 004 connection refused", "from", raw.RemoteAddr().String(), "err", err)
		return
	}
	if !s.enter(c) {
		s.cfg.Logger.Warn("ETSI 004 connection refused: the application has too many", "app", c.apps[0], "limit", s.cfg.MaxClientConns)
		return
	}
	defer s.leave(c)
	s.wg.Go(c.read)
	c.answer()
	_ = raw.Close() // ends the reader
}

// welcome completes the handshake and learns who is there.
func (c *conn) welcome() error {
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTime)
	defer cancel()
	if err := c.conn.HandshakeContext(ctx); err != nil {
		return err
	}
	cert := c.conn.ConnectionState().PeerCertificates[0]
	c.until = cert.NotAfter
	for _, app := range c.s.cfg.Names(cert) {
		if !slices.Contains(c.apps, app) {
			c.apps = append(c.apps, app)
		}
	}
	if len(c.apps) == 0 {
		return errors.New("the client certificate names no application")
	}
	return nil
}

// read takes requests in until the client goes or says what is no request.
func (c *conn) read() {
	defer c.stop()
	buf := make([]byte, 512)
	for {
		r, err := c.next(&buf)
		if err != nil {
			if !quiet(err) {
				c.s.cfg.Logger.Info("ETSI 004 connection ended", "app", c.apps[0], "err", err)
			}
			return
		}
		select {
		case c.queue <- r:
		case <-c.ctx.Done():
			return
		}
	}
}

func quiet(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled)
}

// next reads one request. An idle connection ends after Config.Idle, one that
// stops within a request after bodyTime.
func (c *conn) next(buf *[]byte) (r request, err error) {
	b := (*buf)[:wire.HeaderSize]
	_ = c.conn.SetReadDeadline(time.Now().Add(c.s.cfg.Idle))
	if _, err := io.ReadFull(c.conn, b[:1]); err != nil {
		return r, err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(bodyTime))
	if _, err := io.ReadFull(c.conn, b[1:]); err != nil {
		return r, err
	}
	h, err := wire.ParseHeader(b)
	if err != nil {
		return r, err
	}
	limit, ok := wire.RequestLimit(h.Service)
	if !ok || h.Length > limit {
		return r, qsc.E("etsi004", qsc.Invalid, "", "a message of type %#02x and %d bytes is no request", uint8(h.Service), h.Length)
	}
	if cap(*buf) < int(h.Length) {
		*buf = make([]byte, limit)
	}
	b = (*buf)[:h.Length]
	if _, err := io.ReadFull(c.conn, b); err != nil {
		return r, err
	}
	return parse(h.Service, b)
}

func parse(service wire.Service, b []byte) (r request, err error) {
	r.service = service
	switch service {
	case wire.OpenRequestType:
		r.open, err = wire.ParseOpenRequest(b)
	case wire.GetRequestType:
		r.get, err = wire.ParseGetRequest(b)
	default:
		r.id, err = wire.ParseCloseRequest(b)
	}
	return r, err
}

// answer serves the requests in order until the client goes.
func (c *conn) answer() {
	for {
		var r request
		select {
		case r = <-c.queue:
		case <-c.ctx.Done():
			return
		}
		if c.s.cfg.now().After(c.until) {
			c.s.cfg.Logger.Info("ETSI 004 connection ended: the client certificate has expired", "app", c.apps[0])
			return
		}
		var err error
		switch r.service {
		case wire.OpenRequestType:
			err = c.send(wire.AppendOpenResponse(c.out[:0], c.open(r.open)))
		case wire.GetRequestType:
			err = c.get(r.get)
		default:
			err = c.send(wire.AppendCloseResponse(c.out[:0], c.close(r.id)))
		}
		if err != nil {
			return
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(c.s.cfg.Idle)) // the client waited: it was not idle
	}
}

// send writes one answer, unless the client has gone meanwhile.
func (c *conn) send(b []byte) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := c.conn.Write(b)
	return err
}

// close serves CLOSE.
func (c *conn) close(id wire.KSID) wire.Status {
	e := c.s.find(c, id)
	if e == nil {
		return wire.NoConnection
	}
	c.s.drop(e)
	return wire.OK
}
